"""How sure the coefficients of a linear model are: from the sums of one pass to standard errors.

Everything is solved in the coordinates theta of `mr_ml.models.linear.scaling`, centred, with columns of length 1, where
rounding does least; published coefficients are P theta. With the information A = R'R, expected (A) or observed (B), and
the meat M = F'F:

    model    phi P A^-1 P' = phi (P R^-1)(P R^-1)'
    robust   P B^-1 M B^-1 P' = H'H,   H = F B^-1 P'

Of dense rows R and F are those of a factorisation of the rows, which keeps twice the digits of A (see
`mr_ml.sums.parts.Triangle`); of others R comes of A by its eigenvectors. Where singular values are at the level of
rounding, rows do not determine theta along some directions; what of the coefficients these move has no standard error.

With columns of categories coefficients are C P theta, contrasts (`mr_ml.models.linear.kind.contrasts`); no direction
that one-hot columns leave open moves these.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.errors import NoModelError, UsageError
from mr_ml.models.inference import FitStatistics, Inference
from mr_ml.models.linear.inference_query import InferenceQuery, InferenceSums, NullQuery
from mr_ml.models.linear.kind.contrasts import Combinations
from mr_ml.models.linear.kind.null_model import COARSE, grid_around, null_loss
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.models.linear.losses.likelihood import Likelihood, LikelihoodSums
from mr_ml.models.linear.scaling import Scaling
from mr_ml.models.needs import Needs
from mr_ml.optimize.base import Stop
from mr_ml.sums.blas import one_thread
from mr_ml.sums.query import Query
from mr_ml.sums.several import SeveralQueries
from mr_ml.sums.statistic import Statistic

if TYPE_CHECKING:
    from mr_ml.models.linear.kind.model import LinearModel
    from mr_ml.models.linear.kind.problem import LinearProblem

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MOST = 4000
# Singular values below these shares of the largest are those of directions that rows do not determine: of a factor of
# the rows, and of the root of a Gram matrix, which has half of the digits.
_NOTHING, _NOTHING_OF_GRAM = 1e-13, 3e-6
# What of a coefficient such a direction moves, in multiples of the direction.
_MOVED = 1e-6
# In standard errors: further from the optimum the numbers are no longer those of it.
_NEAR = 1e-2
# Of the null deviance, what is left of it by rounding.
_ROUNDING = 1e-26
_NAMED = 10


@dataclass(frozen=True, eq=False)
class LinearInference:
    """See `mr_ml.models.base.Inferring`."""

    model: LinearModel
    spec: LinearSpec
    dataset: Dataset
    problem: LinearProblem
    scaling: Scaling
    told: Combinations
    constant: Mask
    factor: bool

    @classmethod
    def of(cls, model: LinearModel, spec: LinearSpec, dataset: Dataset, moments: FeatureMoments) -> LinearInference:
        """Return how a model is inferred; raises as `mr_ml.models.base.Model.inferring`."""
        from mr_ml.models.linear.kind.problem import LinearProblem, mostly_dense

        why = spec.no_inference
        if why is not None:
            raise UsageError(f"{model.reference} has no standard errors: {why}")
        training = model.manifest["training"]
        # where the data leaves something open, that is what will have none
        if not training["converged"] and training["stop"] != Stop.FLAT.value:
            raise NoModelError(
                f"{model.reference} has no standard errors, which are those of an optimum: it {training['stop']}"
                + "".join(f"; {warning}" for warning in training.get("warnings", ()))
            )
        problem = LinearProblem.of(spec, dataset, moments)
        rows = problem.objective.rows
        scaling = Scaling.of(
            mean=rows.shift.left_of(moments.mean), deviation=moments.deviation, intercept=spec.intercept, centre=True
        )
        constant = (moments.deviation == 0) if spec.intercept else np.zeros(moments.n_features, bool)
        factor = mostly_dense(dataset, moments) and rows.n_outputs == 1
        told = Combinations.of(model.schema, moments, intercept=spec.intercept)
        found = cls(model, spec, dataset, problem, scaling, told, constant, factor)
        if found.size > _MOST:
            raise UsageError(
                f"{model.reference} has no standard errors: expected at most {_MOST} coefficients, whose covariances "
                f"can be held, found {found.size}"
            )
        return found

    @property
    def columns(self) -> NDArray[np.int32] | None:
        """The features of the dataset that queries are about; None for all."""
        return self.problem.columns

    @cached_property
    def query(self) -> InferenceQuery:
        """What the pass is asked about the model."""
        return InferenceQuery(self.problem.objective.rows, self.model.reading_coef, self.factor)

    @property
    def size(self) -> int:
        """How many coefficients there are."""
        return self.query.n_compared * (self.query.rows.n_features + self.spec.intercept)

    def needs(self) -> Needs:
        """Return what a pass holds besides blocks."""
        n_bytes = 3 * 8 * self.query.n_compared**2 * (self.query.rows.n_features + 1) ** 2
        n_blocks = sum(p.facts.blocks for p in self.dataset.of_split(self.spec.split))
        return Needs(
            block_sum_bytes=n_bytes, sum_bytes=n_bytes, n_blocks=n_blocks, state_bytes=4 * n_bytes,
            query_bytes=self.model.nbytes,
        )  # fmt: skip

    @property
    def _likelihood(self) -> Likelihood | None:
        # weighted by class, it is that of other rows than there are
        return None if self.spec.class_weights else self.query.rows.loss.likelihood

    def run(self, run_pass: Callable[[Query], Statistic]) -> Inference:
        """Run the passes and return what they say; see `mr_ml.models.base.Inferring.run`."""
        query, likelihood = self.query, self._likelihood
        has_null = likelihood is not None and (self.dataset.schema.has_offsets or not self.spec.intercept)
        if not has_null:
            sums, null = query.read(run_pass(query)), None
            if likelihood is not None:
                null = likelihood.null_loss(self._likelihood_sums(sums))
        else:
            # without offsets and intercept all margins are 0
            at = grid_around(self._centre, COARSE) if self.spec.intercept else np.zeros(1)
            both = SeveralQueries((query, NullQuery(query.rows, at)))
            sums, at_grid = both.read(run_pass(both))
            null = float(at_grid[0, 0])
            if self.spec.intercept:
                null = null_loss(query.rows, at, at_grid, run_pass)
            null = None if null is None else self._in_given_weights(null)
        with one_thread("scipy.linalg"):
            return self._solved(sums, null)

    def _in_given_weights(self, total: Any) -> Any:
        """Return a sum of weighted numbers in the unit in which weights were given."""
        return np.ldexp(total, -self.query.rows.weight_exponent)

    @property
    def _centre(self) -> float:
        """What margins are about, without offsets."""
        coef = self.model.reading_coef[0]
        return float(coef[-1] + coef[:-1] @ self.scaling.mean)

    def _likelihood_sums(self, sums: InferenceSums) -> LikelihoodSums:
        e, n = self.query.rows.weight_exponent, int(sums.number("counted"))
        return LikelihoodSums(
            n_rows=n,
            weight=float(self._in_given_weights(sums.number("weight_sum"))),
            log_weight=sums.number("log_weight_sum") - n * e * math.log(2),
            loss=float(self._in_given_weights(sums.number("loss_sum"))),
            terms=self._in_given_weights(sums.total.sum("term_sums")),
        )

    def _solved(self, sums: InferenceSums, null: float | None) -> Inference:
        likelihood = self._likelihood
        n = int(sums.number("counted"))
        if not n:
            raise NoModelError(f"{self.dataset.reference} {self.spec.split} has no rows of positive weight")
        observed = self._root(sums.matrix("observed"))
        expected = self._root(sums.matrix("expected")) if sums.has_expected else observed
        rank = expected.rank
        left = n - rank
        # in the unit in which weights are read
        scaled_dispersion = float(np.ldexp(1.0, self.query.rows.weight_exponent))
        if likelihood is not None and likelihood.estimates_dispersion:
            scaled_dispersion = sums.number("pearson_sum") / left if left > 0 else math.nan
        covariance = None
        if likelihood is not None:
            covariance = self._of_estimates(expected, scaled_dispersion * (expected.published @ expected.published.T))
        gradient = self.scaling.gradient(sums.total.sum("gradient_sum"))
        distance = float(np.linalg.norm(expected.root.T @ gradient) / np.sqrt(scaled_dispersion))
        statistics = self._statistics(
            sums, null, rank=rank, dispersion=float(self._in_given_weights(scaled_dispersion)), distance=distance
        )
        return Inference(
            model=self.model.reference,
            dataset=self.dataset.reference,
            split=self.spec.split,
            outputs=tuple(self.model.outputs[len(self.model.coef) - self.query.n_compared :]),
            features=self.told.names,
            contrasts=self.told.contrasts,
            estimates=self._estimates,
            covariance=covariance,
            robust_covariance=self._of_estimates(observed, self._sandwich(observed, sums.matrix("meat"))),
            statistics=statistics,
            notes=tuple(self._notes(expected if likelihood is not None else observed, statistics)),
        )

    @property
    def _estimates(self) -> Floats:
        coef = self.model.coef
        compared = coef[len(coef) - self.query.n_compared :]
        if len(coef) > len(compared):
            compared = compared - coef[0]
        compared = compared if self.spec.intercept else compared[:, :-1]
        return np.ascontiguousarray((self.told @ compared.reshape(-1, 1))[:, 0])

    def _root(self, information: Floats) -> _Root:
        """Return R^-1 of the information, or of its R, as far as rows determine it."""
        n_outputs, least = self.query.n_compared, _NOTHING if self.query.factor else _NOTHING_OF_GRAM
        if self.query.factor:
            theta = self.scaling.factor(np.pad(information, ((0, 0), (0, 1))))[:, :-1]
            lengths, before = np.linalg.norm(theta, axis=0), np.linalg.norm(information[:, 1:], axis=0)
        else:
            theta = self.scaling.hessian(information, n_outputs)
            lengths = np.sqrt(np.maximum(np.diag(theta), 0))
            before = np.sqrt(np.diag(information)).reshape(n_outputs, -1)[:, :-1].ravel()
        some = lengths > 0
        features = self._of_features(np.ones(1, bool))
        # a column that is one number in all rows that count is the intercept's
        some[features] &= (lengths[features] > least * before / np.tile(self.scaling.scale, n_outputs)) & ~np.tile(
            self.constant, n_outputs
        )
        unit = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=some)
        at = np.flatnonzero(some)
        if self.query.factor:
            from scipy import linalg

            # some versions of scipy raise for empty arrays
            singular, right = np.zeros(0), np.zeros((0, len(at)))
            if theta.size and len(at):
                _, singular, right = linalg.svd(theta[:, at] * unit[at], full_matrices=len(theta) < len(at))
            vectors = right.T
            singular = np.pad(singular, (0, len(at) - len(singular)))
        else:
            values, vectors = np.linalg.eigh(theta[np.ix_(at, at)] * unit[at] * unit[at, None])
            singular = np.sqrt(np.maximum(values, 0))
        known = singular > least * singular.max(initial=0.0)
        root = np.zeros((len(unit), int(known.sum())))
        root[at] = unit[at, None] * (vectors[:, known] / singular[known])
        flat = np.zeros((len(unit), int((~known).sum())))
        flat[at] = unit[at, None] * vectors[:, ~known]
        return _Root(root=root, published=self._published(root), open=self._open(flat, unit, some))

    def _of_features(self, marks: Mask) -> Mask:
        """Return which of theta are features', not intercepts."""
        one = np.append(np.tile(marks, self.query.rows.n_features), False)
        return np.tile(one if self.spec.intercept else one[:-1], self.query.n_compared)

    def _open(self, flat: Floats, unit: Floats, some: Mask) -> Mask:
        """Return which of what is told directions move along which rows determine nothing, or are of no use; (n,)."""
        moved = np.linalg.norm(self._published(flat), axis=1)
        n_outputs, (matrix, size) = self.query.n_compared, self._told_of_theta
        # all that a unit of theta can move
        most = np.sqrt(np.concatenate([matrix.power(2) @ of_one for of_one in (unit * unit).reshape(n_outputs, -1)]))
        # what a column that is one number in all rows gives can as well be the intercept's
        moves = abs(matrix) > _MOVED * size
        by_none = np.concatenate([moves @ ~of_one for of_one in some.reshape(n_outputs, -1)])
        return np.asarray((moved > _MOVED * most) | by_none)

    @cached_property
    def _told_of_theta(self) -> tuple[Any, Any]:
        """C P of one output, sparse, and the sizes of what each number of it is the sum of."""
        from scipy import sparse

        d, intercept = self.query.rows.n_features, self.spec.intercept
        published = sparse.lil_array(sparse.diags(np.append(1 / self.scaling.scale, np.ones(int(intercept)))))
        if intercept:
            published[d, :d] = -self._taken_off
        told = self.told.matrix
        return told @ published.tocsr(), abs(told) @ abs(published.tocsr())

    @cached_property
    def _taken_off(self) -> Floats:
        """What is taken off features in all, shift and mean, over their scales; (n_features,)."""
        off = self.scaling.mean.copy()
        shift = self.query.rows.shift
        off[list(shift.ids)] += np.array(shift.by)
        return off / self.scaling.scale

    def _published(self, theta: Floats) -> Floats:
        """Return C P theta of columns (size, k)."""
        by_output = theta.reshape(self.query.n_compared, len(theta) // self.query.n_compared, -1 if theta.size else 0)
        d = self.query.rows.n_features
        features = by_output[:, :d] / self.scaling.scale[:, None]
        if not self.spec.intercept:
            return self.told @ features.reshape(theta.shape)
        off = np.einsum("j,kjc->kc", self._taken_off, by_output[:, :d])
        raw = np.concatenate([features, (by_output[:, d] - off)[:, None]], axis=1)
        return self.told @ raw.reshape(theta.shape)

    def _of_estimates(self, root: _Root, covariance: Floats) -> Floats:
        covariance[root.open] = math.nan
        covariance[:, root.open] = math.nan
        return covariance

    def _sandwich(self, observed: _Root, meat: Floats) -> Floats:
        bread = observed.root @ observed.published.T
        if self.query.factor:
            rows = self.scaling.factor(np.pad(meat, ((0, 0), (0, 1))))[:, :-1] @ bread
            return rows.T @ rows
        whole = bread.T @ self.scaling.hessian(meat, self.query.n_compared) @ bread
        whole = (whole + whole.T) / 2
        # a difference may be negative by rounding
        diagonal = np.diag_indices_from(whole)
        whole[diagonal] = np.maximum(whole[diagonal], 0)
        return whole

    def _statistics(
        self, sums: InferenceSums, null: float | None, *, rank: int, dispersion: float, distance: float
    ) -> FitStatistics:
        likelihood, n = self._likelihood, int(sums.number("counted"))
        of_null = self.query.n_compared if self.spec.intercept else 0
        counts: dict[str, Any] = {"n_rows": n, "rank": rank, "df_residual": n - rank, "df_null": n - of_null}
        if likelihood is None:
            return FitStatistics(
                **counts, dispersion=None, is_dispersion_estimated=False, pearson=None, deviance=None,
                null_deviance=None, log_likelihood=None, aic=None, bic=None, distance=None,
            )  # fmt: skip
        of_rows = self._likelihood_sums(sums)
        found = likelihood.log_likelihood(of_rows)
        n_parameters = rank + likelihood.estimates_dispersion
        return FitStatistics(
            **counts,
            dispersion=_finite(dispersion),
            is_dispersion_estimated=likelihood.estimates_dispersion,
            pearson=_finite(float(self._in_given_weights(sums.number("pearson_sum")))),
            deviance=_finite(2 * of_rows.loss),
            null_deviance=None if null is None else _finite(2 * null),
            log_likelihood=found,
            aic=None if found is None else 2 * n_parameters - 2 * found,
            bic=None if found is None else n_parameters * math.log(n) - 2 * found,
            distance=_finite(distance),
        )

    def _notes(self, root: _Root, statistics: FitStatistics) -> list[str]:
        training = self.model.manifest["training"]
        notes = [] if training["converged"] else [f"training {training['stop']}", *training.get("warnings", ())]
        loss = self.query.rows.loss
        if loss.likelihood is None:
            notes.append(
                f"the {loss.name} loss is no likelihood: standard errors are robust ones, and there are no deviance, "
                "AIC and BIC"
            )
        elif self.spec.class_weights:
            notes.append(
                "classes are weighted, so that the loss is no likelihood of these rows: standard errors are robust "
                "ones, of the weighted optimum, and there are no deviance, AIC and BIC"
            )
        if not loss.identifiable:
            notes.append(
                f"coefficients are those of each class less those of {self.model.outputs[0]}: only differences are "
                "determined"
            )
        if root.open.any():
            told = self.told.names
            names = [told[j % len(told)] for j in np.flatnonzero(root.open).tolist()]
            distinct = list(dict.fromkeys(names))
            more = f" and {len(distinct) - _NAMED} more" if len(distinct) > _NAMED else ""
            notes.append(
                f"the rows do not determine the coefficients of {', '.join(distinct[:_NAMED])}{more}: each is one "
                "number in all rows, or they are sums of each other; drop some of them. Other coefficients are not "
                "touched by that"
            )
        if statistics.df_residual <= 0 and statistics.is_dispersion_estimated:
            notes.append("there are no more rows than coefficients: nothing is left to find the dispersion from")
        if _is_perfect(statistics):
            notes.append("the fit is perfect but for rounding, and so standard errors are those of rounding")
        elif statistics.distance is not None and statistics.distance > _NEAR:
            notes.append(
                f"the coefficients are {statistics.distance:.2g} standard errors from the optimum; train with a "
                "smaller `tolerance`"
            )
        return notes


@dataclass(frozen=True, eq=False, kw_only=True)
class _Root:
    """What an information matrix says.

    Attributes
    ----------
    root
        (size, rank) in theta: times its transpose the inverse, along all directions that rows determine.
    published
        C P root.
    open
        (n,): which of what is told rows do not determine.
    """

    root: Floats
    published: Floats
    open: Mask

    @property
    def rank(self) -> int:
        return int(self.root.shape[1])


def _is_perfect(statistics: FitStatistics) -> bool:
    deviance, null = statistics.deviance, statistics.null_deviance
    return statistics.is_dispersion_estimated and deviance is not None and deviance <= _ROUNDING * (null or 0.0)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
