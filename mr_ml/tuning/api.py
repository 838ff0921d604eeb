"""Tuning from Python: ``mr_ml.tune`` and ``mr_ml.resume_tuning``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

from mr_ml.models.base import UNNAMED_KIND
from mr_ml.tuning import ask, driver
from mr_ml.tuning.driver import TuneResult
from mr_ml.where import Place, TrainWhere, session_of

# The penalties that are tried if nothing else is said.
DEFAULT_L2 = "1e-6:1e-1:8"


def default_l2(l1: object) -> str:
    """Return the L2 penalties that are tried where only this is said of the L1 penalties, or nothing: None."""
    return DEFAULT_L2 if l1 is None else "0"


def tune(
    root: Place,
    dataset: str,
    model: str,
    *,
    l1: float | str | Sequence[float | str] | None = None,
    l2: float | str | Sequence[float | str] | None = None,
    loss: str | Sequence[str] = "logistic",
    class_weights: str | Sequence[str | None] | None = None,
    draws: int | None = None,
    seed: int = 0,
    halving: int | None = None,
    first_passes: int | None = None,
    folds: int | None = None,
    validation: str | None = None,
    metric: str | None = None,
    rule: Literal["best", "one-se"] = "best",
    split: str = "train",
    kind: str = UNNAMED_KIND,
    options: dict[str, Any] | None = None,
    **where: Unpack[TrainWhere],
) -> TuneResult:
    """Train and judge many models in the same passes, and publish the one that is best, trained on all rows.

    Parameters
    ----------
    root, dataset, model, split, kind
        As of `mr_ml.train`.
    l1, l2
        Penalties to try: numbers, or text such as "1e-6,1e-3" or "1e-6:1e-1:8", even in their logarithms; None for 0,
        but eight of l2 if there is no l1 either.
    loss, class_weights
        One or several to try, as of `mr_ml.train`; None for no class weights. Each combination is a candidate.
    draws, seed
        Draw so many candidates instead of trying each combination; of an l2 such as "1e-6:1e-1" any number between.
    halving, first_passes
        Successive halving: after `first_passes` passes (default 4) the best 1 of `halving` candidates go on, after
        `halving` times as many the best of these, and so on.
    folds
        Judge each candidate by so many models, each trained without one fold and judged by it; by default the folds
        that the dataset was packed with, else 5.
    validation
        Judge by this split instead.
    metric
        By which, such as "accuracy"; by default what the loss minimises.
    rule
        "best" for the best mean; "one-se" for the largest penalties within one standard error of it.
    options
        That all candidates share, as of `mr_ml.train`: `solver`, `tolerance`, `warm_start_from` and so on.
    **where
        As of `mr_ml.train`.

    Returns
    -------
    TuneResult
        `tuned`: what was tried, with `chosen`, the number of the best; `trained`: as `mr_ml.train` returns it;
        `seconds`: of both together.

    Raises
    ------
    UsageError
        If options do not fit together, or not to the data.
    BadDataError
        If folds are not what models need, data is not what was packed, or no model comes of it.

    Examples
    --------
    >>> result = mr_ml.tune(root, "iris", "iris-tuned", loss="softmax", l2="1e-5:1e-1:5", folds=5)
    >>> result.tuned.tried[result.tuned.chosen].options["l2"] < 0.1
    True
    """
    asked = ask.Asked(
        l1=0.0 if l1 is None else l1, l2=default_l2(l1) if l2 is None else l2, loss=loss,
        class_weights=class_weights, draws=draws, seed=seed, halving=halving,
        first_passes=first_passes, folds=folds, validation=validation, metric=metric, rule=rule,
    )  # fmt: skip
    with session_of(root, where) as session:
        return ask.tune(session, kind, dataset, model, split, asked, options or {})


def resume_tuning(root: Place, run: str, **where: Unpack[TrainWhere]) -> TuneResult:
    """Go on with a tuning that was interrupted, from its last checkpoint; what comes of it is the same to the last bit.

    Parameters
    ----------
    root, **where
        As of `mr_ml.tune`.
    run
        Name of the tuning's run.
    """
    with session_of(root, where) as session:
        return driver.resume(session, run)
