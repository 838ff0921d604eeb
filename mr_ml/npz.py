"""Arrays as an .npz file, read without pickle."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.errors import BadDataError


def to_npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The file's bytes; the same arrays give the same bytes.

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
