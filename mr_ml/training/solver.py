"""Which of the solvers that a spec leaves open a run goes by: chosen once, by what memory allows, and written down.

Coefficients of different solvers agree within the tolerance and not to the bit, so a run that goes on goes by the one
that it began with, whatever memory there is then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mr_ml.catalog.run import RunDocument
from mr_ml.errors import UnavailableError, UsageError
from mr_ml.models.needs import Needs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mr_ml.models.problem import Problem


def chosen(problem: Problem, begun: RunDocument | None, take: Callable[[Needs], object]) -> Problem:
    """Return the problem by what its run goes by: if it is not begun, the first choice for which there is memory.

    Parameters
    ----------
    take
        Raises UsageError or UnavailableError if memory does not hold what is needed.
    """
    if begun is not None:
        return as_begun(problem, begun)
    *others, last = problem.choices
    for choice in others:
        try:
            take(problem.by(choice).needs())
        except (UsageError, UnavailableError):
            continue
        return problem.by(choice)
    if others:
        last = replace(last, why=f"memory does not hold the sample of the rows that {others[0].solver} goes by")
    return problem.by(last)


def frugal(problem: Problem) -> Problem:
    """Return the problem by the one of its choices that takes the least memory."""
    return problem.by(problem.choices[-1])


def as_begun(problem: Problem, document: RunDocument) -> Problem:
    """Return the problem by what its run went by from the start."""
    return frugal(problem) if document.solver is None else problem.by(document.solver)
