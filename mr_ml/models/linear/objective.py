"""The objective on the driver: mean loss plus penalty, in the optimizer's coordinates.

    f(theta) = loss_sum / weight_sum + penalty(theta)

Division and penalty happen here, once.

What a gradient is measured by has its unit: for each output k the mean absolute slope A_k (no less than a millionth of
the largest, or classes that a softmax tells apart without fail would be judged by nothing), and for the fit as a whole
(sum_k A_k^2 / B_k)^1/2, B_k being the mean curvature. For the squared loss both are the mean absolute residual.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.errors import NoModelError
from mr_ml.models.linear.few_rows import LookedAtSample
from mr_ml.models.linear.line_query import LineQuery, LineSums
from mr_ml.models.linear.penalty import NO_PENALTY, Penalty, PenaltyOfTheta, Quadratic, tiled
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.sampled import RowSample
from mr_ml.models.linear.scaling import Scaling
from mr_ml.optimize.base import Ask, Columns, Evaluation, Kinks, Reach, Separation
from mr_ml.sums.parts import Triangle
from mr_ml.sums.statistic import Statistic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mr_ml.sums.several import SeveralQueries

Floats = NDArray[np.float64]

_LEAST_UNIT = 1e-6
# of a feature's penalty, per standard deviation
_SLIGHT = 1e-8
# Margins up to this leave rows a curvature that sums hold; and of the largest one, what is not short of it by a row.
_VISIBLE, _WHOLE = 20.0, 1 - 1e-9


@dataclass(frozen=True, eq=False)
class Objective:
    """Turns asks into queries and totals into evaluations.

    Attributes
    ----------
    rows
        How rows are read.
    scaling
        Between raw coefficients and theta.
    penalty
        Of the coefficients in the space of features as they are read.
    first_intercepts
        Where the search starts, (n_outputs,), beside coefficients of 0; None for 0.
    extremes
        (n_features,) how large values are at most as `rows` and `scaling` make them; None if that is not known.
    """

    rows: RowSpec
    scaling: Scaling
    penalty: Penalty = NO_PENALTY
    first_intercepts: Floats | None = None
    extremes: Floats | None = None

    @cached_property
    def _of_theta(self) -> PenaltyOfTheta:
        return self.penalty.of(self.scaling, self.rows.n_outputs)

    @property
    def size(self) -> int:
        """Length of theta."""
        return self.rows.n_outputs * (self.rows.n_features + self.scaling.intercept)

    def sample(self, blocks: Iterable[Block], *, n_rows: int) -> LookedAtSample | RowSample | None:
        """Return the first rows of stored blocks that have `n_rows` in all; None if they weigh nothing."""
        make = partial(RowSample.of, n_rows=n_rows, spec=self.rows, scaling=self.scaling, penalty=self._of_theta)
        return LookedAtSample.of(blocks, n_rows=n_rows, sample=make)

    @cached_property
    def _reach(self) -> Reach | None:
        if self.extremes is None or not self.rows.loss.bends_by_reach:
            return None
        return Reach(np.append(self.extremes, 1.0) if self.scaling.intercept else self.extremes)

    @property
    def may_separate(self) -> bool:
        """Whether no penalty keeps some coefficients from growing for ever."""
        kept = not self.penalty.is_zero and self.penalty.keeps(self.scaling).all()
        return self.rows.loss.may_separate and not kept

    @property
    def left_free(self) -> NDArray[np.bool_]:
        """Which features' coefficients may fall (first) and rise (second) for ever, (2, n_features)."""
        return self.penalty.leaves_free(self.scaling)

    @property
    def kinks(self) -> Kinks | None:
        """What of the objective is not smooth, in theta; None where all is."""
        return self._of_theta.kinks

    def least_l1(self, gradient: Floats) -> float:
        """Return the least `l1` with which all coefficients that it penalises are 0.

        Parameters
        ----------
        gradient
            (size,) of what is smooth, where they are 0 and all others at their optimum: without offsets that is where
            the search starts, if nothing but intercepts is left alone.
        """
        weights = tiled(self.penalty.l1_weights(self.scaling), self.scaling, self.rows.n_outputs)
        left, kinks = gradient, self.kinks
        if kinks is not None:
            left = replace(kinks, l1=np.zeros_like(kinks.l1)).steepest(np.zeros_like(gradient), gradient)
        counted = weights > 0
        return float((np.abs(left[counted]) / weights[counted]).max(initial=0.0))

    def _couples(self, ask: Ask) -> bool:
        return ask.coupling and self.scaling.intercept and not self.scaling.centred

    def _factors(self, ask: Ask) -> bool:
        return ask.factor and self.rows.loss.quadratic

    @cached_property
    def _watched(self) -> bool:
        """Whether the penalty of some feature is so small that steps may go on as if there were none."""
        kept = not self.penalty.is_zero and self.penalty.keeps(self.scaling, slightly=_SLIGHT).all()
        return self.rows.loss.may_separate and not kept

    def _costs_nothing(self, theta: Floats) -> bool:
        """Whether theta and all larger multiples are within the bounds, and only coefficients without a penalty."""
        kinks = self.kinks
        if kinks is None or self._of_theta.value(theta):
            return False
        room = np.where(theta > 0, kinks.upper, -kinks.lower)
        return bool((np.isinf(room) | (theta == 0)).all())

    def start(self) -> Floats:
        """Return the theta from which to start, (size,)."""
        theta = np.zeros(self.size)
        if self.first_intercepts is not None and self.scaling.intercept:
            theta.reshape(self.rows.n_outputs, -1)[:, -1] = self.first_intercepts
        return self.within(theta)

    def within(self, theta: Floats) -> Floats:
        """Return theta (size,), or what of it is within the bounds."""
        return theta if self.kinks is None else np.clip(theta, self.kinks.lower, self.kinks.upper)

    def coef(self, theta: Floats) -> Floats:
        """(n_outputs, n_features + 1) in the space of features as they are read, intercept last."""
        return self.scaling.to_raw(theta, self.rows.n_outputs)

    def query(self, ask: Ask) -> LineQuery | SeveralQueries:
        """Return the query that answers an ask."""
        if ask.beside is not None:
            return self._together(ask, ask.beside)
        direction = None if ask.direction is None else self.coef(ask.direction)
        return LineQuery(
            rows=self.rows,
            coef=self.coef(ask.point),
            direction=direction,
            steps=ask.steps,
            chosen=ask.chosen,
            curvature=ask.curvature,
            cross=ask.curvature and (self.scaling.centred or self._couples(ask)),
            hessian=ask.hessian and not self._factors(ask),
            factor=self._factors(ask),
            leads=self._watched or self._asks_margins(ask),
        )

    def _together(self, *asks: Ask) -> SeveralQueries:
        from mr_ml.sums.several import SeveralQueries

        return SeveralQueries(tuple(self.query(replace(ask, beside=None)) for ask in asks))

    def values(self, ask: Ask, sums: LineSums) -> Floats:
        """Return the objective at each of the steps, (n_steps,), of rows whose weights have a positive sum."""
        penalties = self._of_theta.values(ask.point, ask.direction, ask.steps)
        return np.asarray(sums.loss_sums / sums.weight_sum + penalties)

    def sampled(self, ask: Ask, total: Statistic) -> Floats | None:
        """Return the objective at each of the steps as some rows have it, (n_steps,); None if these weigh nothing."""
        sums = LineQuery.read(total)
        return self.values(ask, sums) if sums.weight_sum > 0 else None

    def finish(self, ask: Ask, total: Statistic) -> Evaluation:
        """Divide by the weight sum and add the penalty.

        Raises
        ------
        NoModelError
            If the weights of all rows sum to zero: there is nothing to learn from.
        """
        if ask.beside is not None:
            mine, others = self._together(ask, ask.beside).statistics(total)
            return replace(self.finish(replace(ask, beside=None), mine), beside=self.finish(ask.beside, others))
        sums, penalty = LineQuery.read(total), self._of_theta
        weight_sum = sums.weight_sum
        if not weight_sum > 0:
            raise NoModelError(f"the weights of the {sums.n_rows} rows sum to {weight_sum}; expected a positive sum")
        values = self.values(ask, sums)
        gradient = self.scaling.gradient(sums.gradient_sum / weight_sum)
        gradient += penalty.gradient(_at(ask, ask.steps[ask.chosen]))
        curvature = hessian = factor = rows = coupling = None
        of_loss = np.empty(0)
        if ask.curvature:
            cross = sums.cross_sum / weight_sum if self.scaling.centred else None
            curvature = self.scaling.curvature(sums.curvature_sum / weight_sum, cross)
            curvature += penalty.curvature
            if self._couples(ask):
                coupling = self.scaling.coupling(sums.cross_sum / weight_sum)
        if self._factors(ask):
            raw = self.scaling.factor(sums.factor / np.sqrt(weight_sum))
            factor, rows = self._factor(raw, _at(ask, ask.steps[ask.chosen])), raw[:, :-1]
            hessian, of_loss = factor[:, :-1].T @ factor[:, :-1], np.einsum("ij,ij->j", rows, rows)
        elif ask.hessian:
            hessian = self.scaling.hessian(sums.hessian_sum / weight_sum, self.rows.n_outputs)
            of_loss = np.diag(hessian).copy()
            hessian[np.diag_indices_from(hessian)] += penalty.curvature
        if hessian is not None and curvature is None:
            curvature = np.diag(hessian).copy()
        slopes, second = sums.slope_sums / weight_sum, sums.second_derivative_sums / weight_sum
        known, units = second > 0, np.maximum(slopes, _LEAST_UNIT * slopes.max())
        leads = sums.leads.tolist() if self._watched else ()
        if leads and not (self.penalty.is_cone or self._costs_nothing(_at(ask, ask.steps[ask.chosen]))):
            # rows on their right side are no proof then
            leads[0] = -np.inf
        separation = Separation(*leads) if leads else None
        columns = None
        if hessian is not None:
            columns = Columns(
                hessian=hessian, loss_diagonal=of_loss, means=self._taken_off[0], shifts=self._taken_off[1], rows=rows,
                bend=float(second.sum()), shows_all=self._shows_all(ask, sums, second),
            )  # fmt: skip
        return Evaluation(
            values, gradient, curvature, hessian, self.rows.loss.quadratic, factor, coupling=coupling,
            unit=units if len(units) == 1 else np.repeat(units, self.size // len(units)),
            # in this order, since squares of slopes may be no numbers any more
            fit_unit=float(np.sqrt(np.sum((slopes[known] / np.sqrt(second[known])) ** 2))),
            separation=separation, kinks=penalty.kinks, reach=self._reach, columns=columns,
        )  # fmt: skip

    def _factor(self, of_rows: Floats, theta: Floats) -> Floats:
        """Return `Evaluation.factor` at theta: that of the rows in theta's coordinates, and of the penalty's."""
        of_penalty = [_factor_of(quadratic, theta) for quadratic in self._of_theta.quadratics]
        return Triangle.of(np.concatenate([of_rows, *of_penalty])).r

    @cached_property
    def _taken_off(self) -> tuple[Floats, Floats]:
        """What is taken off columns after they are summed up, and in all, in their scales; (n_columns,) each."""
        none = np.zeros(int(self.scaling.intercept))
        by_shift = self.rows.shift.of_features(self.rows.n_features)
        offs = (self.scaling.mean, self.scaling.mean + by_shift)
        after, in_all = (np.append(off / self.scaling.scale, none) for off in offs)
        return after, in_all

    def _asks_margins(self, ask: Ask) -> bool:
        """Whether a pass that looks at the Hessian where the search has ended is to say how large margins are."""
        looks = ask.hessian and not any(ask.steps) and self.rows.loss.bends_by_reach
        return looks and not self._furthest(ask.point) <= _VISIBLE

    def _furthest(self, theta: Floats) -> float:
        """Bound margins, offsets aside."""
        return np.inf if self._reach is None else self._reach.of(theta)

    def _shows_all(self, ask: Ask, sums: LineSums, second: Floats) -> bool:
        """Whether every row has a share of curvature, (n_outputs,) per weight, where the Hessian is of."""
        loss, theta = self.rows.loss, _at(ask, ask.steps[ask.chosen])
        if loss.quadratic:
            return True
        if not theta.reshape(self.rows.n_outputs, -1)[:, : self.rows.n_features].any():
            # all rows have the same margin, offsets aside
            return loss.most_curved is None or bool((second >= _WHOLE * loss.most_curved).all())
        if loss.bends_by_reach and (self._watched or self._asks_margins(ask)):
            return bool(np.abs(sums.leads[:2]).max() <= _VISIBLE)
        return self._furthest(theta) <= _VISIBLE


def _factor_of(quadratic: Quadratic, theta: Floats) -> Floats:
    """Return the rows S, -S theta of |S (theta + p)|^2 / 2, theta less the centre."""
    root = np.sqrt(quadratic.curvature)
    some = np.flatnonzero(root)
    rows = np.zeros((len(some), len(theta) + 1))
    rows[np.arange(len(some)), some] = root[some]
    rows[:, -1] = -root[some] * quadratic.off(theta)[some]
    return rows


def _at(ask: Ask, step: float) -> Floats:
    return ask.point if ask.direction is None else ask.point + step * ask.direction
