"""Published versions of models: manifests and the files that they name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypedDict

from hdfs_layout import Root, Version, parse_reference, publish_version_once, read_version
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import CoefEntry, StoredFile
from mr_ml.catalog.decision import Decision
from mr_ml.catalog.promotions import named_version
from mr_ml.catalog.provenance import Provenance
from mr_ml.catalog.tuning import Tuned
from mr_ml.data import stored
from mr_ml.data.npz import from_npz, to_npz
from mr_ml.errors import BadDataError, NotFoundError
from mr_ml.models.base import MODEL_KINDS, Arrays, Model, TrainSpec
from mr_ml.readers.schema import Schema

# Of the files of arrays that this release reads; 1 if a manifest says none.
_FORMAT = 3


class _Training(TypedDict):
    solver: str
    passes: stored.Count
    objective: float
    gradient_norm: stored.NotNegative
    converged: bool
    stop: str


class Training(_Training, total=False):
    """The result of a training; earlier releases wrote no warnings, nor why the solver was the one."""

    warnings: tuple[str, ...]
    solver_why: str


@dataclass(frozen=True, kw_only=True)
class ModelManifest:
    """The manifest of a model; one that was retrained has `decision` and `provenance`, one that was tuned `tuned`."""

    kind: Literal["model"] = "model"
    run: stored.Name
    spec: TrainSpec
    dataset: stored.Versioned
    schema: Schema
    classes: tuple[float, ...]
    n_rows: stored.Positive
    training: Training
    coef: CoefEntry
    decision: Decision | None = None
    provenance: Provenance | None = None
    tuned: Tuned | None = None

    may_lack: ClassVar[frozenset[str]] = frozenset({"decision", "provenance", "tuned"})

    def check_stored(self) -> None:
        """Raise ValueError if the parts do not agree."""
        if self.spec.dataset != self.dataset:
            raise ValueError(f"dataset {self.dataset}, that of spec {self.spec.dataset}")
        # those that have rows in the split
        if self.classes != tuple(code for code in self.schema.codes if code in self.classes):
            raise ValueError(f"classes {stored.shown(self.classes)}, labels {stored.shown(self.schema.labels)}")
        self.spec.check_classes(self.classes)


def publish_model(
    root: Root, *, name: str, run: str, arrays: Arrays, document: Mapping[str, Any], format: int | None = None,
    after: int = 0,
) -> int:  # fmt: skip
    """Write the arrays, then publish the manifest; the same run publishes once however often this is called.

    Parameters
    ----------
    arrays, format
        As of `mr_ml.models.base.Conclusion`.
    after
        A version that was there before the run was.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    path = root.layout.coef(name, run)
    data = to_npz(arrays)
    root.store.write(path, data)
    file: dict[str, Any] = {"uri": path, "sha256": hashlib.sha256(data).hexdigest()}
    if format is not None:
        file["format"] = format
    manifest = {**document, "kind": "model", "run": run, "coef": file}
    return publish_version_once(root.store, root.layout.model(name), manifest, key="run", after=after)


def read_manifest(root: Root, name: str, number: int | None = None) -> tuple[ModelManifest, Version]:
    """Return what was published of a model, without its coefficients; raises as `load_model`."""
    version = read_version(root.store, root.layout.model(name), number)
    where = root.store.uri(version.path)
    manifest = stored.read(ModelManifest, version.document, where=where)
    if manifest.spec.model != name:
        raise BadDataError(
            f"{where}: expected the manifest of {name}, found that of {manifest.spec.model}; {stored.REMEDY}"
        )
    return manifest, version


def load_model(root: Root, reference: str) -> Model:
    """Open ``name`` (the promoted version, the latest if the model is not managed), ``name@3`` or ``name@latest``.

    Raises
    ------
    UsageError
        If the reference is not one.
    StorageError
        If there is no such model, or none of its versions is promoted.
    BadDataError
        If the log of its promotions, its manifest or coefficients are damaged, or of a newer mr_ml.
    """
    wanted = parse_reference(reference, kind="model")
    meant = named_version(root, wanted)
    try:
        manifest, version = read_manifest(root, wanted.name, meant)
    except NotFoundError as error:
        if meant is None or wanted.version is not None:
            raise
        raise NotFoundError(
            f"{error} {wanted.name} means {wanted.name}@{meant}, which is gone: promote another one, "
            f"`mr-ml models promote {wanted.name}@N`"
        ) from None
    file = StoredFile(manifest.coef["uri"], manifest.coef["sha256"])
    where = root.store.uri(file.path)
    arrays = from_npz(file.read(root.store), where=where)
    if (number := manifest.coef.get("format", 1)) > _FORMAT:
        raise BadDataError(
            f"{root.store.uri(version.path)}: expected coefficients of format {_FORMAT} at most, found {number}; "
            "upgrade mr_ml to read them"
        )
    return MODEL_KINDS.get(manifest.spec.kind).model(
        name=wanted.name,
        version=version.number,
        spec=manifest.spec,
        schema=manifest.schema,
        classes=manifest.classes,
        manifest=version.document,
        arrays=arrays,
        where=where,
    )
