"""What a user asks for when a model is tuned, and the plan that it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.tuning import TuningPlan
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.session import Session
from mr_ml.tuning.candidates import Choices, Span, drawn, grid, numbers
from mr_ml.tuning.driver import TuneResult, folds_of, with_options
from mr_ml.tuning.driver import tune as run_plan

# before which successive halving knows too little
_FIRST_PASSES = 4


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is tried, and how it is judged; see `mr_ml.api.tune`."""

    l1: float | str | Sequence[float | str] = 0.0
    l2: float | str | Sequence[float | str] = 0.0
    loss: str | Sequence[str] = "logistic"
    class_weights: str | Sequence[str | None] | None = None
    draws: int | None = None
    seed: int = 0
    halving: int | None = None
    first_passes: int | None = None
    folds: int | None = None
    validation: str | None = None
    metric: str | None = None
    rule: Literal["best", "one-se"] = "best"

    @property
    def choices(self) -> dict[str, Choices]:
        """What each option may be; those that have one value only are the same for all."""
        return {
            "loss": tuple([self.loss] if isinstance(self.loss, str) else self.loss),
            "class_weights": _texts(self.class_weights),
            "l1": _numbers("l1", self.l1),
            "l2": _numbers("l2", self.l2),
        }


def _texts(given: str | Sequence[str | None] | None) -> tuple[str | None, ...]:
    return (given,) if given is None or isinstance(given, str) else tuple(given)


def _numbers(name: str, given: float | str | Sequence[float | str]) -> Choices:
    """Return numbers that were given at once or one after the other."""
    if isinstance(given, int | float | str):
        return numbers(name, given)
    several = [numbers(name, one) for one in given]
    if len(several) == 1:
        return several[0]
    return tuple(value for some in several for value in (some.grid(name) if isinstance(some, Span) else some))


def tune(
    session: Session, kind: str, dataset: str, model: str, split: str, asked: Asked, common: Mapping[str, Any]
) -> TuneResult:
    """Make a plan of what was asked for, and carry it out; raises as `mr_ml.tuning.driver.tune`.

    Parameters
    ----------
    common
        Options that all candidates have.
    """
    if asked.folds is not None and asked.validation is not None:
        raise UsageError("expected `folds` or `validation`, found both")
    if asked.first_passes is not None and asked.halving is None:
        raise UsageError("`first_passes` is for `halving`, which was not asked for")
    draws = stored.chosen(stored.Positive | None, asked.draws, "draws")
    choices = asked.choices
    candidates = grid(choices) if draws is None else drawn(choices, n=draws, seed=asked.seed)
    varied = [name for name in choices if len({str(one[name]) for one in candidates}) > 1]
    fixed = {name: value for name, value in candidates[0].items() if name not in varied}
    spec = session.spec(kind, dataset, model, split, {**common, **fixed})
    data = load_dataset(session.root, spec.dataset)
    plan = stored.check(
        TuningPlan,
        {
            "candidates": tuple({name: one[name] for name in varied} for one in candidates),
            "folds": None if asked.validation is not None else folds_of(data, split, asked.folds).n_folds,
            "validation": asked.validation,
            "metric": asked.metric,
            "rule": asked.rule,
            "first_passes": None if asked.halving is None else asked.first_passes or _FIRST_PASSES,
            "factor": asked.halving,
            "draws": asked.draws,
            "seed": asked.seed,
        },
        what="a tuning",
    )
    for options in plan.candidates:
        with_options(spec, options)
    return run_plan(session, spec, plan)
