"""What CSV text adds to a schema: what was asked, and what is made of each column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypedDict

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.options import TextOptions
from mr_ml.readers.transforms.base import Transform

Role = Literal["label", "weight", "offset", "group", "id", "dropped", "transformed", "numeric", "categorical", "either"]
ColumnKind = Literal["label", "weight", "offset", "group", "id", "dropped", "transformed", "numeric", "categorical"]


class ColumnUse(TypedDict):
    """What is made of a column: its role, whether that was found in the data, the number of its first feature."""

    kind: ColumnKind
    detected: bool
    first: int | None


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A transform that has learnt, and the number of its first feature."""

    first: stored.Count
    transform: Transform

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"first": self.first, "transform": self.transform.to_json()}


@dataclass(frozen=True)
class CsvPart:
    """A schema's part.

    Attributes
    ----------
    options : TextOptions
    vocabularies : dict of str to tuple of str
        For each categorical column its values in the order of their features.
    columns : dict of str to ColumnUse
        For each column what is made of it (``kind``: a role, 'numeric' or 'categorical'), whether that was found in
        the data (``detected``), and the number of its first feature (``first``).
    transforms : tuple of Placed
        What is made of the columns that they read, as it was learnt.
    """

    # there were no transforms once
    formerly: ClassVar[Mapping[str, Any]] = {"transforms": []}

    options: TextOptions
    vocabularies: dict[str, tuple[str, ...]]
    columns: dict[str, ColumnUse]
    transforms: tuple[Placed, ...] = ()

    @property
    def has_weights(self) -> bool:
        """Whether there is a column of weights."""
        return self.options.weight_column is not None

    @property
    def has_offsets(self) -> bool:
        """Whether there is a column of offsets."""
        return self.options.offset_column is not None

    @property
    def categories(self) -> dict[str, range]:
        """Columns of categories, and the features of each."""
        firsts = {name: self.columns[name]["first"] or 0 for name in self.vocabularies}
        found = {name: range(first, first + len(self.vocabularies[name])) for name, first in firsts.items()}
        for placed in self.transforms:
            for name, features in placed.transform.categories().items():
                found[name] = range(placed.first + features.start, placed.first + features.stop)
        return found

    @property
    def hashes(self) -> tuple[range, ...]:
        """Features that are hashes."""
        made = [(placed.first, placed.transform) for placed in self.transforms]
        return tuple(range(first, first + transform.n_features) for first, transform in made if transform.hashes)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "options": self.options.to_json(),
            "vocabularies": {name: list(values) for name, values in self.vocabularies.items()},
            "columns": self.columns,
            "transforms": [placed.to_json() for placed in self.transforms],
        }

    def check(self, schema: Schema) -> None:
        """See `Part.check`."""
        _check_columns(self, schema)
        try:
            delimiter_of(self.options), missing_value_of(self.options)
        except UsageError as error:
            raise ValueError(str(error)) from None


def _check_columns(part: CsvPart, schema: Schema) -> None:
    """Raise ValueError unless the features of the columns follow one another."""
    categorical = {name for name, column in part.columns.items() if column["kind"] == "categorical"}
    if categorical != part.vocabularies.keys():
        raise ValueError(f"vocabularies of {sorted(part.vocabularies)}, categorical columns {sorted(categorical)}")
    at, firsts = 0, []
    for name, column in part.columns.items():
        if column["kind"] in ("numeric", "categorical"):
            firsts.append((column["first"], len(part.vocabularies[name]) if name in categorical else 1))
        elif column["first"] is not None:
            raise ValueError(f"column {name!r} is no feature, but has a first one")
    for placed in part.transforms:
        unread = [name for name in placed.transform.columns if name not in part.columns]
        if unread:
            raise ValueError(f"a transform of columns {unread}, which are not there")
        firsts.append((placed.first, placed.transform.n_features))
    for first, count in sorted(firsts, key=lambda item: (item[0] is None, item)):
        if first != at:
            raise ValueError(f"columns whose features begin at {first}, expected {at}")
        at += count
    if schema.feature_names is None or at != schema.n_features:
        raise ValueError(f"{schema.n_features} features, those of columns are {at}")
    labels = [name for name, column in part.columns.items() if column["kind"] == "label"]
    known = part.options.columns
    if len(labels) != 1 or known is None or set(known) - part.columns.keys() or len(set(known)) != len(known):
        raise ValueError(f"label columns {labels}, columns {known}, uses of {sorted(part.columns)}")


def delimiter_of(options: TextOptions) -> int:
    """Return the delimiter as a byte.

    Raises
    ------
    UsageError
        It is not one ASCII character, or one that is part of numbers, quotes or line ends.
    """
    if not is_delimiter(options.delimiter):
        raise UsageError(f"`delimiter`: expected {DELIMITER}, found {options.delimiter!r}")
    return ord(options.delimiter)


# What a delimiter is.
DELIMITER = "one ASCII character that is no letter, digit, quote, dot, sign or line end"


def is_delimiter(text: str) -> bool:
    """Say whether fields can be told by it."""
    return len(text) == 1 and text.isascii() and not text.isalnum() and text not in '"\r\n\0.+-'


def missing_value_of(options: TextOptions) -> float | None:
    """Return the number that stands for a missing one; None where rows with missing values are refused or left out.

    Raises
    ------
    UsageError
        The policy is unknown or its number is not finite.
    """
    policy, _, number = options.missing.partition(":")
    if options.missing in ("error", "drop"):
        return None
    if options.missing == "zero":
        return 0.0
    from mr_ml.readers.csv.numbers import is_decimal

    if policy == "value" and is_decimal(number) and math.isfinite(float(number)):
        return float(number)
    raise UsageError(f"expected `missing` error, drop, zero or value:<finite number>, found {options.missing!r}")
