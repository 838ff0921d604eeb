"""L-BFGS whose starting matrix is that of a sample of the rows; see `mr_ml.optimize.sampled`.

Where there is no sample, or what it says does not lead down, a direction is that of the Hessian's diagonal.

The sample is given up for good, and the search goes on as `mr_ml.optimize.lbfgs` does, where it does not know how
features go together: where too much of what its Hessian has off the diagonal is noise, which is looked at after 0, 1,
2, 4, 8... iterations, since it costs some products and hardly changes; or where, of a sample of some of the rows, full
steps are too often too long. That it was given up is in the state, and directions are stored as they are, so a search
goes on from every state with the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.optimize import leaps
from mr_ml.optimize.base import Cost, Evaluation, Floats, SampledLoss, SearchProgress
from mr_ml.optimize.lbfgs import Lbfgs, lbfgs
from mr_ml.optimize.line_search import inverse_diagonal
from mr_ml.optimize.line_state import LineState
from mr_ml.optimize.sampled import Pair, SampledModel

# Up to so many coefficients a sample is worth the time and the vectors.
SAMPLED_UP_TO = 2_000_000
_VECTORS = 20
# The last steps that show what the sample is wrong in: each costs three products.
_STEPS = 3
# A pass that brings no step counts so many, a step takes one off; beyond the limit the sample is given up.
_A_MISS, _MOST_MISSED = 3, 6
# A sample whose Hessian is noise to a larger share off its diagonal does not know how features go together.
_NOISY = 0.15
# Of the slope along the direction by the diagonal; less is no way down.
_LEAST_SLOPE = 1e-6
# How many times as much a sample is doubted for each pass that brought no step.
_DOUBT = 4.0
_TOO_LONG = "steps by a sample of the rows were often too long; goes on by the Hessian's diagonal"
_NOISE = "a sample of the rows says too little of how features go together; goes on by the Hessian's diagonal"


@dataclass(frozen=True)
class SampledLbfgs(Lbfgs):
    """L-BFGS with a sample's Hessian."""

    name: ClassVar[str] = "lbfgs-sampled"

    def unfit(self, size: int) -> str | None:
        """Refuse what a sample is not asked for."""
        return f"a sample of the rows is for up to {SAMPLED_UP_TO:,} coefficients" if size > SAMPLED_UP_TO else None

    def cost(self, size: int) -> Cost:
        """Count the vectors of a direction besides; the rows of the sample are their owner's."""
        cost = super().cost(size)
        if size > SAMPLED_UP_TO:
            return cost
        return replace(cost, state_bytes=cost.state_bytes + 8 * _VECTORS * size, sampled=True)

    def wants_curvature(self, state: LineState) -> bool:
        """Want the exact diagonal at every point from which a sample's direction may start."""
        return _believed(state) or super().wants_curvature(state)

    def tell(self, state: LineState, evaluation: Evaluation) -> LineState:
        """Accept a step, or try others; give the sample up where too many passes bring none."""
        told = super().tell(state, evaluation)
        along_it = np.isfinite(state.curvature_value) and evaluation.hessian is None and not leaps.is_look(state)
        if not (along_it and _believed(state)):
            return told
        missed = _A_MISS if told.n_iterations == state.n_iterations else -1
        told = replace(told, missed=max(state.missed + missed, 0))
        return replace(told, unsampled=told.n_passes) if told.missed > _MOST_MISSED else told

    def ask_sampled(self, state: LineState) -> Floats | None:
        """Say the point wherever a direction has been chosen, if a sample is of use."""
        chosen = state.stop is None and state.steps in (self.steps, self.settled_steps) and _believed(state)
        # Newton's direction, and the one after all else failed, are not to be touched
        other = state.n_iterations > 0 and (state.step == 0 or not len(state.pairs_s))
        return state.point if chosen and not other else None

    def tell_sampled(self, state: LineState, loss: SampledLoss) -> LineState:
        """Take the direction that goes by the sample, if it leads down."""
        # at 0 and the powers of two
        is_due = not state.n_iterations & (state.n_iterations - 1)
        if is_due and not loss.noise <= _NOISY:
            return replace(state, unsampled=state.n_passes)
        if loss.share == 1:
            # of all rows: what it does not know, the diagonal knows less
            state = replace(state, missed=0)
        pairs = [
            (s.astype(np.float64, copy=False), y.astype(np.float64, copy=False))
            for s, y in zip(state.pairs_s, state.pairs_y, strict=True)
        ]
        # of all rows, nothing is left for older steps to tell
        older = pairs[:-_STEPS] if loss.share < 1 else []
        doubt = _DOUBT ** -(-state.missed // _A_MISS)
        model = SampledModel(loss, state.gradient, 1 / inverse_diagonal(state), pairs[-_STEPS:], doubt)
        there = replace(state, direction=self.by_sample(state, model, older))
        least = min(_LEAST_SLOPE * self.slope(state), 0.0)
        return there if np.isfinite(there.direction).all() and self.slope(there) < least else state

    def by_sample(self, state: LineState, model: SampledModel, older: Sequence[Pair]) -> Floats:
        """Return the direction (n,) by a model of the objective; `older` are pairs that it does not know."""
        return model.refined(self.two_loops(state, [*older, *model.pairs], model.solve))

    def progress(self, state: LineState) -> SearchProgress:
        """Report the last accepted point, and that the sample was given up."""
        progress = super().progress(state)
        if not state.unsampled == state.n_passes > 0 or progress.note is not None:
            return progress
        return replace(progress, note=_TOO_LONG if state.missed > _MOST_MISSED else _NOISE)


def lbfgs_sampled(*, size: int, tolerance: float, max_passes: int) -> SampledLbfgs:
    """Make L-BFGS for a problem, with as many pairs as its size allows; a `choose.Factory`."""
    return SampledLbfgs(**vars(lbfgs(size=size, tolerance=tolerance, max_passes=max_passes)))


def _believed(state: LineState) -> bool:
    return not state.unsampled and len(state.point) <= SAMPLED_UP_TO
