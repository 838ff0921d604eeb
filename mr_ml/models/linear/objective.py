"""The objective on the driver: mean loss plus penalty, in the optimizer's coordinates.

    f(theta) = loss_sum / weight_sum + 1/2 sum_j q_j theta_j^2

Division and penalty happen here, once. q_j is l2 / s_j^2 when the penalty refers to coefficients in raw feature
space (1/2 l2 |w|^2), l2 (d_j / s_j)^2 when it refers to features divided by their standard deviation d_j, and 0 for
the intercept.

What a gradient is measured by has its unit: for each output k the mean absolute slope A_k (no less than a millionth of
the largest, or classes that a softmax tells apart without fail would be judged by nothing), and for the fit as a whole
(sum_k A_k^2 / B_k)^1/2, B_k being the mean curvature. For the squared loss both are the mean absolute residual.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mr_ml.errors import NoModelError
from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.scaling import Scaling
from mr_ml.optimize.base import Ask, Evaluation, Separation
from mr_ml.sums.statistic import Statistic

Floats = NDArray[np.float64]

_LEAST_UNIT = 1e-6
# of a feature's penalty, per standard deviation
_SLIGHT = 1e-8


@dataclass(frozen=True, eq=False)
class Objective:
    """Turns asks into queries and totals into evaluations.

    Attributes
    ----------
    rows
        How rows are read.
    scaling
        Between raw coefficients and theta.
    l2
        Relative to the mean loss.
    penalty_space
        "raw" or "scaled".
    """

    rows: RowSpec
    scaling: Scaling
    l2: float = 0.0
    penalty_space: str = "raw"

    @cached_property
    def penalty(self) -> Floats:
        """q, (size,): what the penalty adds to the Hessian's diagonal."""
        scale = self.scaling.scale
        q = self.l2 / scale**2 if self.penalty_space == "raw" else self.l2 * (self.scaling.deviation / scale) ** 2
        return np.tile(np.append(q, 0.0) if self.scaling.intercept else q, self.rows.n_outputs)

    @property
    def size(self) -> int:
        """Length of theta."""
        return self.rows.n_outputs * (self.rows.n_features + self.scaling.intercept)

    @property
    def may_separate(self) -> bool:
        """Whether no penalty keeps coefficients from growing for ever."""
        return self.rows.pointwise.classifies and self.l2 == 0

    @cached_property
    def _watched(self) -> bool:
        """Whether the penalty of some feature is so small that steps may go on as if there were none."""
        of_features = self.penalty.reshape(self.rows.n_outputs, -1)[0, : self.rows.n_features]
        return self.rows.pointwise.classifies and bool((of_features < _SLIGHT).any() or self.l2 == 0)

    def coef(self, theta: Floats) -> Floats:
        """(n_outputs, n_features + 1) in the space of features as they are read, intercept last."""
        return self.scaling.to_raw(theta, self.rows.n_outputs)

    def query(self, ask: Ask) -> LineQuery:
        direction = None if ask.direction is None else self.coef(ask.direction)
        return LineQuery(
            rows=self.rows,
            coef=self.coef(ask.point),
            direction=direction,
            steps=ask.steps,
            chosen=ask.chosen,
            curvature=ask.curvature,
            cross=ask.curvature and self.scaling.centred,
            hessian=ask.hessian,
            leads=self._watched,
        )

    def values(self, ask: Ask, total: Statistic) -> Floats:
        """The objective at each of the steps, (n_steps,), of rows whose weights have a positive sum."""
        q = self.penalty
        # one point at a time: each may be as large as a model of millions of features
        penalties = [0.5 * (q * point) @ point for point in (_at(ask, step) for step in ask.steps)]
        return np.asarray(total.sum("loss_sums") / total.sum("weight_sum") + np.array(penalties))

    def finish(self, ask: Ask, total: Statistic) -> Evaluation:
        """Divide by the weight sum and add the penalty.

        Raises
        ------
        NoModelError
            If the weights of all rows sum to zero: there is nothing to learn from.
        """
        weight_sum = float(total.sum("weight_sum"))
        if not weight_sum > 0:
            raise NoModelError(f"the weights of the {total.n_rows} rows sum to {weight_sum}; expected a positive sum")
        values, q = self.values(ask, total), self.penalty
        gradient = self.scaling.gradient(total.sum("gradient_sum") / weight_sum)
        gradient += q * _at(ask, ask.steps[ask.chosen])
        curvature = hessian = None
        if ask.curvature:
            cross = total.sum("cross_sum") / weight_sum if self.scaling.centred else None
            curvature = self.scaling.curvature(total.sum("curvature_sum") / weight_sum, cross)
            curvature += q
        if ask.hessian:
            hessian = self.scaling.hessian(total.sum("hessian_sum") / weight_sum, self.rows.n_outputs)
            hessian[np.diag_indices_from(hessian)] += q
            if curvature is None:
                curvature = np.diag(hessian).copy()
        slopes, bends = total.sum("slope_sum") / weight_sum, total.sum("bend_sum") / weight_sum
        known, units = bends > 0, np.maximum(slopes, _LEAST_UNIT * slopes.max())
        leads = total.part("leads").arrays()["value"].tolist() if self._watched else ()
        if leads and not self.may_separate:
            # rows on their right side are no proof then
            leads[0] = -np.inf
        return Evaluation(
            values, gradient, curvature, hessian,
            unit=units if len(units) == 1 else np.repeat(units, self.size // len(units)),
            fit_unit=float(np.sqrt(np.sum(slopes[known] ** 2 / bends[known]))),
            separation=Separation(*leads) if leads else None,
        )  # fmt: skip


def _at(ask: Ask, step: float) -> Floats:
    return ask.point if ask.direction is None else ask.point + step * ask.direction
