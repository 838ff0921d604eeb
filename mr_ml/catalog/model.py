"""A model: coefficients in raw feature space with everything needed to use them, published as a version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import Root, Version, parse_reference, publish_version_once, read_version
from mr_ml.catalog.dataset import CoefEntry, StoredFile
from mr_ml.catalog.feature_moments import checked_features
from mr_ml.catalog.spec import TrainSpec
from mr_ml.data import stored
from mr_ml.data.npz import check_arrays, from_npz, to_npz
from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.losses.base import Loss
from mr_ml.models.linear.shift import NO_SHIFT, Shift
from mr_ml.readers.schema import Schema

Floats = NDArray[np.float64]

# Of coef.npz: 1 has the coefficients of all features, which is still written where it is not wasteful; 2 those of
# `features`.
_FORMAT = 2


class _Training(TypedDict):
    solver: str
    passes: stored.Count
    objective: float
    gradient_norm: stored.NotNegative
    converged: bool
    stop: str


class Training(_Training, total=False):
    """What became of it; earlier releases wrote no warnings."""

    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ModelManifest:
    """What is published of a model."""

    kind: Literal["model"] = "model"
    run: stored.Name
    spec: TrainSpec
    dataset: stored.Versioned
    schema: Schema
    classes: tuple[float, ...]
    n_rows: stored.Positive
    training: Training
    coef: CoefEntry

    def check_stored(self) -> None:
        if self.spec.dataset != self.dataset:
            raise ValueError(f"dataset {self.dataset}, that of spec {self.spec.dataset}")
        # those that have rows in the split
        if self.classes != tuple(code for code in self.schema.codes if code in self.classes):
            raise ValueError(f"classes {stored.shown(self.classes)}, labels {stored.shown(self.schema.labels)}")
        try:
            loss_from_json(self.spec.loss).n_outputs(len(self.classes))
        except UsageError as error:
            raise ValueError(str(error)) from None


@dataclass(frozen=True, eq=False)
class Model:
    """One version of a model.

    Attributes
    ----------
    coef
        (n_outputs, n_features + 1), or (n_outputs, n + 1) if there are `features`; raw feature space, intercept last.
    features : int32 (n,), or None
        Which features the coefficients are of, counted from 0 and ascending; those of all others are 0. None for all.
    shift, reading_coef
        What was taken off features and targets in training, and the coefficients of what is then left: the same
        function, with the digits that an intercept at the origin has no room for.
    classes
        Label values of the outputs as the schema codes them; empty for regression.
    manifest
        The published document: spec, dataset version, run, training result, uri and checksum of the coefficients.
    """

    name: str
    version: int
    loss: Loss
    schema: Schema
    classes: tuple[float, ...]
    coef: Floats
    features: NDArray[np.int32] | None
    shift: Shift
    reading_coef: Floats
    manifest: Mapping[str, Any]

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def n_features(self) -> int:
        return self.schema.n_features

    @property
    def nbytes(self) -> int:
        """Bytes of the coefficients."""
        return self.coef.nbytes + (0 if self.features is None else self.features.nbytes)

    def feature(self, k: int) -> int:
        """Which feature, counted from 0, the coefficients at k are of."""
        return k if self.features is None else int(self.features[k])

    @property
    def label_texts(self) -> list[str]:
        """The classes as users write them."""
        return label_texts(self.schema, self.classes)

    def predict(self, margins: Floats) -> Floats:
        """Probabilities (n_rows, n_classes), or predicted values (n_rows, 1)."""
        return self.loss.inverse_link(margins)


def label_texts(schema: Schema, classes: tuple[float, ...]) -> list[str]:
    """Labels as users write them, different ones different; `classes` as the schema codes them."""
    if schema.label_kind == "text":
        return [str(schema.labels[int(c)]) for c in classes]
    return [f"{c:.0f}" if c.is_integer() and abs(c) < 1e16 else repr(c) for c in classes]


def publish_model(
    root: Root, *, name: str, run: str, coef: Floats, shift: Shift, document: Mapping[str, Any],
    features: NDArray[np.int32] | None = None, after: int = 0,
) -> int:  # fmt: skip
    """Write the coefficients, then publish the manifest; the same run publishes once however often this is called.

    `coef` (n_outputs, n_features + 1), or only of the `features`, is that of rows less the shift; `after` is a version
    that was there before the run was.

    Raises
    ------
    BadDataError
        If a coefficient is not finite.
    StorageError
        If it cannot be written.
    """
    if not (np.isfinite(coef).all() and np.isfinite(shift.intercepts(coef)).all()):
        raise BadDataError(f"coefficients of {name} are too large for floating point; look for features of tiny range")
    path = root.layout.coef(name, run)
    arrays = {"coef": coef[:, :-1], "intercept": shift.intercepts(coef)}
    if features is not None:
        arrays["features"] = features.astype(np.int64)
    if shift:
        arrays.update(
            shift_ids=np.array(shift.ids, np.int64), shift_by=np.array(shift.by), shift_target=np.array(shift.target),
            shifted_intercept=coef[:, -1],
        )  # fmt: skip
    data = to_npz(arrays)
    root.store.write(path, data)
    file: dict[str, Any] = {"uri": path, "sha256": hashlib.sha256(data).hexdigest()}
    if features is not None:
        file["format"] = _FORMAT
    manifest = {**document, "kind": "model", "run": run, "coef": file}
    return publish_version_once(root.store, root.layout.model(name), manifest, key="run", after=after)


def read_manifest(root: Root, name: str, number: int | None = None) -> tuple[ModelManifest, Version]:
    """What was published of a model, without its coefficients; raises as `load_model`."""
    found = read_version(root.store, root.layout.model(name), number)
    where = root.store.uri(found.path)
    manifest = stored.read(ModelManifest, found.document, where=where)
    if manifest.spec.model != name:
        raise BadDataError(
            f"{where}: expected the manifest of {name}, found that of {manifest.spec.model}; {stored.REMEDY}"
        )
    return manifest, found


def load_model(root: Root, reference: str) -> Model:
    """Open ``name`` (latest version) or ``name@3``.

    Raises
    ------
    UsageError
        If the reference is not one.
    StorageError
        If there is no such model.
    BadDataError
        If its manifest or coefficients are damaged.
    """
    asked = parse_reference(reference, kind="model")
    manifest, found = read_manifest(root, asked.name, asked.version)
    schema, spec, file = manifest.schema, manifest.spec, StoredFile(manifest.coef["uri"], manifest.coef["sha256"])
    where = root.store.uri(file.path)
    arrays = from_npz(file.read(root.store), where=where)
    if (number := manifest.coef.get("format", 1)) > _FORMAT:
        raise BadDataError(
            f"{root.store.uri(found.path)}: expected coefficients of format {_FORMAT} at most, found {number}; upgrade "
            "mr_ml to read them"
        )
    features = arrays.pop("features", None)
    if features is not None:
        features = checked_features(features, schema.n_features, where=where)
    d = schema.n_features if features is None else len(features)
    loss = loss_from_json(spec.loss)
    k = loss.n_outputs(len(manifest.classes))
    shapes: dict[str, tuple[int, ...]] = {"coef": (k, d), "intercept": (k,)}
    if "shift_ids" in arrays:
        n = arrays["shift_ids"].size
        shapes |= {"shift_ids": (n,), "shift_by": (n,), "shift_target": (), "shifted_intercept": (k,)}
    check_arrays(arrays, shapes, whole=("shift_ids",), where=where)
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise BadDataError(f"{where}: expected finite coefficients, found others; {stored.REMEDY}")
    coef = np.concatenate([arrays["coef"], arrays["intercept"][:, None]], axis=1)
    shift, reading_coef = NO_SHIFT, coef
    if "shift_ids" in arrays:
        ids = arrays["shift_ids"].tolist()
        if ids != sorted(set(ids)) or not set(ids) <= set(range(d)):
            raise BadDataError(f"{where}: expected ids of {d} features, ascending, found others; {stored.REMEDY}")
        shift = Shift(tuple(ids), tuple(arrays["shift_by"].tolist()), float(arrays["shift_target"]))
        reading_coef = np.concatenate([arrays["coef"], arrays["shifted_intercept"][:, None]], axis=1)
    return Model(
        name=asked.name,
        version=found.number,
        loss=loss,
        schema=schema,
        classes=manifest.classes,
        coef=coef,
        features=features,
        shift=shift,
        reading_coef=reading_coef,
        manifest=found.document,
    )
