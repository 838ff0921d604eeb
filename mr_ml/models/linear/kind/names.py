"""What the file of the coefficients says of itself: what its columns and classes are called.

For whoever takes that file alone; mr_ml itself reads names and classes in the manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.data import stored
from mr_ml.errors import BadDataError
from mr_ml.readers.labels import label_texts
from mr_ml.readers.schema import Schema

Texts = NDArray[np.str_]

# A text takes the place of the longest one, 4 bytes a character: one long name among many must not swell the file.
MAX_BYTES = 16 << 20


def named(schema: Schema, classes: tuple[float, ...], features: NDArray[np.int32] | None) -> dict[str, NDArray[Any]]:
    """Return the arrays of names, those that there are.

    Parameters
    ----------
    classes
        Of the model; none if what is predicted are numbers.
    features
        Of which the coefficients are, counted from 0; None for all.

    Returns
    -------
    dict
        ``feature_names``, (n,), in the order of the coefficients, where features have names, and ``classes``, (n,), as
        users write labels, where there are classes; either only if it takes `MAX_BYTES` at most, and is what it was
        when it is read again: numpy drops NUL at the end of a text.
    """
    names = schema.feature_names or ()
    if features is not None:
        names = tuple(names[j] for j in features.tolist()) if names else ()
    texts = {"feature_names": names, "classes": label_texts(schema, classes)}
    return {key: _array(values) for key, values in texts.items() if values and _fits(values)}


def check_names(
    arrays: dict[str, NDArray[Any]],
    schema: Schema,
    classes: tuple[float, ...],
    features: NDArray[np.int32] | None,
    *,
    where: str,
) -> None:
    """Take the arrays that `named` returned out of those of a file.

    Raises
    ------
    BadDataError
        If they are not those of the manifest.
    """
    expected = named(schema, classes, features)
    for key in ("feature_names", "classes"):
        found = arrays.pop(key, None)
        # earlier releases wrote none
        if found is not None and not (key in expected and np.array_equal(found, expected[key])):
            raise BadDataError(
                f"{where}: expected the {key} of the manifest of the model, found others; {stored.REMEDY}"
            )


def _fits(values: Sequence[str]) -> bool:
    size = 4 * len(values) * max(map(len, values))
    return size <= MAX_BYTES and not any(value.endswith("\0") for value in values)


def _array(values: Sequence[str]) -> Texts:
    # of one byte order, so that the file is the same everywhere
    return np.array(values, dtype=f"<U{max(1, *map(len, values))}")
