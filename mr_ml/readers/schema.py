"""What the user said of a text, what a scan found in it, and what was made of both.

``TextOptions`` (asked) + ``Summary`` (seen) -> ``Schema`` (resolved). All three travel to map tasks and into manifests
as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated, Any, ClassVar, Literal, Self, TypedDict

from mr_ml.data import stored

Format = Literal["libsvm", "csv"]
LabelKind = Literal["numeric", "text", "continuous"]
Column = str | int
ColumnKind = Literal["label", "weight", "offset", "group", "dropped", "numeric", "categorical"]

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
