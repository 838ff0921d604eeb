"""What a scan saw in the columns of a CSV text, and the schema that follows.

Facts about a column are sets that grow by union up to a fixed size and are None beyond, so that they add up to the
same whatever the order and however the text was cut.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict

from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.csv_columns import Role, is_decimal, listed, roles_of
from mr_ml.readers.numbers import is_rounded
from mr_ml.readers.schema import MAX_LABELS, LabelKind, Schema, Summary, TextOptions

#: A column with texts and more distinct numbers than this is a damaged column of numbers rather than a category. Less
#: where there are many columns, for a scan remembers the numbers of all of them.
MAX_NUMBERS = 1000
MAX_NUMBERS_OF_ALL_COLUMNS = 200_000
MIN_NUMBERS = 10
#: Characters of all distinct texts of a column together; more is free text.
MAX_CHARACTERS = 1 << 24
MISSING_CATEGORY = "<missing>"


class Facts(TypedDict):
    """What a scan saw in a column, of rows that are neither bad nor left out. Plain JSON types.

    ``missing``: number of missing fields; ``numbers``, ``texts``: the distinct fields that Python's `float` reads, and
    those that it does not, sorted, or None if there are more than ``max_numbers`` or ``max_texts``; a column that is
    declared categorical has texts only.
    """

    missing: int
    numbers: list[str] | None
    texts: list[str] | None
    max_numbers: int
    max_texts: int


def merge_columns(a: Mapping[str, Facts], b: Mapping[str, Facts]) -> dict[str, Facts]:
    """Add up the facts of two texts; associative and commutative."""
    merged = {**a, **b}
    for name in a.keys() & b.keys():
        one, two = a[name], b[name]
        max_numbers = min(one["max_numbers"], two["max_numbers"])
        max_texts = min(one["max_texts"], two["max_texts"])
        merged[name] = Facts(
            missing=one["missing"] + two["missing"],
            numbers=_union(one["numbers"], two["numbers"], limit=max_numbers),
            texts=_union(one["texts"], two["texts"], limit=max_texts),
            max_numbers=max_numbers,
            max_texts=max_texts,
        )
    return merged


def no_facts(options: TextOptions, role: Role) -> Facts:
    """Return the facts about a column of which no row was seen."""
    if role == "label":
        return Facts(missing=0, numbers=[], texts=[], max_numbers=MAX_LABELS, max_texts=MAX_LABELS)
    share = MAX_NUMBERS_OF_ALL_COLUMNS // max(len(options.columns or ()), 1)
    max_numbers = max(MIN_NUMBERS, min(MAX_NUMBERS, share))
    return Facts(missing=0, numbers=[], texts=[], max_numbers=max_numbers, max_texts=options.max_categories)


def bounded(values: Iterable[str], *, limit: int) -> list[str] | None:
    """Sorted values; None if they are more than `limit` or longer than `MAX_CHARACTERS` together."""
    kept = sorted(values)
    return None if len(kept) > limit or sum(map(len, kept)) > MAX_CHARACTERS else kept


def resolve(options: TextOptions, summary: Summary) -> Schema:
    """Decide what each column is and number the features, in the order of the columns; see `formats.resolve`.

    Raises
    ------
    BadDataError
        No row; too many categories or labels; numbers and texts mixed; two features of one name.
    UsageError
        The options do not fit the columns; no column is left for features.
    """
    roles = roles_of(options)
    if not summary.n_rows:
        raise BadDataError(
            f"expected a CSV row at least, found none in {summary.n_lines} lines, {summary.n_bad} of them refused and "
            f"{summary.n_dropped} left out for missing values; check the input, --delimiter, --no-header and --missing"
        )
    columns: dict[str, Any] = {}
    vocabularies: dict[str, tuple[str, ...]] = {}
    names: list[str] = []
    labels: tuple[float, ...] | tuple[str, ...] = ()
    label_kind: LabelKind = "numeric"
    for name, role in roles.items():
        facts: Facts = summary.columns.get(name, no_facts(options, role))
        if role == "label":
            label_kind, labels = _resolve_label(name, facts)
        if role not in ("numeric", "categorical", "either"):
            columns[name] = {"kind": role, "detected": False, "first": None}
            continue
        categorical = role == "categorical" or (role == "either" and facts["texts"] != [])
        kind = "categorical" if categorical else "numeric"
        columns[name] = {"kind": kind, "detected": role == "either", "first": len(names)}
        if categorical:
            vocabularies[name] = _vocabulary(name, facts, options.max_categories)
            names.extend(f"{name}={value}" for value in vocabularies[name])
        else:
            names.append(name)
    if not names:
        raise UsageError(f"expected a column for features, found none in {listed(tuple(roles))}; drop fewer columns")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise BadDataError(f"expected features of different names, found twice: {listed(twice)}; rename a column")
    return Schema(
        format="csv",
        options=options,
        n_features=len(names),
        feature_names=tuple(names),
        vocabularies=vocabularies,
        has_groups="group" in roles.values(),
        labels=labels,
        label_kind=label_kind,
        columns=columns,
    )


def bind(schema: Schema, columns: Sequence[str]) -> Schema:
    """Return the schema for a text with other columns: in another order, or without those that prediction can spare.

    Parameters
    ----------
    schema : Schema
    columns : sequence of str
        From `split_header`. With a header they are known by name. Without one they are known by position, and one
        column less than the schema has means that the label is left out.

    Raises
    ------
    BadDataError
        A column that is needed is not there, or one that the schema does not know is.
    """
    known = schema.options.columns or ()
    label = next(name for name, column in schema.columns.items() if column["kind"] == "label")
    if not schema.options.header:
        unlabelled = tuple(name for name in known if name != label)
        if len(columns) not in (len(known), len(unlabelled)):
            raise BadDataError(
                f"expected {len(known)} columns, or {len(unlabelled)} without the label, found {len(columns)}; "
                "the text does not belong to this schema"
            )
        found = known if len(columns) == len(known) else unlabelled
        return replace(schema, options=replace(schema.options, columns=found))
    needed = {name for name, c in schema.columns.items() if c["kind"] in ("numeric", "categorical", "offset")}
    given = set(columns)
    lacking = [name for name in known if name in needed and name not in given]
    unknown = [name for name in columns if name not in schema.columns]
    if lacking or unknown:
        raise BadDataError(
            f"expected the columns {listed(known)}; of these lack {listed(lacking)}; unknown are {listed(unknown)}; "
            "the text does not belong to this schema, or take the unknown columns out of it"
        )
    return replace(schema, options=replace(schema.options, columns=tuple(columns)))


def _resolve_label(name: str, facts: Facts) -> tuple[LabelKind, tuple[float, ...] | tuple[str, ...]]:
    numbers, texts = facts["numbers"], facts["texts"]
    # ids that no 64-bit float holds are texts: as numbers they would merge
    if texts == [] and not any(map(is_rounded, numbers or ())):
        if numbers is None:
            return "continuous", ()
        values = {float(text) + 0.0 for text in numbers if is_decimal(text)}
        return "numeric", tuple(sorted(value for value in values if math.isfinite(value)))
    if texts is None or numbers is None or len(texts) + len(numbers) > MAX_LABELS:
        example = f", such as {listed(texts[:3])}" if texts else ""
        raise BadDataError(
            f"expected numbers, or at most {MAX_LABELS} different texts, in the label column {name!r}, found texts"
            f"{example} among more values; check --label-column, or mend the texts"
        )
    return "text", tuple(sorted({*texts, *numbers}))


def _vocabulary(name: str, facts: Facts, limit: int) -> tuple[str, ...]:
    numbers, texts = facts["numbers"], facts["texts"]
    if texts is None or (numbers is not None and len(texts) + len(numbers) > limit):
        raise BadDataError(
            f"expected at most {limit} categories (and {MAX_CHARACTERS} characters in them together) in column "
            f"{name!r}, found more; leave the column out by --drop"
        )
    if numbers is None:
        raise BadDataError(
            f"expected numbers or categories in column {name!r}, found more than {facts['max_numbers']} different "
            f"numbers and texts such as {listed(texts[:3])}; mend the texts (an empty field is a missing value), "
            "declare the column by --categorical, or leave it out by --drop"
        )
    values = {*texts, *numbers}
    if facts["missing"]:
        if MISSING_CATEGORY in values:
            raise BadDataError(
                f"expected another name than {MISSING_CATEGORY!r} for a category, found it in column {name!r}, which "
                "has missing values too; leave those fields empty if it means a missing value, else rename it"
            )
        values.add(MISSING_CATEGORY)
    return tuple(sorted(values))


def _union(a: list[str] | None, b: list[str] | None, *, limit: int) -> list[str] | None:
    if a is None or b is None:
        return None
    # dict.fromkeys keeps the order; sorting two sorted lists is a merge.
    return bounded(dict.fromkeys(sorted(a + b)), limit=limit)
