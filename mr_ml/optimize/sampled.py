"""Directions that go by the loss of some of the rows, which the driver holds.

With g the gradient over all rows, h the diagonal of the loss's Hessian over all rows and q that of the penalty, L the
mean loss of the sample, which has feature j in c_j of its rows and is a share f of all rows, and H its Hessian:

    m(p) = g'p + [L(w + S p) - L(w) - L'(w)' S p] + 1/2 sum_j e_j p_j^2        e_j = h_j - S_j^2 H_jj + q_j

    S_j = min(1, r_j h_j / H_jj)^1/2        r_j = c_j / (c_j + 5 (1 - f) t)

is a model of what a step p changes the objective by. Its gradient at 0 is g; its Hessian there, B = S H S + diag(e),
has the exact diagonal h + q; t doubts the sample, the more the more steps by it
were too long. What the sample adds is how features go together, less so for those that it hardly has.
Shrinking towards a diagonal that is known is that of Ledoit & Wolf (2004). No step moves the sample's margins further
than S allows, so that rows that have no curvature left are not taken for more than they are.

What the sample is wrong in shows in the last steps s_k: the gradient over all rows changed by y_k, and by the model's
account by y_k - d_k. So L-BFGS starts from B and has the pairs (s_k, B s_k + d_k): they hold the error of the sample,
but nothing of how the curvature changed along the way, which the sample knows at the point itself. Where a step is so
long that the curvature changes along it too, a few Newton steps on m follow, to which the d_k add a linear term.

Equations are solved by conjugate gradients (Nocedal & Wright 2006, algorithm 5.3) with the diagonal as preconditioner,
and never far: all of this says where to go. Objective and gradient, by which steps are judged, are those of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.optimize.base import Floats, SampledLoss

# Rows of a feature of which half is believed, where they are few of all rows.
_HALF = 5.0
# What conjugate gradients may leave, relative to the start, and their most steps.
_ENOUGH, _STEPS = 0.2, 20
# Newton steps on the model; none where its gradient is so small relative to g.
_NEWTON_STEPS, _SETTLED = 3, 0.1
# In which length of a direction the model is least is looked for among these.
_LENGTHS: tuple[float, ...] = tuple((2.0 ** np.arange(0, -13, -1)).tolist())
_TRIED: tuple[float, ...] = tuple((2.0 ** -np.arange(8)).tolist())
_ARMIJO = 1e-2
# A diagonal that has vanished along the step is taken to be this share of the one at its start.
LEAST_CURVATURE = 1e-3
# A pair's curvature is no less than this share of what the sample says.
LEAST_SHARE = 0.2

Pair = tuple[Floats, Floats]


@dataclass(frozen=True, eq=False)
class SampledModel:
    """The model m of a freshly accepted point.

    Attributes
    ----------
    loss
        Of the sample there.
    gradient, diagonal
        (n,) of the objective there, and of its Hessian; the latter is positive.
    steps
        The last pairs (s, y), oldest first, the newest of which ends at the point.
    doubt
        How many times as many rows as usual must have a feature for the sample to be believed.

    Notes
    -----
    A direction takes up to 80 products with the sample's Hessian, mostly a quarter of that, and some 20 vectors (n,).
    """

    loss: SampledLoss
    gradient: Floats
    diagonal: Floats
    steps: Sequence[Pair] = ()
    doubt: float = 1.0

    @cached_property
    def scale(self) -> Floats:
        """S, (n,)."""
        loss = self.loss
        believed = loss.rows / np.maximum(loss.rows + self.doubt * _HALF * (1 - loss.share), 1.0)
        share = believed * np.maximum(self.diagonal - loss.penalty, 0.0)
        known = loss.diagonal > 0
        return np.sqrt(np.minimum(np.divide(share, loss.diagonal, out=np.zeros_like(share), where=known), 1.0))

    @cached_property
    def rest(self) -> Floats:
        """e, (n,)."""
        return np.asarray(self.diagonal - self.scale**2 * self.loss.diagonal)

    @cached_property
    def errors(self) -> list[Pair]:
        """The pairs (s_k, d_k), oldest first."""
        found: list[Pair] = []
        there = self.loss
        for s, y in reversed(self.steps):
            before = there.moved(-self.scale * s)
            found.append((s, y - self.scale * (there.gradient - before.gradient) - self.rest * s))
            there = before
        return found[::-1]

    @cached_property
    def pairs(self) -> list[Pair]:
        """The pairs (s_k, B s_k + d_k) along which there is curvature, oldest first."""
        found = []
        for s, error in self.errors:
            by_sample = self.times(self.loss, s)
            if s @ (by_sample + error) > LEAST_SHARE * (s @ by_sample):
                found.append((s, by_sample + error))
        return found

    def times(self, loss: SampledLoss, vector: Floats) -> Floats:
        """Multiply B with a vector (n,), H being that of the sample's loss at some point."""
        return np.asarray(self.scale * loss.times(self.scale * vector) + self.rest * vector)

    def change(self, there: SampledLoss, direction: Floats) -> Floats:
        """Return m'(p) - m'(0), (n,), for a direction p (n,) at whose end the sample's loss is `there`."""
        return np.asarray(self.scale * (there.gradient - self.loss.gradient) + self.rest * direction)

    def diagonal_at(self, there: SampledLoss) -> Floats:
        """Return the diagonal of m's Hessian, (n,), where the sample's loss is `there`; it has not vanished."""
        return np.maximum(self.scale**2 * there.diagonal + self.rest, LEAST_CURVATURE * self.diagonal)

    def solve(self, vector: Floats) -> Floats:
        """Return about B^-1 v, (n,)."""
        return self._solve(self.loss, vector, self.diagonal)

    def refined(self, direction: Floats) -> Floats:
        """Go on from the best length of a direction p_0 (n,) to where m(p) + p' D p_0 is less, D s_k being d_k."""
        direction = self._of_best_length(direction)
        fixed = self.gradient + self.error_of(direction)
        enough = _SETTLED * self._size(self.gradient)
        for _ in range(_NEWTON_STEPS):
            there = self.loss.moved(self.scale * direction)
            slope = fixed + self.change(there, direction)
            if not self._size(slope) > enough:
                break
            more = self._solve(there, -slope, self.diagonal_at(there))
            length = self._length(there, slope, more)
            if length is None:
                break
            direction = direction + length * more
        return direction

    def _of_best_length(self, direction: Floats) -> Floats:
        down, bend = float(self.gradient @ direction), 0.5 * float(self.rest @ direction**2)
        gains = self.loss.gains(self.scale * direction, _LENGTHS)
        model = [t * down + float(gain) + t * t * bend for t, gain in zip(_LENGTHS, gains, strict=True)]
        if model[0] <= _ENOUGH * down:
            # as the quadratic model has it, or nearly
            return direction
        best = int(np.argmin(np.where(np.isfinite(model), model, np.inf)))
        return _LENGTHS[best] * direction

    def error_of(self, vector: Floats) -> Floats:
        """Return D v: the least symmetric D, measured by the diagonal, with D s_k = d_k (Powell 1970), step by step."""
        return _times(self._updates, vector)

    @cached_property
    def _updates(self) -> list[Pair]:
        updates: list[Pair] = []
        for s, d in self.errors:
            along = self.diagonal * s
            along /= s @ along
            left = d - _times(updates, s)
            updates.append((left - 0.5 * (s @ left) * along, along))
        return updates

    def _size(self, vector: Floats) -> float:
        return float(np.sqrt(vector @ (vector / self.diagonal)))

    def _length(self, there: SampledLoss, slope: Floats, direction: Floats) -> float | None:
        """Return the first length that lowers the model enough, if there is one."""
        down = float(slope @ direction)
        bend = 0.5 * float(self.rest @ direction**2)
        for t in _TRIED if down < 0 else ():
            (gain,) = there.gains(self.scale * direction, (t,))
            if t * down + float(gain) + t * t * bend <= _ARMIJO * t * down:
                return t
        return None

    def _solve(self, loss: SampledLoss, vector: Floats, diagonal: Floats) -> Floats:
        found, left = np.zeros_like(vector), vector.copy()
        towards = scaled = left / diagonal
        size = first = float(left @ scaled)
        for _ in range(_STEPS):
            if not size > _ENOUGH**2 * first:
                break
            product = self.times(loss, towards)
            curvature = float(towards @ product)
            if not curvature > 0:
                break
            length = size / curvature
            found += length * towards
            left -= length * product
            scaled = left / diagonal
            before, size = size, float(left @ scaled)
            towards = scaled + (size / before) * towards
        return found


def _times(updates: Sequence[Pair], vector: Floats) -> Floats:
    return sum(((b @ vector) * a + (a @ vector) * b for a, b in updates), np.zeros_like(vector))
