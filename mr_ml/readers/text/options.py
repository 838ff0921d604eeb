"""What a user can say of the formats of lines of text that are built in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, ClassVar, Literal, Self

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.readers.transforms.base import Transform

Column = str | int

#: As R, pandas, SQL, Hive, Weka and spreadsheets write a missing value, where it is no likely name of a category ...
MISSING_MARKERS = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "NaN", "nan", "?", "\\N")
#: ... and where it is: these are missing values in columns of numbers only.
NUMBER_MARKERS = (
    "-", "--", ".", "None", "none", "na", "Null", "#NA", "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?",
    "NAN", "Nan", "+nan", "-nan", "+NaN", "-NaN", "+NAN", "-NAN", "1.#QNAN", "-1.#IND",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """What the user says of libsvm or CSV text; None leaves it to the scan.

    One class for both formats, since both are stored with all of these keys. What is said of the other format has its
    default.

    Attributes
    ----------
    format : str
        The format that these are options of.
    index_base : {0, 1} or None
        libsvm: what feature ids count from. None: 0 if any id is 0, else 1.
    label_weights : bool
        libsvm: whether the weight of a row stands behind its label, ``label:weight``.
    offset_feature : int or None
        libsvm: the id, as it stands there, of the feature whose value is the offset of its row; 0 where it lacks.
    delimiter : str
        CSV: one ASCII character.
    header : bool
        CSV: the first line of each file names the columns; else they are called c0, c1, ...
    columns : tuple of str, or None
        CSV: the columns of the text, as `split_header` gives them; a scan needs them.
    label_column, weight_column, offset_column, group_column : str, int or None
        CSV: a column by name, or by its position from 0.
        Without a label column: the one that is called 'label', 'target' or 'y', if there is exactly one.
    drop_columns, categorical_columns, numeric_columns : tuple of str or int
        CSV: columns to leave out, to read as categories (one-hot), and to read as numbers. Of the label column the last
        two say whether labels are texts or numbers.
    detect_categorical : bool
        CSV: whether the other columns may be categorical: see `csv.facts.is_numeric`. Else all are numeric.
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
    id_columns : tuple of str or int
        CSV: columns that say which row it is; they are no features.
    transforms : tuple of Transform
        CSV: what is made of the columns that they read, which are no features otherwise.
    drop_others : bool
        CSV: whether columns that nothing is said of are left out.
    """

    format: str = "libsvm"
    index_base: Literal[0, 1] | None = None
    label_weights: bool = False
    offset_feature: Annotated[int, stored.at_least(0), stored.at_most(2**31 - 1)] | None = None
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
    id_columns: tuple[Column, ...] = ()
    transforms: tuple[Transform, ...] = ()
    drop_others: bool = False

    # before there were markers among numbers, such texts were bad rows
    formerly: ClassVar[Mapping[str, Any]] = {
        "label_weights": False, "offset_feature": None, "number_markers": [], "decimal": ".",
        "thousands": "", "percent": False, "id_columns": [], "transforms": [], "drop_others": False,
    }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; `from_json` gives the same object back."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        plain["transforms"] = [transform.to_json() for transform in self.transforms]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        BadDataError
            It is something else. Fields that came later than what was written have their defaults.
        """
        return stored.read(cls, document, where=cls.__name__)
