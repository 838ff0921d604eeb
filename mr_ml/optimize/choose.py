"""Which method to use: the one that needs the fewest passes and whose statistics still fit."""

from __future__ import annotations

from mr_ml.errors import UsageError
from mr_ml.optimize.lbfgs import Lbfgs
from mr_ml.optimize.line import LineMethod
from mr_ml.optimize.newton import Newton

SOLVERS = ("auto", "lbfgs", "newton")
NEWTON_UP_TO = 700


def choose(solver: str, *, size: int, tolerance: float, max_passes: int) -> LineMethod:
    """The optimizer for a problem of `size` coefficients.

    Raises
    ------
    UsageError
        If there is no such solver.
    """
    if solver not in SOLVERS:
        raise UsageError(f"solver {solver!r} is not known; choose one of {', '.join(SOLVERS)}")
    if solver == "newton" or (solver == "auto" and size <= NEWTON_UP_TO):
        return Newton(tolerance=tolerance, max_passes=max_passes)
    # many pairs where they are cheap
    memory = 50 if size <= 200_000 else 20 if size <= 5_000_000 else 10
    return Lbfgs(tolerance=tolerance, max_passes=max_passes, memory=memory)
