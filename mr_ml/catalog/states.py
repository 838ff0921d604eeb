"""Headers of checkpoint files: the run and dataset that they belong to, and a checksum over the whole file.

A state that was copied from another run, or that belongs to an earlier spec or dataset of the same name, is as whole as
any other, and would be published as this run's model. So every file names its owner, which is compared with the reader.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset
from mr_ml.data import frame, stored
from mr_ml.errors import BadDataError
from mr_ml.models.base import TrainSpec

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
        """Make the owner of what a run stores."""
        return cls(run, cls.digest(spec.to_json()), dataset.reference, dataset.data_id)

    @staticmethod
    def digest(document: Any) -> str:
        """Return the sha256 of a document."""
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


class DamagedError(BadDataError):
    """A file of a checkpoint is not what was written; an older one may be."""


@dataclass(frozen=True)
class _Sealed:
    """What the frame's header holds."""

    owner: Owner
    sha256: stored.Sha256
    content: dict[str, Any]


def seal(kind: str, content: Mapping[str, Any], arrays: Arrays, *, owner: Owner) -> bytes:
    """Encode a file of a checkpoint."""
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
            "one, or train again"
        )
    if sealed.sha256 != _sha256(sealed.content, opened.arrays, sealed.owner):
        raise DamagedError(f"{where}: expected content of sha256 {sealed.sha256}, found another")
    for name, expected in asdict(owner).items():
        actual = getattr(sealed.owner, name)
        if actual != expected:
            words = _WORDS[name]
            raise BadDataError(
                f"{where}: expected a state of {words} {expected}, found one of {actual}: it was copied here, or the "
                f"{words} is no longer what it was; remove {where.rpartition('/')[0]} and resume again, or train again"
            )
    return sealed.content, dict(opened.arrays)


_WORDS = {"run": "run", "spec": "spec", "dataset": "dataset", "data_id": "packed data"}


def _sha256(content: Mapping[str, Any], arrays: Arrays, owner: Owner) -> str:
    digest = hashlib.sha256(json.dumps([asdict(owner), content], sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
