"""Arrays as an .npz file, read without pickle."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.data import stored
from mr_ml.errors import BadDataError


def to_npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the bytes of an .npz file; the same arrays give the same bytes.

    Raises
    ------
    TypeError
        If an array holds Python objects: numpy would pickle them, and cannot be told not to before version 2.2.
    """
    objects = [name for name, array in arrays.items() if array.dtype.hasobject]
    if objects:
        raise TypeError(f"expected arrays of numbers, found Python objects in {', '.join(objects)}")
    out = io.BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez(out, **named)
    return out.getvalue()


def from_npz(data: bytes, *, where: str) -> dict[str, NDArray[Any]]:
    """Undo `to_npz`.

    Raises
    ------
    BadDataError
        If the file is damaged or holds Python objects.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("a member is not an array")
        return arrays
    # on damaged files zipfile and numpy raise whatever comes up, from NotImplementedError to SyntaxError
    except Exception as error:
        raise BadDataError(f"{where}: not an undamaged .npz file: {error}; restore it") from error


def check_arrays(
    arrays: Mapping[str, NDArray[Any]],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    whole: Collection[str] = (),
    where: str,
) -> None:
    """Hold what a file has against what it must have.

    Parameters
    ----------
    shapes
        Shape of each array, of float64.
    whole
        Those that are of int64 instead.

    Raises
    ------
    BadDataError
        If an array is not there or is another one, or one is there that should not be.
    """
    if arrays.keys() != shapes.keys():
        names = stored.shown(sorted(arrays))
        raise BadDataError(f"{where}: expected the arrays {sorted(shapes)}, found {names}; {stored.REMEDY}")
    for name, array in arrays.items():
        dtype = np.dtype(np.int64 if name in whole else np.float64)
        if (array.dtype, array.shape) != (dtype, shapes[name]):
            raise BadDataError(
                f"{where}: expected {dtype} of shape {shapes[name]} as {name}, found {array.dtype} of shape "
                f"{array.shape}; {stored.REMEDY}"
            )
