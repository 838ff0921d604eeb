"""What the user said of a text, what a scan found in it, and what was made of both.

``TextOptions`` (asked) + ``Summary`` (seen) -> ``Schema`` (resolved). All three travel to map tasks and into manifests
as JSON; a summary is a sum: ``+`` is associative and commutative and exact, so what comes out does not depend on how
the text was cut or in which order the pieces were scanned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Annotated, Any, ClassVar, Literal, Self, TypedDict

import numpy as np
from numpy.typing import NDArray

from mr_ml import stored
from mr_ml.errors import BadDataError
from mr_ml.readers.rows import MAX_EXAMPLES, BadRow

Format = Literal["libsvm", "csv"]
LabelKind = Literal["numeric", "text", "continuous"]
Column = str | int
ColumnKind = Literal["label", "weight", "offset", "group", "dropped", "numeric", "categorical"]

MAX_LABELS = 1000

#: As R, pandas, SQL, Hive, Weka and spreadsheets write a missing value, where it is no likely name of a category ...
MISSING_MARKERS = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "NaN", "nan", "?", "\\N")
#: ... and where it is: these are missing values in columns of numbers only.
NUMBER_MARKERS = (
    "-", "--", ".", "None", "none", "na", "Null", "#NA", "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?",
    "NAN", "Nan", "+nan", "-nan", "+NaN", "-NaN", "+NAN", "-NAN", "1.#QNAN", "-1.#IND",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """What the user says of the text; None leaves it to the scan.

    Attributes
    ----------
    format : {'libsvm', 'csv'}
    index_base : {0, 1} or None
        libsvm: what feature ids count from. None: 0 if any id is 0, else 1.
    delimiter : str
        CSV: one ASCII character.
    header : bool
        CSV: the first line of each file names the columns; else they are called c0, c1, ...
    columns : tuple of str, or None
        CSV: the columns of the text, as `split_header` gives them; `scan` needs them.
    label_column, weight_column, offset_column, group_column : str, int or None
        CSV: a column by name, or by its position from 0.
        Without a label column: the one that is called 'label', 'target' or 'y', if there is exactly one.
    drop_columns, categorical_columns, numeric_columns : tuple of str or int
        CSV: columns to leave out, to read as categories (one-hot), and to read as numbers. Of the label column the last
        two say whether labels are texts or numbers.
    detect_categorical : bool
        CSV: whether the other columns may be categorical: see `csv_schema.is_numeric`. Else all are numeric.
    missing : {'error', 'drop', 'zero'} or 'value:<number>'
        CSV: what to do where a feature has no value: refuse the row, leave it out, or read it as a number. With the
        last two a missing category is a category of its own.
    missing_markers : tuple of str
        CSV: texts that mean a missing value, besides the empty field.
    number_markers : tuple of str
        CSV: texts that mean one in columns of numbers only; elsewhere they may be names.
    decimal : {'.', ','}
        CSV: the decimal mark.
    thousands : str
        CSV: what stands between groups of three digits; empty: nothing.
    percent : bool
        CSV: a number may end with %, and is then so many hundredths.
    unseen : {'error', 'ignore'}
        What a category (CSV) or feature (libsvm) is that the schema does not have: a bad row, or left out.
    max_categories : int
        CSV: the most distinct values that a categorical column may have.
    """

    format: Format = "libsvm"
    index_base: Literal[0, 1] | None = None
    delimiter: str = ","
    header: bool = True
    columns: tuple[str, ...] | None = None
    label_column: Column | None = None
    weight_column: Column | None = None
    offset_column: Column | None = None
    group_column: Column | None = None
    drop_columns: tuple[Column, ...] = ()
    categorical_columns: tuple[Column, ...] = ()
    numeric_columns: tuple[Column, ...] = ()
    detect_categorical: bool = True
    missing: str = "error"
    missing_markers: tuple[str, ...] = MISSING_MARKERS
    number_markers: tuple[str, ...] = NUMBER_MARKERS
    decimal: str = "."
    thousands: str = ""
    percent: bool = False
    unseen: Literal["error", "ignore"] = "error"
    max_categories: stored.Positive = 100_000

    # before there were markers among numbers, such texts were bad rows
    formerly: ClassVar[Mapping[str, Any]] = {"number_markers": [], "decimal": ".", "thousands": "", "percent": False}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; `from_json` gives the same object back."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        BadDataError
            It is something else. Fields that came later than what was written have their defaults.
        """
        return stored.read(cls, document, where=cls.__name__)


# Of larger ids one of so many is kept, to tell about how many different ones there are.
_SAMPLED_FROM, _SAMPLED_OF = 1 << 18, 1 << 10


def sampled_ids(ids: NDArray[np.int32], *, highest: int) -> frozenset[int]:
    """Those of the ids, up to `highest`, that are in the sample: which are does not depend on the others."""
    if highest < _SAMPLED_FROM:
        return frozenset()
    drawn = ids[ids.view(np.uint32) * np.uint32(0x9E3779B1) < np.uint32(2**32 // _SAMPLED_OF)]
    return frozenset(np.unique(drawn[drawn >= _SAMPLED_FROM]).tolist())


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is in a text; ``a + b`` is the summary of both together.

    Attributes
    ----------
    n_rows, nnz, n_lines, n_dropped, n_unseen : int
        Good rows, their stored features, lines of any kind, rows left out on request, and categories or features that
        were ignored on request. Of CSV, nnz counts the fields of features that hold something else than the number 0, a
        good estimate.
    n_groups : int
        libsvm: rows that have a query id.
    max_index : int
        libsvm: the largest feature id as written; -1 if there is none.
    min_index : dict of str to int
        libsvm: the smallest feature id as written in each file that has one.
    some_ids : frozenset of int
        libsvm: of the feature ids those that `sampled_ids` draws.
    labels : frozenset of float, or None
        Distinct numeric labels; None once there are more than `MAX_LABELS`.
    bad_counts : dict of str to int
        Refused rows by kind.
    examples : tuple of (file, BadRow)
        The first `MAX_EXAMPLES` refused rows of each kind, by file and line.
    columns : dict
        CSV: facts about each column, merged by ``csv_reader.merge_columns``.
    """

    n_rows: int = 0
    nnz: int = 0
    n_lines: int = 0
    n_dropped: int = 0
    n_unseen: int = 0
    n_groups: int = 0
    max_index: int = -1
    min_index: dict[str, int] = field(default_factory=dict)
    some_ids: frozenset[int] = frozenset()
    labels: frozenset[float] | None = frozenset()
    bad_counts: dict[str, int] = field(default_factory=dict)
    examples: tuple[tuple[str, BadRow], ...] = ()
    columns: dict[str, Any] = field(default_factory=dict)

    def __add__(self, other: Summary) -> Summary:
        """Return the summary of both texts together."""
        return Summary(
            n_rows=self.n_rows + other.n_rows,
            nnz=self.nnz + other.nnz,
            n_lines=self.n_lines + other.n_lines,
            n_dropped=self.n_dropped + other.n_dropped,
            n_unseen=self.n_unseen + other.n_unseen,
            n_groups=self.n_groups + other.n_groups,
            max_index=max(self.max_index, other.max_index),
            min_index={
                file: min(s.min_index[file] for s in (self, other) if file in s.min_index)
                for file in sorted({*self.min_index, *other.min_index})
            },
            some_ids=self.some_ids | other.some_ids,
            labels=merge_labels(self.labels, other.labels),
            bad_counts={
                kind: self.bad_counts.get(kind, 0) + other.bad_counts.get(kind, 0)
                for kind in sorted({*self.bad_counts, *other.bad_counts})
            },
            examples=first_examples((*self.examples, *other.examples)),
            columns=_merge_columns(self.columns, other.columns),
        )

    def n_columns(self, n_features: int) -> int:
        """About how many of the features occur."""
        return min(_SAMPLED_FROM + _SAMPLED_OF * len(self.some_ids), self.nnz, n_features)

    @property
    def n_bad(self) -> int:
        """Number of refused rows."""
        return sum(self.bad_counts.values())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; `from_json` gives the same object back."""
        return {
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "some_ids": sorted(self.some_ids),
            "labels": None if self.labels is None else sorted(self.labels),
            "examples": [[file, *row.to_json()] for file, row in self.examples],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        BadDataError
            It is something else. Fields that came later than what was written have their defaults.
        """
        with _reading(cls):
            values = _values_of(cls, document)
            labels = values["labels"]
            values["labels"] = None if labels is None else frozenset(float(label) for label in labels)
            values["some_ids"] = frozenset(values["some_ids"])
            values["examples"] = tuple(
                (file, BadRow(line, kind, text)) for file, line, kind, text in values["examples"]
            )
            return cls(**values)


class ColumnUse(TypedDict):
    """What is made of a column: its role, whether that was found in the data, the number of its first feature."""

    kind: ColumnKind
    detected: bool
    first: int | None


@dataclass(frozen=True, kw_only=True)
class Schema:
    """How to turn a line of text into a row; stored with datasets and models.

    Attributes
    ----------
    format : {'libsvm', 'csv'}
    options : TextOptions
    index_base : {0, 1}
        libsvm: what feature ids count from.
    n_features : int
    has_groups : bool
        Rows have a group: a query id, or the group column.
    feature_names : tuple of str, or None
        None for libsvm, whose features have numbers only.
    vocabularies : dict of str to tuple of str
        CSV: for each categorical column its values in the order of their features.
    labels : tuple of float, or tuple of str
        Sorted distinct labels; empty where they are continuous.
    label_kind : {'numeric', 'text', 'continuous'}
        'continuous': more than `MAX_LABELS` distinct numbers.
    columns : dict of str to dict
        CSV: for each column what is made of it (``kind``: a role, 'numeric' or 'categorical'), whether that was found
        in the data (``detected``), and the number of its first feature (``first``).
    """

    format: Format
    options: TextOptions
    index_base: Literal[0, 1] = 0
    n_features: Annotated[int, stored.at_least(0), stored.at_most(2**31)]
    has_groups: bool = False
    feature_names: tuple[str, ...] | None = None
    vocabularies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    labels: tuple[float, ...] | tuple[str, ...] = ()
    label_kind: LabelKind = "numeric"
    columns: dict[str, ColumnUse] = field(default_factory=dict)

    def name_of(self, feature: int) -> str:
        """What users call the feature of this number."""
        return str(feature + self.index_base) if self.feature_names is None else self.feature_names[feature]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; `from_json` gives the same object back."""
        return {
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "options": self.options.to_json(),
            "feature_names": None if self.feature_names is None else list(self.feature_names),
            "vocabularies": {name: list(values) for name, values in self.vocabularies.items()},
            "labels": list(self.labels),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        BadDataError
            It is something else. Fields that came later than what was written have their defaults.
        """
        return stored.read(cls, document, where=cls.__name__)

    @property
    def codes(self) -> tuple[float, ...]:
        """The labels as rows have them: numbers, of texts their places in the list."""
        values = range(len(self.labels)) if self.label_kind == "text" else self.labels
        return tuple(map(float, values))

    def check_stored(self) -> None:
        """Raise ValueError if the parts do not fit together."""
        # Imported here because it imports this module.
        from mr_ml.readers.schema_check import check_schema

        check_schema(self)


def with_unseen_features(schema: Schema, unseen: Literal["error", "ignore"]) -> Schema:
    """The schema with another answer to ids of features that it does not have; columns of CSV have names."""
    if schema.format != "libsvm":
        return schema
    return replace(schema, options=replace(schema.options, unseen=unseen))


def merge_labels(a: frozenset[float] | None, b: frozenset[float] | None) -> frozenset[float] | None:
    """Return the union of two label sets; None, for "continuous", if either is None or the union is too large."""
    if a is None or b is None:
        return None
    union = a | b
    return union if len(union) <= MAX_LABELS else None


def first_examples(examples: tuple[tuple[str, BadRow], ...]) -> tuple[tuple[str, BadRow], ...]:
    """Sort examples by file and line and keep the first `MAX_EXAMPLES` of each kind."""
    kept: list[tuple[str, BadRow]] = []
    count: dict[str, int] = {}
    for file, row in sorted(examples):
        count[row.kind] = count.get(row.kind, 0) + 1
        if count[row.kind] <= MAX_EXAMPLES:
            kept.append((file, row))
    return tuple(kept)


def _merge_columns(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    if not a or not b:
        return a or b
    # Imported here because csv_reader imports this module.
    from mr_ml.readers import csv_reader

    merged: dict[str, Any] = csv_reader.merge_columns(a, b)
    return merged


@contextmanager
def _reading(cls: type[Any]) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadDataError(
            f"{cls.__name__}: expected a JSON object as mr_ml writes it, found something else ({error!r}); "
            "the file was changed: pack the text or train the model again"
        ) from error


def _values_of(cls: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(document) - known)
    if unknown:
        raise BadDataError(
            f"{cls.__name__}: expected the fields {sorted(known)}, found also {unknown}; "
            "it was written by a later version of mr_ml: use that version"
        )
    defaults = {f.name: f.default for f in fields(cls) if f.default is not MISSING}
    made = {f.name: f.default_factory() for f in fields(cls) if f.default_factory is not MISSING}
    return {**defaults, **made, **document}
