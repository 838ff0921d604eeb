"""The optimizers by name, and which of them to use where the user does not say.

An installed package adds one by an entry point of the group ``mr_ml.optimizers``, whose name is what ``--solver`` then
accepts and which refers to a `Factory`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hdfs_layout.dataclass import dataclass
from hdfs_layout.registry import Registry
from mr_ml.errors import UsageError
from mr_ml.optimize.built_in import AUTO, BUILT_IN

if TYPE_CHECKING:
    from mr_ml.optimize.base import Ask, Evaluation, Optimizer


class Factory(Protocol):
    """What makes an optimizer; its kind in the registry."""

    def __call__(self, *, size: int, tolerance: float, max_passes: int) -> Optimizer[Any, Ask, Evaluation]:
        """Make the optimizer for a problem.

        Parameters
        ----------
        size
            Number of coefficients.
        tolerance
            Stop when no component of the gradient is larger, in the units of the evaluation.
        max_passes
            Stop after this many passes.
        """


# Those that `auto` chooses from, fewest passes first; of those side by side the later ones take less of the driver's
# memory. Never an installed one: what a run does must not depend on what else there is on a machine. Those of
# objectives that are smooth, and of others.
_AUTOMATIC: dict[bool, tuple[tuple[str, ...], ...]] = {
    True: (("newton",), ("lbfgs-sampled", "lbfgs")),
    False: (("proximal-newton",), ("proximal-lbfgs",)),
}

OPTIMIZERS: Registry[Factory] = Registry("solver", group="mr_ml.optimizers", built_in=BUILT_IN)


@dataclass(frozen=True)
class Choice:
    """The name of a solver, and why it is the one: a part of a sentence, "" if it was asked for by name."""

    solver: str
    why: str


def choose(
    solver: str, *, size: int, tolerance: float, max_passes: int, smooth: bool = True
) -> Optimizer[Any, Ask, Evaluation]:
    """Make the optimizer of this name for a problem of `size` coefficients.

    Parameters
    ----------
    smooth
        Whether the objective is; if not, "auto" means another method.

    Raises
    ------
    UsageError
        If there is no such solver, or it is for smooth objectives and this one is not.
    """
    if solver == AUTO:
        solver = choices(solver, size=size, smooth=smooth)[0].solver
    optimizer = OPTIMIZERS.get(solver)(size=size, tolerance=tolerance, max_passes=max_passes)
    if not (smooth or optimizer.takes_kinks):
        made = {name: OPTIMIZERS.get(name)(size=size, tolerance=tolerance, max_passes=max_passes) for name in BUILT_IN}
        able = ", ".join([AUTO, *(name for name, one in made.items() if one.takes_kinks)])
        raise UsageError(
            f"`solver`: expected one of {able}, which can have `l1` and bounds, found {solver}, which cannot"
        )
    return optimizer


def choices(solver: str, *, size: int, smooth: bool = True) -> tuple[Choice, ...]:
    """Return what a solver can mean for a problem of `size` coefficients, fewest passes first.

    Each takes less of the driver's memory than the one before. The last one is also what runs of releases went by that
    did not write down what they chose.
    """
    if solver != AUTO:
        return (Choice(solver, ""),)
    reasons: list[str] = []
    for names in _AUTOMATIC[smooth]:
        unfit = {name: OPTIMIZERS.get(name)(size=size, tolerance=1.0, max_passes=1).unfit(size) for name in names}
        reasons += [reason for reason in unfit.values() if reason is not None]
        why = " and ".join(reasons) or f"the Hessian of {size:,} coefficients is small"
        if fit := tuple(Choice(name, why) for name, reason in unfit.items() if reason is None):
            return fit
    raise AssertionError("of each kind one is for all problems")


def auto(*, size: int, tolerance: float, max_passes: int) -> Optimizer[Any, Ask, Evaluation]:
    """Make what `auto` means where the objective is smooth; a `Factory`."""
    return choose(AUTO, size=size, tolerance=tolerance, max_passes=max_passes)
