"""L-BFGS whose starting matrix is that of a sample of the rows; see `mr_ml.optimize.sampled`.

Where there is no sample, or what it says does not lead down, a direction is that of the Hessian's diagonal. Where full
steps are often too long the sample does not know what the rows are like, and the diagonal has its turn until most steps
are good again. That follows from counts that are in the state; and directions are stored as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mr_ml.optimize.base import Cost, Floats, SampledLoss, SearchProgress
from mr_ml.optimize.lbfgs import Lbfgs, lbfgs
from mr_ml.optimize.line_search import SETTLED_STEPS, STEPS, inverse_diagonal
from mr_ml.optimize.line_state import LineState
from mr_ml.optimize.sampled import SampledModel

# Up to so many coefficients a sample is worth the time and the vectors.
SAMPLED_UP_TO = 2_000_000
_VECTORS = 20
# The last steps that show what the sample is wrong in: each costs three products.
_STEPS = 3
# Passes that brought no step are excused up to so many, and one more for so many steps.
_EXCUSED, _STEPS_FOR_ONE = 2, 3
# A sample whose Hessian is noise to a larger share off its diagonal does not know how features go together.
_NOISY = 0.5
# Of the slope along the direction by the diagonal; less is no way down.
_LEAST_SLOPE = 1e-6
# How many times as much a sample is doubted for each pass that brought no step.
_DOUBT = 4.0
_NOTE = "steps by a sample of the rows were often too long; goes on by the Hessian's diagonal"


@dataclass(frozen=True)
class SampledLbfgs(Lbfgs):
    """L-BFGS with a sample's Hessian."""

    name: ClassVar[str] = "lbfgs-sampled"
    curvature_always: ClassVar[bool] = True

    def cost(self, size: int) -> Cost:
        """Count the vectors of a direction besides; the rows of the sample are their owner's."""
        cost = super().cost(size)
        if size > SAMPLED_UP_TO:
            return cost
        return replace(cost, state_bytes=cost.state_bytes + 8 * _VECTORS * size, sampled=True)

    def ask_sampled(self, state: LineState) -> Floats | None:
        """Say the point wherever a direction has been chosen, if a sample is of use."""
        chosen = state.stop is None and state.steps in (STEPS, SETTLED_STEPS) and len(state.point) <= SAMPLED_UP_TO
        # Newton's direction, and the one after all else failed, are not to be touched
        other = state.n_iterations > 0 and (state.step == 0 or not len(state.pairs_s))
        return state.point if chosen and not other and _too_long(state) <= 0 else None

    def tell_sampled(self, state: LineState, loss: SampledLoss) -> LineState:
        """Take the direction that goes by the sample, if it leads down."""
        if not loss.noise <= _NOISY:
            return state
        pairs = [
            (s.astype(np.float64, copy=False), y.astype(np.float64, copy=False))
            for s, y in zip(state.pairs_s, state.pairs_y, strict=True)
        ]
        # of all rows, nothing is left for older steps to tell
        older = pairs[:-_STEPS] if loss.share < 1 else []
        doubt = _DOUBT ** min(max(_too_long(state) + _EXCUSED, 0), 20)
        model = SampledModel(loss, state.gradient, 1 / inverse_diagonal(state), pairs[-_STEPS:], doubt)
        direction = model.refined(self.two_loops(state, [*older, *model.pairs], model.solve))
        least = min(_LEAST_SLOPE * float(state.gradient @ state.direction), 0.0)
        if not (np.isfinite(direction).all() and state.gradient @ direction < least):
            return state
        return replace(state, direction=direction)

    def progress(self, state: LineState) -> SearchProgress:
        """Report the last accepted point, and where the sample's turn ends."""
        progress = super().progress(state)
        ends = len(state.steps) == 1 and _too_long(state) == 1 and len(state.point) <= SAMPLED_UP_TO
        return replace(progress, note=_NOTE) if ends and progress.note is None and state.n_iterations else progress


def lbfgs_sampled(*, size: int, tolerance: float, max_passes: int) -> SampledLbfgs:
    """Make L-BFGS for a problem, with as many pairs as its size allows; a `choose.Factory`."""
    return SampledLbfgs(**vars(lbfgs(size=size, tolerance=tolerance, max_passes=max_passes)))


def _too_long(state: LineState) -> int:
    """Count the passes that brought no step, beyond what is excused."""
    return state.n_passes - 1 - state.n_iterations - _EXCUSED - state.n_iterations // _STEPS_FOR_ONE
