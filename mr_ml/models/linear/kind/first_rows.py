"""Where a search with the Hessian begins: near the optimum of the split's first rows, which the driver finds in memory.

From zero, most passes of Newton's method go by until it is near; the optimum of a sample is near. Rows are shuffled
when they are packed, so the first ones are a sample. The same optimizer minimises the same objective over four fifths
of them, but that each coefficient is held where the search would start by as much as `_HELD` rows hold it,

    + 1/2 sum_j k b / r_j (theta_j - start_j)^2

b being the mean second derivative at the start, of rows of which r_j have feature j: what hardly any of them has would
else be taken to where no row has curvature left. A tenth of the rows comes first, from which the others begin.

That only aims. All rows judge it in the first pass, and the search begins at the start after all where it is no better:
see `mr_ml.optimize.starts`. The last fifth of the first rows is asked the same before, so that hardly any pass is made
in vain.

It is worth it where rows are many more than coefficients, of which the first ones are a small part: see
`mr_ml.models.linear.sampled.first_rows`. Then all of this is less arithmetic than the passes that it saves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.errors import NoModelError
from mr_ml.models.linear.objective import Objective
from mr_ml.models.problem import FirstGuess
from mr_ml.optimize.base import Ask, Evaluation, Optimizer
from mr_ml.optimize.choose import choose
from mr_ml.sums.blas import one_thread
from mr_ml.sums.statistic import Statistic

if TYPE_CHECKING:
    from mr_ml.models.linear.kind.problem import LinearProblem

Floats = NDArray[np.float64]
Search = Optimizer[Any, Ask, Evaluation]

# What is looked at, and what comes first, is one of so many.
_LOOKED_AT, _BEFORE = 5, 8
_HELD = 2.0
# As near as rows tell; no spec counts, so that a run that goes on to a smaller tolerance has begun at the same place.
_TOLERANCE, _MOST_PASSES = 3e-3, 30
# The largest margin of rows that are looked at, where others must not have one of 20 (`Newton.warm_gaps`).
_FURTHEST = 15.0


def first_guess(problem: LinearProblem, blocks: Iterable[Block], n: int) -> FirstGuess | None:
    """Return where the search begins; None for the start.

    Parameters
    ----------
    blocks
        Of the split, as they are stored and in their order; read no further than is needed.
    n
        How many rows it goes by.
    """
    objective, start = problem.objective, problem.start()
    search = choose(
        problem.choice.solver, size=objective.size, tolerance=_TOLERANCE, max_passes=_MOST_PASSES,
        smooth=objective.kinks is None,
    )  # fmt: skip
    at_start = Ask(start, hessian=True)
    n_looked_at = n // _LOOKED_AT
    n_before = (n - n_looked_at) // _BEFORE
    read = map(objective.query(at_start).prepare, blocks)
    before, others, looked_at = _cut(read, (n_before, n - n_looked_at - n_before, n_looked_at))
    try:
        with one_thread():
            begun = _evaluated(objective, at_start, before)
            assert begun.columns is not None
            bend = begun.columns.bend / objective.rows.n_outputs
            point = _minimised(search, search.init(start), _Held.over(before, objective, start, bend=bend))
            if point is not None:
                held = _Held.over([*before, *others], objective, start, bend=bend)
                point = _minimised(search, search.init_warm(start, point), held)
            if point is None:
                return None
            columns = len(begun.columns.means) if begun.columns.independent else None
            guess = FirstGuess(point=point, n_rows=n, columns=columns)
            return guess if _is_good(search, objective, guess, looked_at) else None
    except NoModelError:
        # rows without weight
        return None


def _cut(blocks: Iterable[Block], numbers: Sequence[int]) -> list[list[Block]]:
    """Return so many rows, then so many others, and so on; they are fewer if there are no more."""
    pieces: list[list[Block]] = [[] for _ in numbers]
    left = list(numbers)
    k = 0
    for block in blocks:
        at = 0
        while at < block.n_rows and k < len(left):
            more = min(block.n_rows - at, left[k])
            pieces[k].append(block.rows(np.arange(at, at + more)))
            at, left[k] = at + more, left[k] - more
            k += not left[k]
        if k == len(left):
            break
    return pieces


def _evaluated(objective: Objective, ask: Ask, rows: Sequence[Block]) -> Evaluation:
    query = objective.query(ask)
    return objective.finish(ask, reduce(Statistic.absorb, map(query.map, rows)))


def _minimised(search: Search, state: Any, held: _Held) -> Floats | None:
    """Return the optimum, (size,); None if it is not found."""
    while (ask := search.ask(state)) is not None:
        state = search.tell(state, held.at(ask))
    result = search.result(state)
    return result.point if result.stop.converged else None


def _is_good(search: Search, objective: Objective, guess: FirstGuess, rows: Sequence[Block]) -> bool:
    """Whether a search over these rows alone would begin at the guess."""
    state = search.init_sampled(objective.start(), guess.point, columns=guess.columns)
    ask = search.ask(state)
    assert ask is not None
    found = _evaluated(objective, ask, rows)
    furthest = 0.0 if found.separation is None else -found.separation.minus_max_gap
    told = search.tell(state, found)
    return furthest <= _FURTHEST and not np.array_equal(search.point(told), ask.point)


@dataclass(frozen=True, eq=False)
class _Held:
    """The objective over some rows, whose coefficients are held at the start by `strength`, (size,)."""

    objective: Objective
    rows: Sequence[Block]
    start: Floats
    strength: Floats

    @classmethod
    def over(cls, rows: Sequence[Block], objective: Objective, start: Floats, *, bend: float) -> _Held:
        """Return that of rows, which have a mean second derivative `bend` at the start."""
        counts = sum(block.features.column_sums(n_features=objective.rows.n_features)[-1] for block in rows)
        if objective.scaling.intercept:
            counts = np.append(counts, float(sum(block.n_rows for block in rows)))
        strength = _HELD * bend / np.maximum(np.asarray(counts, np.float64), 1.0)
        return cls(objective, rows, start, np.tile(strength, objective.rows.n_outputs))

    def at(self, ask: Ask) -> Evaluation:
        """Evaluate an ask; there is an optimum, so that nothing is said of how classes can be told apart."""
        found = _evaluated(self.objective, ask, self.rows)
        assert found.hessian is not None
        assert found.curvature is not None
        along = 0.0 if ask.direction is None else ask.direction
        ends = [ask.point - self.start + step * along for step in ask.steps]
        hessian = found.hessian.copy()
        hessian[np.diag_indices_from(hessian)] += self.strength
        return replace(
            found, values=found.values + np.array([self.strength @ end**2 / 2 for end in ends]),
            gradient=found.gradient + self.strength * ends[ask.chosen], curvature=found.curvature + self.strength,
            hessian=hessian, separation=None, columns=None,
        )  # fmt: skip
