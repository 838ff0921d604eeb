"""What a checkpoint's files say besides the optimizer's numbers: whose they are, and a seal over all of it.

A state that was copied from another run, or that belongs to what a spec or dataset once was, is as whole as any other,
and would be published as this run's model. So every file names its owner, and is held against who reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.spec import TrainSpec
from mr_ml.data import frame, stored
from mr_ml.errors import BadDataError
from mr_ml.optimize.line_search import LineState

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Owner:
    """What the files of a checkpoint belong to.

    Attributes
    ----------
    spec
        sha256 of what the run was asked to do.
    data_id
        Of the data that the dataset's version has.
    """

    run: stored.Name
    spec: stored.Sha256
    dataset: stored.Versioned
    data_id: stored.Name

    @classmethod
    def of(cls, run: str, spec: TrainSpec, dataset: Dataset) -> Owner:
        asked = json.dumps(spec.to_json(), sort_keys=True).encode()
        return cls(run, hashlib.sha256(asked).hexdigest(), dataset.reference, dataset.data_id)


class DamagedError(BadDataError):
    """A file of a checkpoint is not what was written; an older one may be."""


@dataclass(frozen=True)
class _Sealed:
    """What stands in the frame's header."""

    owner: Owner
    sha256: stored.Sha256
    content: dict[str, Any]


def seal(kind: str, content: Mapping[str, Any], arrays: Arrays, *, owner: Owner) -> bytes:
    """A file of a checkpoint."""
    outer = {"owner": asdict(owner), "sha256": _sha256(content, arrays, owner), "content": content}
    return frame.encode(kind, outer, arrays)


def unseal(data: bytes, *, kind: str, owner: Owner, where: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Undo `seal`.

    Raises
    ------
    DamagedError
        If it is not what was written.
    BadDataError
        If it is of another run, spec or dataset, or of a mr_ml that did not say so.
    """
    try:
        opened = frame.decode(data, kind=kind, where=where)
        sealed = stored.read(_Sealed, dict(opened.meta), where=where) if "owner" in opened.meta else None
    except BadDataError as error:
        raise DamagedError(str(error)) from error
    if sealed is None:
        raise BadDataError(
            f"{where}: written by an earlier mr_ml, which did not say what it belongs to; end the run with that "
            "one, or train anew"
        )
    if sealed.sha256 != _sha256(sealed.content, opened.arrays, sealed.owner):
        raise DamagedError(f"{where}: expected content of sha256 {sealed.sha256}, found another")
    for name, expected in asdict(owner).items():
        found = getattr(sealed.owner, name)
        if found != expected:
            words = _WORDS[name]
            raise BadDataError(
                f"{where}: expected a state of {words} {expected}, found one of {found}: it was copied here, or the "
                f"{words} is no longer what it was; remove {where.rpartition('/')[0]} and resume again, or train anew"
            )
    return sealed.content, dict(opened.arrays)


def check_state(state: LineState, *, size: int, n_passes: int) -> None:
    """Raise ValueError if an optimizer cannot have been in this state after so many passes over a problem of this size.

    A value or slope may be infinite or not a number, where the objective overflows; a point never is.
    """
    for name, value in vars(state).items():
        pairs = name in ("pairs_s", "pairs_y")
        for vector in value if pairs else [value] if isinstance(value, np.ndarray) else ():
            # a unit that is not known yet is one for all
            shapes = ((size,), (1,)) if name == "unit" else ((size,),)
            if vector.shape not in shapes or vector.dtype not in ((np.float32, np.float64) if pairs else (np.float64,)):
                raise ValueError(f"{name} of {vector.dtype} and shape {vector.shape}, expected float64, {(size,)}")
    numbers = [getattr(state, item.name) for item in fields(state) if item.type == "float"]
    if any(type(number) is not float for number in (*numbers, *state.steps)):
        raise ValueError(f"numbers {numbers} and steps {state.steps}")
    counts = [getattr(state, item.name) for item in fields(state) if item.type == "int"]
    if any(type(n) is not int or n < 0 for n in counts) or state.n_passes != n_passes or state.n_iterations > n_passes:
        raise ValueError(f"counts {counts} after {n_passes} passes")
    if state.chosen >= len(state.steps) or len(state.pairs_s) != len(state.pairs_y):
        raise ValueError(f"{len(state.steps)} steps, {len(state.pairs_s)} and {len(state.pairs_y)} vectors of pairs")
    if not (np.isfinite(state.point).all() and np.isfinite(state.steps).all()):
        raise ValueError("a point or steps that are not finite")


_WORDS = {"run": "run", "spec": "spec", "dataset": "dataset", "data_id": "packed data"}


def _sha256(content: Mapping[str, Any], arrays: Arrays, owner: Owner) -> str:
    digest = hashlib.sha256(json.dumps([asdict(owner), content], sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
