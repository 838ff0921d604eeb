"""Arrays that numpy saved: `coef.npz` of a published model, and what a user of scikit-learn saves.

    numpy.savez("model.npz", coef=m.coef_, intercept=m.intercept_, feature_names=list(names), classes=list(m.classes_))

Nothing pickled is read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.coefficients.base import MOST_BYTES, CoefficientFile, Coefficients, checked
from mr_ml.data import stored
from mr_ml.data.npz import from_npz
from mr_ml.errors import BadDataError

_SAVE = "numpy.savez(FILE, coef=..., intercept=..., feature_names=list(...), classes=list(...))"
# of `coef.npz` alone; see `mr_ml.models.linear.kind.model.arrays_of`
_OURS = ("features", "shift_ids", "shift_by", "shift_target", "shifted_intercept")
# what an export as sklearn says besides; see `mr_ml.exports.as_sklearn.arrays_of`
_EXPORTED = ("loss", "schema")
_KNOWN = ("coef", "intercept", "feature_names", "classes", *_OURS, *_EXPORTED)


class NumpyArrays:
    """See `mr_ml.coefficients.base.CoefficientFile`."""

    title = "arrays that numpy.savez wrote, such as coef.npz of a model"

    def knows(self, data: bytes) -> bool:
        """See `CoefficientFile.knows`."""
        return data.startswith(b"PK\x03\x04")

    def read(self, data: bytes, *, where: str) -> Coefficients:
        """See `CoefficientFile.read`."""
        _check_sizes(data, where=where)
        arrays = from_npz(data, where=where)
        unknown = sorted(arrays.keys() - set(_KNOWN))
        if unknown or not {"coef", "intercept"} <= arrays.keys():
            raise BadDataError(
                f"{where}: expected the arrays coef and intercept, and perhaps feature_names and classes, found "
                f"{stored.shown(sorted(arrays))}; save them by {_SAVE}"
            )
        return checked(_coefficients(arrays, where=where), where=where)


def _check_sizes(data: bytes, *, where: str) -> None:
    """Raise BadDataError if the arrays take more memory than the file may: packed zeros take next to nothing."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for member in packed.infolist():
                with packed.open(member) as file:
                    version = np.lib.format.read_magic(file)
                    readers = {
                        (1, 0): np.lib.format.read_array_header_1_0,
                        (2, 0): np.lib.format.read_array_header_2_0,
                    }
                    # version 3 is of names of fields alone
                    shape, _, dtype = readers[version](file)
                    if dtype.hasobject:
                        raise BadDataError(
                            f"{where}: expected arrays of numbers and texts, found Python objects in "
                            f"{stored.shown(member.filename)}, which only a pickle can hold, and that is never read; "
                            f"save lists: {_SAVE}"
                        )
                    if dtype.itemsize * int(np.prod(shape, dtype=object)) > member.file_size:
                        raise BadDataError(f"{where}: the array {stored.shown(member.filename)} is cut off")
            total = sum(member.file_size for member in packed.infolist())
    except BadDataError:
        raise
    # on damaged files zipfile and numpy raise whatever comes up
    except Exception as error:
        raise BadDataError(
            f"{where}: expected arrays as numpy.savez writes them, found a file that is damaged, or another one: "
            f"{stored.shown(str(error))}"
        ) from None
    if total > MOST_BYTES:
        raise BadDataError(f"{where}: expected arrays of at most {MOST_BYTES} bytes, found {total}")


def _coefficients(arrays: Mapping[str, NDArray[Any]], *, where: str) -> Coefficients:
    coef = np.atleast_2d(_numbers(arrays, "coef", where=where))
    intercept = np.atleast_1d(_numbers(arrays, "intercept", where=where))
    if coef.ndim != 2 or intercept.ndim != 1:
        raise BadDataError(
            f"{where}: expected coef of shape (n_outputs, n_features) and intercept of shape (n_outputs,), found "
            f"{coef.shape} and {intercept.shape}"
        )
    # scikit-learn's without an intercept have a single 0
    if intercept.shape == (1,) and not intercept[0]:
        intercept = np.zeros(len(coef))
    n = coef.shape[1]
    centres = None
    if "shift_ids" in arrays:
        centres, intercept = _shift(arrays, coef, where=where)
    names, places = None, None
    notes: tuple[str, ...] = ()
    if "feature_names" in arrays:
        names = _texts(arrays, "feature_names", where=where)
    else:
        places = _whole(arrays, "features", where=where) if "features" in arrays else np.arange(n, dtype=np.int64)
        notes = ("it has no feature_names: its columns are taken as the features of the dataset in their order",)
    labels = _texts(arrays, "classes", where=where) if "classes" in arrays else ()
    return Coefficients(
        weights=coef, intercepts=intercept, centres=centres, names=names, places=places, labels=labels, notes=notes
    )


def _shift(
    arrays: Mapping[str, NDArray[Any]], coef: NDArray[np.float64], *, where: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what a model of ours takes off its features, and the intercepts of what is then left."""
    lacking = set(_OURS[1:]) - arrays.keys()
    if lacking:
        raise BadDataError(f"{where}: expected the arrays {', '.join(sorted(lacking))} beside shift_ids, found none")
    ids, by = _whole(arrays, "shift_ids", where=where), _numbers(arrays, "shift_by", where=where)
    target, left = (_numbers(arrays, name, where=where) for name in ("shift_target", "shifted_intercept"))
    n = coef.shape[1]
    if ids.shape != by.shape or target.shape != () or left.shape != (len(coef),) or ((ids < 0) | (ids >= n)).any():
        raise BadDataError(f"{where}: expected shift_ids of {n} features with a shift_by each, found others")
    centres = np.zeros(n)
    centres[ids] = by
    return centres, left + target


def _numbers(arrays: Mapping[str, NDArray[Any]], name: str, *, where: str) -> NDArray[np.float64]:
    if arrays[name].dtype.kind not in "fiu":
        raise BadDataError(f"{where}: expected numbers as {name}, found {arrays[name].dtype}")
    with np.errstate(over="ignore"):
        return arrays[name].astype(np.float64)


def _whole(arrays: Mapping[str, NDArray[Any]], name: str, *, where: str) -> NDArray[np.int64]:
    if arrays[name].dtype.kind not in "iu" or arrays[name].ndim != 1:
        raise BadDataError(f"{where}: expected a list of whole numbers as {name}, found {arrays[name].dtype}")
    return arrays[name].astype(np.int64)


def _texts(arrays: Mapping[str, NDArray[Any]], name: str, *, where: str) -> tuple[str, ...]:
    array = arrays[name]
    if array.ndim != 1 or array.dtype.kind not in "Ufiub":
        raise BadDataError(f"{where}: expected a list of texts or numbers as {name}, found {array.dtype}")
    texts = tuple(map(str, array.tolist()))
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise BadDataError(f"{where}: expected {name} that UTF-8 can write, found others") from None
    return texts


KIND: CoefficientFile = NumpyArrays()
