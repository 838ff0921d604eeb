"""The kind of linear models on the driver; what its map tasks do is in `mr_ml.models.linear`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.models.linear.kind.model import LinearModel, model_of
from mr_ml.models.linear.kind.problem import LinearProblem
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.readers.schema import Schema


class LinearKind:
    """See `mr_ml.models.base.ModelKind`."""

    spec = LinearSpec

    def problem(self, spec: LinearSpec, dataset: Dataset, moments: FeatureMoments) -> LinearProblem:
        """Return what a spec and a dataset determine; see `ModelKind.problem`."""
        return LinearProblem.of(spec, dataset, moments)

    def model(
        self, *, name: str, version: int, spec: LinearSpec, schema: Schema, classes: tuple[float, ...],
        manifest: Mapping[str, Any], arrays: dict[str, NDArray[Any]], where: str,
    ) -> LinearModel:  # fmt: skip
        """Return the model that `Conclusion.arrays` describe; see `ModelKind.model`."""
        return model_of(
            name=name, version=version, spec=spec, schema=schema, classes=classes, manifest=manifest, arrays=arrays,
            where=where,
        )  # fmt: skip


LINEAR = LinearKind()
