"""The problem of a linear model: what a spec and a dataset determine before the first pass, and what the end gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.checkpoints import state_bytes
from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.data.block import DENSE_FROM, Block
from mr_ml.data.features import SparseFeatures
from mr_ml.errors import BadDataError, NoModelError, UsageError
from mr_ml.models.base import Model
from mr_ml.models.linear.kind.advice import (
    almost_indicators,
    constant_columns,
    rare_labels,
    unweighted_deviations,
    warnings,
)
from mr_ml.models.linear.kind.class_weights import class_weights
from mr_ml.models.linear.kind.collinear import Encoding, collinear
from mr_ml.models.linear.kind.endless import endless
from mr_ml.models.linear.kind.model import LinearModel, arrays_of
from mr_ml.models.linear.kind.penalising import penalty_of, with_absent
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.models.linear.labels import TrainingLabels
from mr_ml.models.linear.losses import loss_from_text
from mr_ml.models.linear.losses.base import Loss
from mr_ml.models.linear.objective import Objective
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.sampled import first_rows, sample_bytes
from mr_ml.models.linear.scaling import Scaling
from mr_ml.models.linear.shift import NO_SHIFT, Shift
from mr_ml.models.needs import Needs
from mr_ml.models.problem import Conclusion, FirstGuess
from mr_ml.optimize.base import Ask, Evaluation, Optimizer, Result, Stop
from mr_ml.optimize.choose import Choice, choices, choose
from mr_ml.readers.labels import label_texts
from mr_ml.sums.slices import is_wide
from mr_ml.sums.statistic import Receipts, Statistic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mr_ml.coefficients.base import Coefficients
    from mr_ml.data.folds import FoldRows, Folds
    from mr_ml.models.linear.fold_counts import FoldCountsQuery
    from mr_ml.models.linear.kind.earlier import Earlier
    from mr_ml.models.linear.metrics import MetricsQuery
    from mr_ml.models.linear.sides import SidesQuery
    from mr_ml.models.warm_start import WarmStart

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LinearProblem:
    """See `mr_ml.models.base.Problem`.

    Where few features occur the problem has these alone, its `columns`: in all others the objective is flat, and the
    search starts at 0 there.

    Attributes
    ----------
    encoding
        What features stand for.
    of_moments
        Warnings that follow from the moments of the features.
    almost
        Features as of `mr_ml.models.linear.kind.advice.almost_indicators`.
    chosen
        By which optimizer; None for the first choice.
    """

    spec: LinearSpec
    dataset: Dataset
    objective: Objective
    columns: NDArray[np.int32] | None
    almost: Ints
    encoding: Encoding
    of_moments: tuple[str, ...]
    chosen: Choice | None = None

    @classmethod
    def of(cls, spec: LinearSpec, dataset: Dataset, moments: FeatureMoments) -> LinearProblem:
        """Return what a spec and a dataset determine; raises as `make_objective`."""
        objective = make_objective(spec, dataset, moments)
        return cls(
            spec, dataset, objective, moments.features, almost_indicators(moments, objective),
            Encoding.of(dataset.schema, moments),
            (*unweighted_deviations(spec, dataset, moments), *constant_columns(spec, dataset, moments)),
        )  # fmt: skip

    @cached_property
    def optimizer(self) -> Optimizer[Any, Ask, Evaluation]:
        """The optimizer that minimises the objective."""
        spec, objective = self.spec, self.objective
        return choose(
            self.choice.solver, size=objective.size, tolerance=spec.tolerance, max_passes=spec.max_passes,
            smooth=objective.kinks is None,
        )  # fmt: skip

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The optimizers that the spec leaves open; see `mr_ml.models.base.Problem.choices`."""
        return choices(self.spec.solver, size=self.objective.size, smooth=self.objective.kinks is None)

    @property
    def choice(self) -> Choice:
        """The one of them that `optimizer` is."""
        return self.choices[0] if self.chosen is None else self.chosen

    def by(self, choice: Choice) -> LinearProblem:
        """Return the problem with another optimizer."""
        return replace(self, chosen=choice)

    def start(self) -> Floats:
        """Return where the search starts, (size,)."""
        return self.objective.start()

    def first_guess(self, blocks: Iterable[Block]) -> FirstGuess | None:
        """Return where the search begins that knows no model; see `mr_ml.models.problem.Problem.first_guess`."""
        n, _ = self._first_rows
        if not n:
            return None
        from mr_ml.models.linear.kind.first_rows import first_guess

        return first_guess(self, blocks, n)

    @property
    def _first_rows(self) -> tuple[int, int]:
        """How many rows the search begins by, 0 if by none, and how many bytes they take."""
        rows, partitions = self.objective.rows, self.dataset.of_split(self.spec.split)
        warm = self.spec.warm_start is not None or self.spec.warm_start_from is not None
        if warm or not (self.optimizer.begins_by_sample and rows.loss.begins_by_sample):
            return 0, 0
        return first_rows(
            n_rows=self.dataset.n_rows(self.spec.split), nnz=sum(p.facts.nnz for p in partitions),
            n_columns=self.objective.size // rows.n_outputs, n_outputs=rows.n_outputs,
        )  # fmt: skip

    def warm_start(self, model: Model, moments: FeatureMoments) -> WarmStart:
        """Return where the search starts that knows a model; see `mr_ml.models.problem.Problem.warm_start`."""
        from mr_ml.models.linear.kind.earlier import Earlier

        assert isinstance(model, LinearModel)
        return self._begun(Earlier.of_model(model, self), moments)

    def begin_from(self, found: Coefficients, title: str, moments: FeatureMoments) -> WarmStart:
        """Return where the search starts that knows a file; see `mr_ml.models.problem.Problem.begin_from`."""
        from mr_ml.models.linear.kind.earlier import Earlier

        return self._begun(Earlier.of_file(found, title, self), moments)

    def _begun(self, earlier: Earlier, moments: FeatureMoments) -> WarmStart:
        from mr_ml.models.linear.kind.warm_start import warm_start

        found = warm_start(self, earlier, moments)
        return replace(found, point=self.objective.within(found.point))

    def needs(self, *, beside_others: bool = False) -> Needs:
        """Return what sums and states take, by what the optimizer says."""
        size, n_features = self.objective.size, self.objective.rows.n_features
        cost = self.optimizer.cost(size)
        sum_bytes = cost.pass_bytes
        partitions = self.dataset.of_split(self.spec.split)
        n_blocks, block_sum_bytes = sum(p.facts.blocks for p in partitions), sum_bytes
        if is_wide(n_features):
            # sums are kept for the features that rows have: gradient, curvature, cross terms and id
            stored = 28 * sum(p.facts.nnz for p in partitions) * (size // n_features)
            sum_bytes = min(sum_bytes, stored)
            block_sum_bytes = min(sum_bytes, stored // n_blocks)
        driver_bytes = state_bytes(cost, size)
        first, first_bytes = self._first_rows
        if first and not beside_others:
            # the first pass may be about two points
            sum_bytes, block_sum_bytes = 2 * sum_bytes, 2 * block_sum_bytes
        if cost.sampled:
            nnz = sum(p.facts.nnz for p in partitions)
            driver_bytes += sample_bytes(
                n_rows=self.dataset.n_rows(self.spec.split), nnz=nnz, n_outputs=self.objective.rows.n_outputs
            )
        return Needs(
            block_sum_bytes=block_sum_bytes, sum_bytes=sum_bytes, n_blocks=n_blocks, state_bytes=driver_bytes,
            begin_bytes=0 if beside_others else first_bytes,
        )  # fmt: skip

    def over(self, rows: FoldRows) -> LinearProblem:
        """Return the same problem over some of the rows; see `mr_ml.models.base.Problem.over`."""
        return replace(self, objective=replace(self.objective, rows=replace(self.objective.rows, counted=rows)))

    def judging(self, point: Floats, rows: FoldRows | None) -> MetricsQuery:
        """Return the query that measures the model at a point by some rows, in the weights that these have."""
        from mr_ml.models.linear.metrics import MetricsQuery

        measured = replace(self.objective.rows, class_weights=None, counted=rows)
        return MetricsQuery(measured, self.objective.coef(point))

    def metrics(self) -> dict[str, bool]:
        """Return the metrics that two made up rows have: those of the loss, also of one that is installed."""
        from mr_ml.models.linear.metrics import MetricsQuery
        from mr_ml.models.paired import HIGHER, NO_JUDGES

        rows = replace(self.objective.rows, class_weights=None, counted=None)
        labels = np.array(rows.classes or (1.0, 2.0))
        nothing = SparseFeatures(np.zeros(len(labels) + 1, np.int32), np.zeros(0, np.int32), np.zeros(0))
        query = MetricsQuery(rows, self.objective.coef(self.start()))
        parts = query.map(query.prepare(Block(nothing, labels, None, None))).parts
        counted = Receipts(np.array([[0, 0, 0, len(labels)]], np.int64), np.zeros(1, np.uint64))
        with np.errstate(all="ignore"):
            found = query.read(Statistic(parts, counted)).to_json()
        higher = HIGHER | rows.loss.higher
        return {
            name: name in higher
            for name, value in found.items()
            if name not in NO_JUDGES and (value is None or type(value) in (int, float))
        }

    def check_folds(self, folds: Folds) -> FoldCountsQuery:
        """See `mr_ml.models.base.Problem.check_folds`."""
        from mr_ml.data.folds import FoldRows
        from mr_ml.models.linear.fold_counts import FoldCountsQuery

        # which of the rows are chosen does not matter
        rows = replace(self.objective.rows, counted=FoldRows(folds, 0, inside=True))
        return FoldCountsQuery(rows, tuple(label_texts(self.dataset.schema, rows.classes)))

    def proof(self, result: Result) -> SidesQuery | None:
        """Return the query for what tells a class without fail, if the search cannot rule that out."""
        # where the budget is used up there is no pass left to ask why
        sure = result.stop in (Stop.PASSES, Stop.DIVERGED) or Stop.SEPARABLE in result.rules_out
        if sure or not self.objective.may_separate:
            return None
        from mr_ml.models.linear.sides import SidesQuery

        return SidesQuery(
            self.objective.rows, tuple(self.objective.coef(one) for one in endless(self.objective, result))
        )

    def conclude(self, result: Result, proof: Statistic | None) -> Conclusion:
        """Return what comes of the end of the search; see `mr_ml.models.base.Problem.conclude`."""
        stop, telling = result.stop, np.empty(0, np.int64)
        if stop is Stop.DIVERGED:
            raise NoModelError(stop.value)
        if proof is not None:
            from mr_ml.models.linear.sides import SidesQuery

            directions = endless(self.objective, result)
            sides = SidesQuery(self.objective.rows, tuple(map(self.objective.coef, directions))).read(proof)
            telling = sides.telling_features(intercept=self.spec.intercept, free=self.objective.left_free)
            stop = Stop.SEPARABLE if len(telling) else stop
            proved = sides.endless()
            if proved is not None and stop is not Stop.SEPARABLE:
                stop, result = Stop.SEPARABLE, replace(result, direction=directions[proved])
        if stop.converged and len(self.almost) and Stop.FLAT not in result.rules_out:
            stop = Stop.FLAT
        result = replace(result, stop=stop)
        training = {
            "solver": self.optimizer.name,
            "solver_why": self.choice.why,
            "passes": result.progress.passes,
            "objective": result.progress.value,
            "gradient_norm": result.progress.gradient_norm,
            "converged": stop.converged,
            "stop": self.objective.rows.loss.label_domain.says(stop),
            "warnings": (
                *self.of_moments,
                *rare_labels(self.dataset, self.spec.split, self.objective.rows.classes),
                *warnings(self.objective, self.dataset, self.spec.split, result, telling, self.almost, self.columns),
                *collinear(
                    result.flat,
                    self.objective,
                    self.encoding,
                    n_rows=self.dataset.n_rows(self.spec.split),
                    name_of=lambda j: self.dataset.schema.name_of(j if self.columns is None else int(self.columns[j])),
                ),
            ),
        }
        rows, penalised = self.objective.rows, not self.objective.penalty.is_zero
        coef = self.objective.penalty.bounded(self.objective.coef(result.point))
        coef = rows.loss.canonical(coef, penalised=penalised)
        coef, shift, columns = with_absent(self.spec, self.dataset.schema, coef, rows.shift, self.columns)
        arrays, format = arrays_of(
            coef, shift, columns, schema=self.dataset.schema, classes=rows.classes, name=self.spec.model
        )
        return Conclusion(training=training, classes=rows.classes, arrays=arrays, format=format)


def make_objective(spec: LinearSpec, dataset: Dataset, moments: FeatureMoments) -> Objective:
    """Return the objective that a spec and a dataset determine.

    Raises
    ------
    UsageError
        If loss, labels and options do not fit together.
    BadDataError
        If a feature is too large to be scaled, or the weights are too large to scale by.
    """
    for name, strength in (("l1", spec.l1), ("l2", spec.l2)):
        if not (strength >= 0 and np.isfinite(strength)):
            raise UsageError(f"`{name}`: expected a number >= 0, found {strength}")
    loss, labels = loss_from_text(spec.loss), _training_labels(spec, dataset, moments)
    classes = loss.classes(labels)
    if loss.needs_intercept and not spec.intercept:
        raise UsageError(
            f"the {spec.loss} loss needs an intercept: margins of 0 stand for no prediction; leave out "
            "`intercept=False`"
        )
    _check_scales(spec, dataset, moments)
    shift = _shift(spec, loss, moments)
    rows = RowSpec(
        loss=loss,
        n_features=moments.n_features,
        classes=classes,
        class_weights=class_weights(
            spec.class_weights, dataset, classes, split=spec.split, row_weights=spec.row_weights
        ),
        row_weights=spec.row_weights,
        shift=shift,
        weight_exponent=dataset.weight_exponent,
    )
    scaling = Scaling.of(
        mean=shift.left_of(moments.mean), deviation=moments.deviation, intercept=spec.intercept,
        centre=mostly_dense(dataset, moments),
        penalised=moments.weighted_deviation if spec.weighs_deviations else None,
    )  # fmt: skip
    # of labels as they are read
    first = loss.start(replace(labels, mean=labels.mean - shift.target))
    off, read = scaling.mean + shift.of_features(moments.n_features), (moments.minimum, moments.maximum)
    extremes = np.maximum(*(np.abs(value - off) for value in read)) / scaling.scale
    return Objective(rows, scaling, penalty_of(spec, dataset.schema, moments), first, extremes)


def mostly_dense(dataset: Dataset, moments: FeatureMoments) -> bool:
    """Return whether blocks are mostly stored dense."""
    return dataset.nnz >= DENSE_FROM * (dataset.n_rows() * moments.n_features)


def _shift(spec: LinearSpec, loss: Loss, moments: FeatureMoments) -> Shift:
    """Return what an intercept can take in."""
    if not spec.intercept:
        return NO_SHIFT
    target = (moments.label_mean, moments.label_variance**0.5) if loss.follows_labels else (0.0, 0.0)
    # a mean may be rounded; the one value of a constant column is not, and what is left of it is zero
    constant = moments.minimum == moments.maximum
    mean = np.where(constant, moments.minimum, moments.mean)
    return Shift.of(mean=mean, spread=moments.deviation, target=target)


def _check_scales(spec: LinearSpec, dataset: Dataset, moments: FeatureMoments) -> None:
    huge = np.flatnonzero(~np.isfinite(moments.variance))
    if len(huge):
        k = int(huge[0])
        raise BadDataError(
            f"the values of feature {dataset.schema.name_of(moments.feature(k))} in {dataset.reference} are too large "
            f"to square: from {moments.minimum[k]:g} to {moments.maximum[k]:g}, not finite when scaled; fix, rescale "
            "or drop it"
        )
    weighted = moments.weighted_variance if spec.weighs_deviations else None
    if weighted is not None and not np.isfinite(weighted).all():
        raise BadDataError(
            f"`penalty_space` scaled: expected row weights in {dataset.reference} whose sum is a number, found larger "
            "ones; pack it with smaller weights (only their ratios count), or say `penalty_space` raw"
        )


def _training_labels(spec: LinearSpec, dataset: Dataset, moments: FeatureMoments) -> TrainingLabels:
    schema = dataset.schema
    texts = label_texts(schema, schema.codes)
    counts = dataset.label_counts[spec.split]
    weights = _label_weights(spec, dataset)
    return TrainingLabels(
        kind=schema.label_kind,
        codes=schema.codes,
        texts=tuple(texts),
        counts=tuple(counts.get(text, 0) for text in texts),
        weights=tuple(float(counts.get(text, 0) if weights is None else weights.get(text, 0.0)) for text in texts),
        mean=_label_mean(spec, dataset, moments),
        has_offsets=schema.has_offsets,
        dataset=dataset.reference,
        split=spec.split,
        variance=moments.label_variance,
    )


def _label_weights(spec: LinearSpec, dataset: Dataset) -> Mapping[str, float] | None:
    """Return what the rows of each label of the split weigh; None if that does not count, or is not known of all."""
    sums = dataset.weights.by_label.get(spec.split, {}) if dataset.weights and spec.row_weights else {}
    return None if not sums or dataset.label_counts[spec.split].keys() - sums.keys() else sums


def _label_mean(spec: LinearSpec, dataset: Dataset, moments: FeatureMoments) -> float:
    """Return the mean label, by what rows weigh if that counts and is known."""
    codes, sums = dataset.schema.codes, _label_weights(spec, dataset) or {}
    weights = np.array([sums.get(text, 0.0) for text in label_texts(dataset.schema, codes)])
    return float(np.average(codes, weights=weights)) if weights.any() else moments.label_mean
