"""A linear model: coefficients in raw feature space with everything needed to use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.feature_moments import FeatureMoments, checked_features
from mr_ml.data import stored
from mr_ml.data.npz import check_arrays
from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.base import Measurement, Model
from mr_ml.models.linear.kind.names import check_names, named
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.models.linear.losses import loss_from_text
from mr_ml.models.linear.losses.base import Loss
from mr_ml.models.linear.shift import NO_SHIFT, Shift
from mr_ml.models.metric_choices import NO_CHOICES, MetricChoices
from mr_ml.readers.schema import Schema
from mr_ml.sums.blas import one_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mr_ml.models.difference import Difference
    from mr_ml.models.formula import Formula
    from mr_ml.models.inference import Inference, Inferring
    from mr_ml.models.linear.predictor import LinearPredictor
    from mr_ml.models.parameters import Parameters
    from mr_ml.models.rows_in_memory import Unseen

Floats = NDArray[np.float64]

# Of the file of the arrays. It has the coefficients of all features where that is not wasteful, which earlier releases
# read too; with 2 those of `features`, with 3 also names.
_OF_SOME_FEATURES = 2
_NAMED = 3


@dataclass(frozen=True, eq=False)
class LinearModel(Model):
    """One version of a linear model.

    Attributes
    ----------
    coef
        (n_outputs, n_features + 1), or (n_outputs, n + 1) if there are `features`; raw feature space, intercept last.
    features : int32 (n,), or None
        Which features the coefficients are of, counted from 0 and ascending; those of all others are 0. None for all.
    shift, reading_coef
        What was taken off features and targets in training, and the coefficients of what is then left: the same
        function, with the digits that an intercept at the origin has no room for.
    """

    loss: Loss
    coef: Floats
    features: NDArray[np.int32] | None
    shift: Shift
    reading_coef: Floats

    @property
    def nbytes(self) -> int:
        """Bytes of the coefficients."""
        return self.coef.nbytes + (0 if self.features is None else self.features.nbytes)

    @property
    def has_probabilities(self) -> bool:
        """Whether predictions of classes are probabilities."""
        return self.loss.label_domain.probable

    @property
    def outputs(self) -> list[str]:
        """What each row of coefficients is of: a class, or "coef" where there is one row."""
        return self.label_texts if len(self.coef) > 1 else ["coef"]

    @property
    def intercepts(self) -> dict[str, float]:
        """Output -> intercept."""
        return dict(zip(self.outputs, self.coef[:, -1].tolist(), strict=True))

    @property
    def coefficients(self) -> dict[str, dict[str, float]]:
        """Output -> feature name -> coefficient, of the features that rows had; those of all others are 0."""
        names = [self.schema.name_of(self.feature(k)) for k in range(self.coef.shape[1] - 1)]
        return {
            output: dict(zip(names, row[:-1].tolist(), strict=True))
            for output, row in zip(self.outputs, self.coef, strict=True)
        }

    @property
    def held(self) -> NDArray[np.int64]:
        """Which features, counted from 0 and ascending, the coefficients are of."""
        return np.arange(self.coef.shape[1] - 1) if self.features is None else self.features.astype(np.int64)

    def feature(self, k: int) -> int:
        """Return which feature, counted from 0, the coefficients at k are of."""
        return k if self.features is None else int(self.features[k])

    def predictor(self) -> LinearPredictor:
        """Return what map tasks predict rows with."""
        from mr_ml.models.linear.predictor import LinearPredictor

        return LinearPredictor(self.loss, self.reading_coef, self.shift, self.features)

    def decision_function(self, x: Any, *, offsets: Floats | None = None, unseen: Unseen | None = None) -> Floats:
        """Return margins, offsets included; see `mr_ml.models.base.Model.decision_function`."""
        from mr_ml.models.rows_in_memory import block_of

        block = block_of(self.schema, x, offsets=offsets, unseen=unseen)
        with one_thread(), np.errstate(all="ignore"):
            margins = self.predictor().margins(block)
        return margins if len(self.coef) > 1 else margins[:, 0]

    def formula(self) -> Formula:
        """Return what the model computes of a row; see `mr_ml.models.base.Model.formula`."""
        from mr_ml.models.formula import Formula

        response = self.loss.response
        if response is None:
            raise UsageError(f"{self.reference} cannot be exported: there are no words for its loss {self.loss.name}")
        centres = np.zeros(self.coef.shape[1] - 1)
        centres[list(self.shift.ids)] = self.shift.by
        return Formula(
            response=response, features=self.held, coefficients=self.reading_coef[:, :-1],
            intercepts=self.reading_coef[:, -1] + self.shift.target, centres=centres,
        )  # fmt: skip

    def measurement(
        self, dataset: Dataset, *, row_weights: bool, by_name: bool = False, choices: MetricChoices = NO_CHOICES
    ) -> Measurement:
        """Return how the model is measured on a dataset; see `mr_ml.models.base.Model.measurement`."""
        from mr_ml.models.linear.kind.measurement import measurement

        return measurement(self, dataset, row_weights=row_weights, by_name=by_name, choices=choices)

    def inferring(self, spec: LinearSpec, dataset: Dataset, moments: FeatureMoments) -> Inferring:
        """Return how it is found how sure the coefficients are; see `mr_ml.models.base.Model.inferring`."""
        from mr_ml.models.linear.kind.inference import LinearInference

        return LinearInference.of(self, spec, dataset, moments)

    def summary(self) -> str:
        """Return loss, penalty and size in a few words."""
        from mr_ml.readers.rows import counted

        spec = self.manifest["spec"]
        l1, own, bounded = spec.get("l1", 0.0), spec.get("per_feature") or {}, spec.get("non_negative", False)
        words = [
            spec["loss"], *([f"l1 {l1:g}"] if l1 else []), f"l2 {spec['l2']:g}",
            *(["not negative"] if bounded else []),
            *([f"{counted(len(own), 'feature')} with rules of their own"] if own else []),
            counted(self.n_features, "feature"),
            *([f"{self.n_nonzero} coefficients not 0"] if l1 or own or bounded else []),
        ]  # fmt: skip
        return ", ".join(words)

    @property
    def n_nonzero(self) -> int:
        """How many coefficients are not 0, intercepts aside."""
        return int(np.count_nonzero(self.coef[:, :-1]))

    def parameters(self, moments: FeatureMoments | None, inference: Inference | None) -> Parameters:
        """Return coefficients and intercepts as people read them; see `mr_ml.models.base.Model.parameters`."""
        from mr_ml.models.parameters import CoefficientTests, Parameters

        # of losses of which differences alone are determined, standard errors are those of differences
        tests = CoefficientTests.of(inference) if inference is not None and self.loss.identifiable else None
        return Parameters(
            outputs=tuple(self.outputs),
            coef=self.coef[:, :-1],
            intercepts=self.coef[:, -1],
            name_of=lambda j: self.schema.name_of(self.feature(j)),
            deviations=None if moments is None else _of_features(moments, self.held),
            ratio=self.loss.ratio,
            tests=tests,
            n_absent=self.n_features - len(self.held),
            notes=() if inference is None else inference.notes,
        )

    def difference(self, other: Model, most: int) -> Difference:
        """Return how another linear model differs; see `mr_ml.models.base.Model.difference`."""
        from mr_ml.models.linear.kind.difference import difference

        if not isinstance(other, LinearModel):
            raise UsageError(
                f"expected two models of one kind; found {self.reference}, and {other.reference} of another"
            )
        return difference(self, other, most)


def _of_features(moments: FeatureMoments, features: NDArray[np.int64]) -> Floats:
    """Return the standard deviations of some features, (n,): 0 of those that no row has."""
    weighted = moments.weighted_deviation
    deviation = moments.deviation if weighted is None else weighted
    if moments.features is None:
        return np.asarray(deviation[features])
    at = np.searchsorted(moments.features, features).clip(max=max(len(deviation) - 1, 0))
    return (
        np.where(np.take(moments.features, at) == features, np.take(deviation, at), 0.0)
        if len(deviation)
        else (np.zeros(len(features)))
    )


def arrays_of(
    coef: Floats, shift: Shift, features: NDArray[np.int32] | None, *, schema: Schema, classes: tuple[float, ...],
    name: str,
) -> tuple[dict[str, NDArray[Any]], int | None]:  # fmt: skip
    """Return what is published of coefficients, and its format.

    Parameters
    ----------
    coef
        (n_outputs, n_features + 1), or only of the `features`; of rows less the shift.
    schema, classes
        Of the model: what the columns and classes are called.
    name
        Of the model, for messages.

    Raises
    ------
    BadDataError
        If a coefficient is not finite.
    """
    if not (np.isfinite(coef).all() and np.isfinite(shift.intercepts(coef)).all()):
        raise BadDataError(f"coefficients of {name} are too large for floating point; look for features of tiny range")
    arrays = {"coef": coef[:, :-1], "intercept": shift.intercepts(coef)}
    if features is not None:
        arrays["features"] = features.astype(np.int64)
    if shift:
        arrays.update(
            shift_ids=np.array(shift.ids, np.int64), shift_by=np.array(shift.by), shift_target=np.array(shift.target),
            shifted_intercept=coef[:, -1],
        )  # fmt: skip
    if names := named(schema, classes, features):
        return {**arrays, **names}, _NAMED
    return arrays, None if features is None else _OF_SOME_FEATURES


def model_of(
    *, name: str, version: int, spec: LinearSpec, schema: Schema, classes: tuple[float, ...],
    manifest: Mapping[str, Any], arrays: dict[str, NDArray[Any]], where: str,
) -> LinearModel:  # fmt: skip
    """Return the model that `arrays_of` wrote; raises as `mr_ml.models.base.ModelKind.model`."""
    features = arrays.pop("features", None)
    if features is not None:
        features = checked_features(features, schema.n_features, where=where)
    check_names(arrays, schema, classes, features, where=where)
    d = schema.n_features if features is None else len(features)
    loss = loss_from_text(spec.loss)
    k = loss.n_outputs(len(classes))
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
    return LinearModel(
        name=name,
        version=version,
        schema=schema,
        classes=classes,
        manifest=manifest,
        loss=loss,
        coef=coef,
        features=features,
        shift=shift,
        reading_coef=reading_coef,
    )
