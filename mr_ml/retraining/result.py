"""What came of a retraining, for the caller, notifications and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from hdfs_layout.dataclass import dataclass
from hdfs_layout.faults import of_machine
from mr_ml.catalog.decision import Decision
from mr_ml.errors import GateRefusedError, MrMlError
from mr_ml.retraining.journal import Outcome, now

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig


@dataclass(frozen=True, kw_only=True)
class RetrainResult:
    """What came of a retraining.

    Attributes
    ----------
    model, window
        Which model, and the last day of the rows; None if it failed before that was known.
    run
        The training run; None if it failed before there was one.
    outcome
        "published": the candidate is promoted; "refused": by the gate; "failed": by an error; "superseded", in
        notifications alone: an unfinished window was given up for a newer one.
    dataset
        What was packed, with its version.
    version
        Of the candidate.
    promoted
        The version that the name of the model means now; None if there is none.
    forced
        Why the candidate was promoted, or was to be, whatever the gate says.
    decision
        Of the gate, with every number.
    message
        One sentence: what came of it, and why.
    exit_code
        Of the command: 0, 3 for a refusal, else that of the error.
    repeated
        Whether all this was so before, and nothing was left to do.
    started, ended
        When, in UTC.
    seconds
        How long this process worked on it; from its start to its end where another process did.
    days, missing_days
        How many days of the window have data; None if that is not known. Those that have none.
    removed
        How many things retention removed.
    training
        How training ended: passes, objective and so on, as the manifest has it.
    report
        Where its report lies; None if none was asked for, or could be written.
    """

    model: str
    window: str | None
    run: str | None = None
    outcome: Outcome
    dataset: str | None = None
    version: int | None = None
    promoted: int | None = None
    forced: str | None = None
    decision: Decision | None = None
    message: str
    exit_code: int = 0
    repeated: bool = False
    started: str = field(default_factory=now)
    ended: str = field(default_factory=now)
    seconds: float = 0.0
    days: int | None = None
    missing_days: tuple[str, ...] = ()
    removed: int = 0
    training: Mapping[str, Any] = field(default_factory=dict)
    report: str | None = None

    @property
    def candidate(self) -> str | None:
        """Name and version of the candidate, ``ctr@7``."""
        return None if self.version is None else f"{self.model}@{self.version}"

    @property
    def reasons(self) -> list[str]:
        """What the gate found wrong, a sentence for each check."""
        return self.decision.reasons if self.decision is not None else []

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        decision = None if self.decision is None else self.decision.to_json()
        return {
            **vars(self), "candidate": self.candidate, "decision": decision, "training": dict(self.training),
            "missing_days": list(self.missing_days),
        }  # fmt: skip


class RefusedError(GateRefusedError):
    """The gate refused a candidate; `result` has every number.

    Attributes
    ----------
    result
        What came of the retraining.
    """

    def __init__(self, result: RetrainResult) -> None:
        super().__init__(result.message)
        self.result = result


def failure(error: Exception, config: RetrainConfig, known: Mapping[str, Any]) -> RetrainResult:
    """Return the result of a retraining that an error ended.

    Parameters
    ----------
    known
        Other attributes of the result.
    """
    found = error if isinstance(error, MrMlError) else of_machine(error)
    message = f"a defect of mr_ml: {type(error).__name__}: {error}" if found is None else str(found)
    return RetrainResult(
        model=config.model, outcome="failed", message=config.hide(message),
        exit_code=MrMlError.exit_code if found is None else found.exit_code, **known,
    )  # fmt: skip
