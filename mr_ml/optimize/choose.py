"""The optimizers by name, and which of them to use where the user does not say.

An installed package adds one by an entry point of the group ``mr_ml.optimizers``, whose name is what ``--solver`` then
accepts and which refers to a `Factory`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hdfs_layout.registry import Registry
from mr_ml.errors import UsageError

if TYPE_CHECKING:
    from mr_ml.optimize.base import Ask, Evaluation, Optimizer

# What a pass may return for a method to be chosen that needs few passes: the Hessian of 700 coefficients and a little.
CHEAP_PASS_BYTES = 3_940_000


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


_AUTO = "auto"
BUILT_IN = {
    _AUTO: "mr_ml.optimize.choose:auto",
    "lbfgs": "mr_ml.optimize.lbfgs:lbfgs",
    "lbfgs-sampled": "mr_ml.optimize.sampled_lbfgs:lbfgs_sampled",
    "newton": "mr_ml.optimize.newton:newton",
    "proximal-lbfgs": "mr_ml.optimize.proximal_lbfgs:proximal_lbfgs",
    "proximal-newton": "mr_ml.optimize.proximal_newton:proximal_newton",
}
# Those that `auto` chooses from, fewest passes first. Never an installed one: what a run does must not depend on what
# else there is on a machine. Those of objectives that are smooth, and of others.
_AUTOMATIC = {True: ("newton", "lbfgs"), False: ("proximal-newton", "proximal-lbfgs")}

OPTIMIZERS: Registry[Factory] = Registry("solver", group="mr_ml.optimizers", built_in=BUILT_IN)


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
    if solver == _AUTO:
        return auto(size=size, tolerance=tolerance, max_passes=max_passes, smooth=smooth)
    optimizer = OPTIMIZERS.get(solver)(size=size, tolerance=tolerance, max_passes=max_passes)
    if not (smooth or optimizer.takes_kinks):
        raise UsageError(
            f"`solver`: expected {_AUTO} or one of {', '.join(_AUTOMATIC[False])}, which can have `l1` and bounds, "
            f"found {solver}, which cannot"
        )
    return optimizer


def auto(*, size: int, tolerance: float, max_passes: int, smooth: bool = True) -> Optimizer[Any, Ask, Evaluation]:
    """Make the method with the fewest passes of those whose passes return little; a `Factory`."""
    methods = [
        OPTIMIZERS.get(name)(size=size, tolerance=tolerance, max_passes=max_passes) for name in _AUTOMATIC[smooth]
    ]
    returned = [method.cost(size).pass_bytes for method in methods]
    cheap = (method for method, size_bytes in zip(methods, returned, strict=True) if size_bytes <= CHEAP_PASS_BYTES)
    return next(cheap, methods[returned.index(min(returned))])
