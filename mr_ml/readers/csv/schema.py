"""The schema of a CSV text, from what was asked and what a scan saw in its columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.csv.categories import MISSING_CATEGORY, one_spelling
from mr_ml.readers.csv.columns import NAMELESS, label_kind_of, roles_of
from mr_ml.readers.csv.facts import MAX_CHARACTERS, CsvFacts, Facts, is_numeric, no_facts
from mr_ml.readers.csv.numbers import kind_like_number, numbers_of
from mr_ml.readers.csv.stored import ColumnKind, ColumnUse, CsvPart, Placed, Role
from mr_ml.readers.rows import excerpt, listed
from mr_ml.readers.schema import MAX_FEATURES, LabelKind, Schema
from mr_ml.readers.summary import MAX_LABELS, Summary
from mr_ml.readers.text.numbers import is_rounded
from mr_ml.readers.text.options import TextOptions
from mr_ml.readers.transforms.base import Transform
from mr_ml.readers.transforms.seen import Seen


def declared(options: TextOptions, summary: Summary) -> tuple[TextOptions, list[str]]:
    """Declare as numeric the columns of numbers that hold something else too, for another scan to refuse those rows.

    Returns
    -------
    options : TextOptions
        The same if there are no such columns.
    reasons : list of str
        A sentence about each of these columns, with remedies.
    """
    declared_kind = label_kind_of(options)
    columns, reasons = [], []
    for name, role in roles_of(options).items():
        facts = _columns_of(summary).get(name)
        is_open = role == "either" or (role == "label" and declared_kind is None)
        if facts is None or not is_open or not facts["strange"] or not is_numeric(facts, n_rows=summary.n_rows):
            continue
        columns.append(name)
        reasons.append(_reason(name, role, facts, summary.n_rows, markers=options.number_markers))
    return replace(options, numeric_columns=(*options.numeric_columns, *columns)) if columns else options, reasons


def _reason(name: str, role: Role, facts: Facts, n_rows: int, *, markers: Collection[str]) -> str:
    n_given, n_missing = n_rows - facts["missing"], facts["maybe_missing"] or 0
    texts = [text for text in facts["texts"] or [] if text not in markers]
    kinds = {kind_like_number(text) for text in texts}
    remedies = ["fix them"]
    if any(kind is None for kind in kinds):
        remedies.append("name all that means a missing value by `missing_markers`, in place of the default markers")
    if "thousands" in kinds or "decimal_mark" in kinds:
        remedies.append("say how numbers are written by `thousands` and `decimal`")
    if "percent" in kinds:
        remedies.append("read % as hundredths by `percent`")
    shown = excerpt(name.encode())
    others = f", not {_quoted(texts)}" if texts else ""
    missing = f" ({n_missing} others mean a missing value)" if n_missing else ""
    column = "Label column" if role == "label" else "Column"
    return (
        f"{column} '{shown}' is read as numbers: {n_given - facts['strange']} of {n_given} values are"
        f"{others}{missing}. {'; '.join(remedies).capitalize()}; leave out up to N "
        f"such rows by `max_bad_rows` N; or, if its values are no numbers, say `categorical` '{shown}'"
    )


def doubts(options: TextOptions, summary: Summary) -> list[str]:
    """Return a sentence about each column that is read as texts although half of its values at least are numbers."""
    declared_kind = label_kind_of(options)
    sentences = []
    for name, role in roles_of(options).items():
        facts = _columns_of(summary).get(name)
        is_open = role == "either" or (role == "label" and declared_kind is None)
        if facts is None or not is_open or is_numeric(facts, n_rows=summary.n_rows):
            continue
        n_given, texts = summary.n_rows - facts["missing"], facts["texts"] or []
        if 2 * facts["strange"] > n_given:
            continue
        column, shown = ("label column" if role == "label" else "column"), excerpt(name.encode())
        sentences.append(
            f"{column} '{shown}' is read as texts, not as numbers, which {n_given - facts['strange']} of {n_given} "
            f"values are; others are {_quoted(texts)}. `numeric` '{shown}' refuses these, `missing_markers` says which "
            f"mean a missing value, and `categorical` '{shown}' that texts are meant"
        )
    return sentences


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(f"'{excerpt(text.encode())}'" for text in texts[:3]) + (", ..." if len(texts) > 3 else "")


def resolve(options: TextOptions, summary: Summary) -> Schema:
    """Decide what each column is and number the features, in the order of the columns; see `Format.resolve`.

    Raises
    ------
    BadDataError
        No row; too many categories or labels; numbers and texts mixed; two features of one name.
    UsageError
        The options do not fit the columns.
    """
    roles = roles_of(options)
    if not summary.n_rows:
        raise BadDataError(
            f"expected a CSV row at least, found none in {summary.n_lines} lines, {summary.n_bad} of them refused and "
            f"{summary.n_dropped} left out for missing values; check the input, `delimiter`, `header=False` and "
            "`missing`"
        )
    columns: dict[str, ColumnUse] = {}
    vocabularies: dict[str, tuple[str, ...]] = {}
    names: list[str] = []
    labels: tuple[float, ...] | tuple[str, ...] = ()
    label_kind: LabelKind = "numeric"
    learnt = _learnt(options, summary)
    placed: list[Placed] = []
    for name, role in roles.items():
        facts = _columns_of(summary).get(name, no_facts(options, role))
        if role == "label":
            label_kind, labels = _resolve_label(name, facts, options, n_rows=summary.n_rows)
        here = [transform for transform in learnt if transform.columns[0] == name]
        if role != "numeric" and role != "categorical" and role != "either":
            columns[name] = {"kind": role, "detected": False, "first": None}
            _place(here, placed, names)
            continue
        categorical = role == "categorical" or (role == "either" and not is_numeric(facts, n_rows=summary.n_rows))
        kind: ColumnKind = "categorical" if categorical else "numeric"
        columns[name] = {"kind": kind, "detected": role == "either", "first": len(names)}
        if categorical:
            vocabularies[name] = _vocabulary(name, facts, options.max_categories)
            names.extend(f"{name}={value}" for value in vocabularies[name])
        else:
            names.append(name)
        _place(here, placed, names)
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise BadDataError(
            f"expected features of different names, found twice: {listed(twice)}; rename a "
            "column, or leave out one of its uses in the schema file"
        )
    return Schema(
        format="csv",
        n_features=len(names),
        feature_names=tuple(names),
        has_groups="group" in roles.values(),
        labels=labels,
        label_kind=label_kind,
        part=CsvPart(options, vocabularies, columns, tuple(placed)),
    )


def _learnt(options: TextOptions, summary: Summary) -> list[Transform]:
    """Return the transforms with what they learn of all rows."""
    facts: CsvFacts | None = summary.facts
    seen = facts.transforms if facts is not None and facts.transforms else (Seen(),) * len(options.transforms)
    return [transform.learn(of_it) for transform, of_it in zip(options.transforms, seen, strict=True)]


def _place(transforms: Sequence[Transform], placed: list[Placed], names: list[str]) -> None:
    for transform in transforms:
        placed.append(Placed(first=len(names), transform=transform))
        names.extend(transform.names())
        if len(names) > MAX_FEATURES:
            raise UsageError(f"expected at most {MAX_FEATURES} features, found more; say fewer `bits`")


def _columns_of(summary: Summary) -> dict[str, Facts]:
    facts: CsvFacts | None = summary.facts
    return {} if facts is None else facts.columns


def bind(schema: Schema, columns: Sequence[str], *, needs_all: bool = False) -> Schema:
    """Return the schema for a text with other columns: in another order, with more, without those that can be spared.

    Parameters
    ----------
    schema : Schema
    columns : sequence of str
        From `split_header`. With a header they are known by name, and those that the schema does not know are left out.
        Without one they are known by position: there are all columns, or all but those that can be spared.
    needs_all : bool
        Whether label, weight and group are needed too, as for training.

    Raises
    ------
    BadDataError
        A column that is needed is not there, or it cannot be told which one is not.
    """
    part: CsvPart = schema.part
    columns, known = tuple(columns), part.options.columns or ()
    kinds = {name: column["kind"] for name, column in part.columns.items()}
    spared = ("dropped", "id") if needs_all else ("dropped", "id", "label", "weight", "group")
    read = {name for placed in part.transforms for name in placed.transform.columns}
    needed = tuple(name for name in known if kinds[name] not in spared or name in read)
    if columns == known:
        return schema
    if not part.options.header:
        if len(columns) not in (len(known), len(needed)):
            raise BadDataError(
                f"expected {len(known)} columns, or the {len(needed)} that are needed ({listed(needed)}), found "
                f"{len(columns)}, and without a header it cannot be told which ones lack; leave fields empty where "
                "there is no value"
            )
        names = known if len(columns) == len(known) else needed
        return replace(schema, part=replace(part, options=replace(part.options, columns=names)))
    lacking = [name for name in needed if name not in columns]
    if lacking:
        hint = "is there a header in the first line? " if numbers_of(columns, part.options) else ""
        raise BadDataError(
            f"expected the columns {listed(needed)}; of these lack {listed(lacking)}; found are {listed(columns)}. "
            f"{hint}These rows do not belong to this schema"
        )
    unknown = [name for name in columns if name not in kinds]
    kinds |= dict.fromkeys(unknown, "dropped")
    of_kind = {kind: [name for name in columns if kinds[name] == kind] for kind in set(kinds.values())}
    one = {kind: next(iter(of_kind.get(kind, [])), None) for kind in ("label", "weight", "offset", "group")}
    options = replace(
        part.options,
        columns=columns,
        label_column=one["label"],
        weight_column=one["weight"],
        offset_column=one["offset"],
        group_column=one["group"],
        id_columns=tuple(of_kind.get("id", [])),
        drop_columns=tuple(name for name in of_kind.get("dropped", []) if name != NAMELESS),
        categorical_columns=tuple(of_kind.get("categorical", [])),
        numeric_columns=tuple(of_kind.get("numeric", [])),
    )
    left_out: ColumnUse = {"kind": "dropped", "detected": False, "first": None}
    return replace(
        schema, part=replace(part, options=options, columns={**part.columns, **dict.fromkeys(unknown, left_out)})
    )


def _resolve_label(
    name: str, facts: Facts, options: TextOptions, *, n_rows: int
) -> tuple[LabelKind, tuple[float, ...] | tuple[str, ...]]:
    numbers, texts = facts["numbers"], facts["texts"]
    declared_kind = label_kind_of(options)
    # ids that no 64-bit float holds are texts: as numbers they would merge
    merged = declared_kind is None and any(map(is_rounded, numbers or ()))
    if declared_kind != "categorical" and not merged and is_numeric(facts, n_rows=n_rows):
        if numbers is None:
            return "continuous", ()
        return "numeric", tuple(sorted({number + 0.0 for number in numbers_of(numbers, options).values()}))
    if texts is None or numbers is None or len(texts) + len(numbers) > MAX_LABELS:
        example = f", such as {listed(texts[:3])}" if texts else ""
        raise BadDataError(
            f"expected numbers, or at most {MAX_LABELS} different texts, in the label column {name!r}, found texts"
            f"{example} among more values; check `label_column`, or fix the texts"
        )
    return "text", tuple(sorted({*texts, *numbers}))


def _vocabulary(name: str, facts: Facts, limit: int) -> tuple[str, ...]:
    numbers, texts = facts["numbers"], facts["texts"]
    if texts is None or (numbers is not None and len(texts) + len(numbers) > limit):
        raise BadDataError(
            f"expected at most {limit} categories (and {MAX_CHARACTERS} characters in them together) in column "
            f"{name!r}, found more; leave the column out by `drop`"
        )
    if numbers is None:
        raise BadDataError(
            f"expected numbers or categories in column {name!r}, found more than {facts['max_numbers']} different "
            f"numbers and texts such as {listed(texts[:3])}; fix the texts (an empty field is a missing value), "
            "declare the column by `categorical`, or leave it out by `drop`"
        )
    values = {*texts, *numbers}
    if facts["missing"]:
        if MISSING_CATEGORY in values:
            raise BadDataError(
                f"expected another name than {MISSING_CATEGORY!r} for a category, found it in column {name!r}, which "
                "has missing values too; leave those fields empty if it means a missing value, else rename it"
            )
        values.add(MISSING_CATEGORY)
    return tuple(sorted(one_spelling(values)))
