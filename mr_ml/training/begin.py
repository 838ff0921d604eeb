"""What a training begins with that is in a file: read, known by its digest, and kept in the folder of the run.

    place --look_at--> WarmFile, in the spec     bytes --Session.fit--> runs/RUN/warm_start --kept--> Coefficients

So a run that goes on needs the file no more, and one that was changed meanwhile is not taken for the one that was
looked at.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hdfs_layout import NotFoundError, Root, open_store, scheme_of
from mr_ml.coefficients import COEFFICIENT_FILES
from mr_ml.coefficients.base import MOST_BYTES, Coefficients
from mr_ml.data import stored
from mr_ml.data.npz import to_npz
from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.base import TrainSpec
from mr_ml.models.warm_start import WarmFile
from mr_ml.readers.rows import excerpt, listed

Read = Callable[[], bytes]

_PARAMETER = "warm_start_from"
# What people have that is never read, by how it begins.
_REFUSED = {
    b"\x80": "a pickle runs what is in it; save arrays instead: numpy.savez(FILE, coef=..., intercept=..., "
    "feature_names=list(...), classes=list(...))",
    b"\x1f\x8b": "decompress it first",
    b"\x28\xb5\x2f\xfd": "decompress it first",
}
_BINARY_VW = b"\0\0\0"


def look_at(given: Any, format: str | None) -> tuple[WarmFile, Read]:
    """Return what the spec of a training says of a file of coefficients, and what reads it.

    Parameters
    ----------
    given
        Path, URI, or arrays by the names that `mr_ml.coefficients.numpy_arrays` has.
    format
        One of `COEFFICIENT_FILES`; None to find out.

    Raises
    ------
    UsageError
        If there is no such file or format.
    BadDataError
        If it is of no format that is known, or is not as it should be.
    """
    read, name = _source(given)
    data = read()
    if format is None:
        format = _format_of(data, name)
    digest = hashlib.sha256(data).hexdigest()
    found = WarmFile(name=name, format=format, sha256=digest)
    # what is wrong with it is said before there is a run
    coefficients_in(data, found)

    def again() -> bytes:
        data = read()
        if hashlib.sha256(data).hexdigest() != digest:
            raise UsageError(f"`{_PARAMETER}`: {name} was changed while it was read; try again")
        return data

    return found, again


def coefficients_in(data: bytes, file: WarmFile) -> Coefficients:
    """Return what is in a file; BadDataError if it is not as it should be."""
    return COEFFICIENT_FILES.get(file.format).read(data, where=file.name)


def kept(root: Root, run: str, file: WarmFile) -> bytes:
    """Return what is kept in the folder of a run of the file that it begins with.

    Raises
    ------
    BadDataError
        If it is not there any more, or another one.
    """
    path = root.layout.run_warm_start(run)
    where = root.store.uri(path)
    try:
        data = root.store.read(path)
    except NotFoundError:
        raise BadDataError(
            f"{where}: expected a copy of {file.name}, which the run begins with, found none; train anew with "
            f"`{_PARAMETER}`"
        ) from None
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise BadDataError(f"{where}: expected sha256 {file.sha256}, found another one; {stored.REMEDY}")
    return data


def begin_data(root: Root, spec: TrainSpec, kept_by: str | None, known: Mapping[str, Read]) -> bytes | None:
    """Return the file that a run of this spec will begin with; None if with none.

    Parameters
    ----------
    kept_by
        A run that began with it, such as the one that this one continues, or the tuning that it is a part of.
    known
        What reads files that were looked at, by their digests.
    """
    file = spec.warm_start_from
    if file is None:
        return None
    if file.sha256 in known:
        return known[file.sha256]()
    if kept_by is None:
        raise UsageError(f"`{_PARAMETER}`: expected {file.name} to have been looked at in this session")
    return kept(root, kept_by, file)


def check_is_no_file(reference: str) -> None:
    """Raise UsageError if what is no model is a file here."""
    if os.path.isfile(reference):
        raise UsageError(
            f"`warm_start`: expected the name of a model, found {excerpt(reference.encode(errors='replace'))}, which "
            f"is a file; begin with the coefficients in it by `{_PARAMETER}`"
        )


def _source(given: Any) -> tuple[Read, str]:
    """Return what reads the bytes, and what they are called."""
    if isinstance(given, Mapping):
        data = _arrays(given)
        return lambda: data, "arrays"
    place = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not place or not isinstance(place, str) or "\0" in place:
        raise UsageError(f"`{_PARAMETER}`: expected a path, or a dict of arrays, found {stored.shown(given)}")
    name = excerpt(os.path.basename(place.rstrip("/")).encode(errors="surrogateescape")) or place
    return (lambda: _stored(place)) if scheme_of(place) else (lambda: _local(place)), name


def _local(place: str) -> bytes:
    path = Path(place).expanduser()
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"`{_PARAMETER}`: expected a file, found {stored.shown(place)}, which is none")
        _check_size(found.st_size, place)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"`{_PARAMETER}`: cannot read {stored.shown(place)}: {said}") from None


def _stored(place: str) -> bytes:
    folder, _, name = place.rpartition("/")
    if not name or not folder.partition("://")[2]:
        raise UsageError(
            f"`{_PARAMETER}`: expected a file, such as hdfs:///user/me/model.npz, found {stored.shown(place)}"
        )
    store = open_store(folder)
    try:
        _check_size(store.size(name), place)
        return store.read(name)
    except NotFoundError as error:
        raise UsageError(f"`{_PARAMETER}`: {error}") from None


def _check_size(size: int, place: str) -> None:
    if size > MOST_BYTES:
        raise BadDataError(
            f"`{_PARAMETER}`: expected a file of at most {MOST_BYTES} bytes, found {size} in {stored.shown(place)}"
        )


def _format_of(data: bytes, name: str) -> str:
    for format in COEFFICIENT_FILES:
        if COEFFICIENT_FILES.get(format).knows(data):
            return format
    if not data:
        raise BadDataError(f"{name}: expected coefficients of a model, found an empty file")
    hint = next((f"; {said}" for begin, said in _REFUSED.items() if data.startswith(begin)), "")
    if data[1:4] == _BINARY_VW:
        hint = "; write a model of Vowpal Wabbit as text, by --invert_hash"
    known = ", ".join(f"{COEFFICIENT_FILES.get(format).title} ({format})" for format in COEFFICIENT_FILES)
    raise BadDataError(
        f"{name}: expected coefficients of a model as {known}; found a file that begins with "
        f"{stored.shown(data[:20])}{hint}"
    )


def _arrays(given: Mapping[Any, Any]) -> bytes:
    """Return arrays as numpy.savez writes them, texts that are objects of Python as texts."""
    arrays = {}
    for name, value in given.items():
        array = np.asarray(value)
        if array.dtype.hasobject:
            array = np.array([str(item) for item in array.ravel().tolist()]).reshape(array.shape)
        arrays[stored.chosen(str, name, _PARAMETER)] = array
    try:
        return to_npz(arrays)
    # names that no member of a file can have
    except (TypeError, ValueError) as error:
        raise UsageError(f"`{_PARAMETER}`: {listed([str(error)])}") from None
