"""What a training was asked for; stored with its run and with the model that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from hdfs_layout.paths import MAX_PASS, MAX_VERSION
from mr_ml.data import stored
from mr_ml.models.linear.losses import LOSSES


@dataclass(frozen=True)
class TrainSpec:
    """What the user asked for; with the dataset's data it determines the model.

    Attributes
    ----------
    dataset
        With its version, ``name@3``.
    l2
        Relative to the mean loss; acts on coefficients in raw feature space or, with penalty_space "scaled", on those
        of features divided by their standard deviation.
    class_weights
        "balanced", or label=factor pairs as text, or None.
    solver
        Known where the model is trained, not wherever it is read: its package need not be installed there.
    """

    dataset: stored.Versioned
    model: stored.Name
    split: stored.Name = "train"
    loss: Annotated[str, stored.registered(LOSSES)] = "logistic"
    l2: stored.NotNegative = 0.0
    penalty_space: Literal["raw", "scaled"] = "raw"
    intercept: bool = True
    row_weights: bool = True
    class_weights: Annotated[str, stored.matching(r"(?s)balanced|.*=.*", "'balanced' or LABEL=FACTOR,...")] | None = (
        None
    )
    solver: stored.Name = "auto"
    tolerance: stored.NotNegative = 1e-6
    max_passes: Annotated[int, stored.at_least(1), stored.at_most(MAX_PASS)] = 500

    @property
    def weighs_deviations(self) -> bool:
        """Whether the penalty refers to standard deviations by row weights, where rows have some."""
        return self.row_weights and self.penalty_space == "scaled" and self.l2 > 0

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class RunDocument:
    """What is written of a run before its first pass.

    Attributes
    ----------
    run
        Its name; None in those of releases that did not write it.
    after
        The model's last version when the run began: what the run publishes comes after it.
    """

    kind: Literal["train"] = "train"
    run: stored.Name | None = None
    after: Annotated[int, stored.at_least(0), stored.at_most(MAX_VERSION)] = 0
    spec: TrainSpec

    may_lack: ClassVar[frozenset[str]] = frozenset({"run", "after"})

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "spec": self.spec.to_json()}
