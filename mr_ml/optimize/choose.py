"""Which method to use: the one that needs the fewest passes and whose statistics still fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mr_ml.errors import UsageError

if TYPE_CHECKING:
    from mr_ml.optimize.line_search import LineMethod

SOLVERS = ("auto", "lbfgs", "newton")
NEWTON_UP_TO = 700
# What all pairs of a very large model take; no fewer than a handful, below which the method loses its point.
_PAIR_BYTES = 1 << 30
_FEWEST_PAIRS = 5


def choose(solver: str, *, size: int, tolerance: float, max_passes: int) -> LineMethod:
    """The optimizer for a problem of `size` coefficients.

    Raises
    ------
    UsageError
        If there is no such solver.
    """
    # here, since most commands need no more than the names
    from mr_ml.optimize.lbfgs import NARROW_FROM, Lbfgs
    from mr_ml.optimize.newton import Newton

    if solver not in SOLVERS:
        raise UsageError(f"solver {solver!r} is not known; choose one of {', '.join(SOLVERS)}")
    if solver == "newton" or (solver == "auto" and size <= NEWTON_UP_TO):
        return Newton(tolerance=tolerance, max_passes=max_passes)
    # many pairs where they are cheap
    memory = 50 if size <= 200_000 else 20
    if size >= NARROW_FROM:
        memory = min(memory, max(_PAIR_BYTES // (8 * size), _FEWEST_PAIRS))
    # of few coefficients a Hessian costs hardly more than a pass without
    return Lbfgs(tolerance=tolerance, max_passes=max_passes, memory=memory, proves=size <= NEWTON_UP_TO)
