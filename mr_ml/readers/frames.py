"""Tables in memory: what a data frame is taken for, of whatever library, none of which is needed or imported.

A frame is what names its columns: of pandas or polars (``columns``), a table of pyarrow (``column_names``), or a
mapping of names to sequences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError

# What a value that is missing is called where it is an object: pandas has one of its own for numbers and one for times.
_MISSING = ("NoneType", "NAType", "NaTType")

# How the names of types of floats begin, of numpy, pandas, polars and pyarrow.
_FLOATS = ("float", "double", "halffloat")


@dataclass(frozen=True, eq=False)
class Frame:
    """A table in memory.

    Attributes
    ----------
    names
        Of its columns, which are all different.
    n_rows
        So many has each column.
    """

    names: tuple[str, ...]
    n_rows: int
    _columns: Mapping[str, Any]

    def values(self, name: str) -> list[Any]:
        """Return the values of a column as Python has them; None for a missing one."""
        column = self._columns[name]
        listed: list[Any] = column.to_pylist() if hasattr(column, "to_pylist") else plain_list(column)
        return [None if _is_missing(value) else _plain(value) for value in listed]

    def numbers(self, name: str) -> NDArray[Any] | None:
        """Return a column of whole numbers or of float64, NaN where one is missing, (n_rows,); None if of others.

        Whole numbers of which some are missing are others: of these numpy makes floats, which are written otherwise.
        """
        held = self._columns[name]
        try:
            column = np.asarray(held)
        except (TypeError, ValueError):
            return None
        if column.dtype.kind == "f":
            type_ = str(getattr(held, "dtype", getattr(held, "type", "")))
            return column.astype(np.float64) if type_.lower().startswith(_FLOATS) else None
        return column if column.dtype.kind in "iu" else None


def frame_of(x: Any) -> Frame | None:
    """Return a table in memory, or None if this does not name its columns, as arrays and matrices do not.

    Raises
    ------
    UsageError
        If two columns have one name, or columns are not equally long.
    """
    names: Any
    if isinstance(x, Mapping):
        names = list(x)
    elif hasattr(x, "column_names"):
        names = list(x.column_names)
    elif hasattr(x, "columns"):
        names = list(x.columns)
    else:
        return None
    texts = [str(name) for name in names]
    if len(set(texts)) < len(texts):
        twice = next(text for text in texts if texts.count(text) > 1)
        raise UsageError(f"expected a data frame whose columns have names of their own, found {twice!r} twice")
    columns = {text: x[name] for text, name in zip(texts, names, strict=True)}
    try:
        lengths = {len(column) for column in columns.values()}
    except TypeError:
        raise UsageError("expected columns with a value for each row, such as lists; found single values") from None
    if len(lengths) > 1:
        raise UsageError(f"expected columns of one length, found {sorted(lengths)} rows")
    return Frame(tuple(texts), lengths.pop() if lengths else 0, columns)


def plain_list(column: Any) -> list[Any]:
    """Return a column as a list."""
    for name in ("to_list", "tolist"):
        if hasattr(column, name):
            listed: list[Any] = getattr(column, name)()
            return listed
    return list(column)


def _plain(value: Any) -> Any:
    """Return a number of numpy as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def _is_missing(value: Any) -> bool:
    return type(value).__name__ in _MISSING or (isinstance(value, float) and math.isnan(value))
