"""What a tuning was asked for, beside the spec of the model, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.data.limits import MOST_CANDIDATES, MOST_FOLDS


@dataclass(frozen=True, kw_only=True)
class TuningPlan:
    """Which candidates there are, and how one of them is chosen.

    Attributes
    ----------
    candidates
        What each of them chooses otherwise than the spec.
    folds
        In so many parts of the split each is judged by models of the others; None if another split judges.
    validation
        That split.
    metric
        By which they are judged; None for that of the loss.
    rule
        Whether the best mean is chosen, or the most penalised of those within a standard error of it.
    first_passes, factor
        Of successive halving; None for none.
    draws, seed
        How many candidates were drawn, and by what; None if they are a whole grid.
    """

    candidates: tuple[dict[str, Any], ...]
    folds: Annotated[int, stored.at_least(2), stored.at_most(MOST_FOLDS)] | None = None
    validation: stored.Name | None = None
    metric: stored.Name | None = None
    rule: Literal["best", "one-se"] = "best"
    first_passes: stored.Positive | None = None
    factor: Annotated[int, stored.at_least(2)] | None = None
    draws: stored.Positive | None = None
    seed: stored.Count = 0

    may_lack: ClassVar[frozenset[str]] = frozenset({"folds", "validation", "metric", "first_passes", "factor", "draws"})

    def check_stored(self) -> None:
        """Raise ValueError if parts are missing or contradict each other."""
        if not 0 < len(self.candidates) <= MOST_CANDIDATES:
            raise ValueError(f"{len(self.candidates)} candidates")
        if (self.folds is None) is (self.validation is None):
            raise ValueError(f"folds {self.folds!r}, validation {self.validation!r}")
        if (self.first_passes is None) is not (self.factor is None):
            raise ValueError(f"first_passes {self.first_passes!r}, factor {self.factor!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        return {k: v for k, v in vars(self).items() if k not in self.may_lack or v is not None}


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of a candidate.

    Attributes
    ----------
    options
        As in the plan.
    mean, standard_error
        Of the metric over folds; None where it was not judged, or predictions overflow, or there is one fold.
    by_fold
        The metric of each fold.
    passes
        Most that one of its searches made.
    dropped
        The cut of successive halving at which it was, from 0 on.
    converged
        Whether all of its searches that have ended found an optimum.
    stops
        Why they ended, each reason once.
    """

    options: dict[str, Any]
    mean: float | None
    standard_error: float | None
    by_fold: tuple[float | None, ...]
    passes: stored.Count
    dropped: stored.Count | None
    converged: bool
    stops: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What came of a tuning.

    Attributes
    ----------
    run
        Of the tuning.
    metric, higher
        By which candidates were judged, and whether more is better.
    rule
        As in the plan.
    chosen
        Number of the candidate among `tried`, from 0 on.
    passes
        Over the data, for all of them together.
    """

    run: stored.Name
    metric: str
    higher: bool
    rule: Literal["best", "one-se"]
    chosen: stored.Count
    passes: stored.Count
    tried: tuple[Tried, ...]

    def check_stored(self) -> None:
        """Raise ValueError if the chosen one is none of them."""
        if self.chosen >= len(self.tried):
            raise ValueError(f"chosen {self.chosen} of {len(self.tried)}")

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        return {**vars(self), "tried": [_plain(vars(one)) for one in self.tried]}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: list(v) if k in ("by_fold", "stops") else v for k, v in values.items()}
