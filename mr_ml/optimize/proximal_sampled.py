"""L-BFGS with a sample's Hessian, for objectives with absolute values and bounds.

Each direction goes towards the minimum, under the kinks of the objective, of the model m of `mr_ml.optimize.sampled`
with the errors D that the last steps showed:

    m(p) + p' D p / 2 + sum_j l1_j |x_j + p_j|        within the bounds

by a few Newton steps, each of which searches for the minimum of the quadratic model at the last one's end
(`mr_ml.optimize.face`) and is halved until it leads down. All that is on the driver: a direction takes up to some
hundred products with the sample's Hessian.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.optimize.base import Floats, Kinks, SampledLoss
from mr_ml.optimize.face import Matrix, towards_minimum
from mr_ml.optimize.line_state import LineState
from mr_ml.optimize.proximal_lbfgs import ProximalLbfgs, proximal_lbfgs
from mr_ml.optimize.sampled import LEAST_SHARE, Pair, SampledModel
from mr_ml.optimize.sampled_lbfgs import SampledLbfgs

# Newton steps on the model; none after one that gained less than this share of all.
_NEWTON_STEPS, _SETTLED = 4, 0.02
_TRIED = (1.0, 0.5, 0.25, 0.125, 0.0625)
# What a product reads and writes, in vectors, besides the rows.
_VECTORS = 20


@dataclass(frozen=True)
class SampledProximalLbfgs(SampledLbfgs, ProximalLbfgs):
    """L-BFGS with a sample's Hessian and with kinks; without kinks `SampledLbfgs`, but for the steps that it tries."""

    name: ClassVar[str] = "proximal-lbfgs-sampled"

    def by_sample(self, state: LineState, model: SampledModel, older: Sequence[Pair]) -> Floats:
        """Return the direction (n,) to where the model with the kinks is near its minimum."""
        kinks = state.kinks
        if kinks is None:
            return super().by_sample(state, model, older)
        direction, fall = np.zeros_like(state.point), 0.0
        slopes, there = state.gradient, model.loss
        for _ in range(_NEWTON_STEPS):
            at_end = replace(state, point=state.point + direction, gradient=slopes)
            matrix = Matrix(_matrix_times(model, there), n_products=_VECTORS)
            towards = towards_minimum(matrix, at_end, kinks, diagonal=model.diagonal_at(there))
            tried = [direction + t * towards for t in _TRIED]
            found = next(((p, value) for p in tried if (value := _value(model, state, kinks, p)) < fall), None)
            if found is None:
                break
            gained, (direction, fall) = fall - found[1], found
            if gained <= -_SETTLED * fall:
                break
            there = model.loss.moved(model.scale * direction)
            slopes = state.gradient + model.change(there, direction) + model.error_of(direction)
        return kinks.within(state.point + direction, np.abs(state.point)) - state.point


def proximal_lbfgs_sampled(*, size: int, tolerance: float, max_passes: int) -> SampledProximalLbfgs:
    """Make the method for a problem; a `choose.Factory`."""
    return SampledProximalLbfgs(**vars(proximal_lbfgs(size=size, tolerance=tolerance, max_passes=max_passes)))


def _matrix_times(model: SampledModel, there: SampledLoss) -> Callable[[Floats], Floats]:
    return lambda vector: model.times(there, vector) + model.error_of(vector)


def _value(model: SampledModel, state: LineState, kinks: Kinks, direction: Floats) -> float:
    """Return what the model with the kinks says that a direction (n,) changes the objective by."""
    (gain,) = model.loss.gains(model.scale * direction, (1.0,)).tolist()
    convex = float(gain) + 0.5 * float(model.rest @ direction**2)
    # D may have directions of negative curvature, along which there is no end to it
    bend = max(convex + 0.5 * float(direction @ model.error_of(direction)), LEAST_SHARE * convex)
    return kinks.change(state.point, direction, state.gradient) + bend
