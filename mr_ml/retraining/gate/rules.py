"""The rules of the gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, ClassVar, Literal

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored

# Those that are means over rows, so that their differences have a standard error.
Metric = Literal[
    "log_loss", "accuracy", "brier", "mean_squared_error", "mean_absolute_error", "mean_deviance", "mean_loss"
]
Share = Annotated[float, stored.at_least(0), stored.at_most(1)]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Between which values a metric must be, both included; None for no bound."""

    min: float | None = None
    max: float | None = None

    may_lack: ClassVar[frozenset[str]] = frozenset({"min", "max"})

    def check_stored(self) -> None:
        """Raise ValueError if nothing is between them."""
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"expected `min` of at most `max` {self.max:g}, found {self.min:g}")


@dataclass(frozen=True, kw_only=True)
class MaxPsi:
    """How far shares of rows may have moved, as population stability index; None for any way.

    Attributes
    ----------
    classes
        Shares of the classes among the training rows.
    presence
        Of each feature: the share of rows in which it is not zero.
    missing
        Of each column of a CSV text: the share of rows in which it has no value.
    values
        Of each feature: the shares of rows with its values in ten ranges.
    """

    classes: stored.NotNegative | None = 0.2
    presence: stored.NotNegative | None = 0.25
    missing: stored.NotNegative | None = 0.25
    values: stored.NotNegative | None = 0.25

    may_lack: ClassVar[frozenset[str]] = frozenset({"classes", "presence", "missing", "values"})


@dataclass(frozen=True, kw_only=True)
class GateRules:
    """The section `gate:` of `retrain.yaml`: what a candidate must be like to be promoted.

    Attributes
    ----------
    metric
        By which the candidate is compared with the published model on the same rows. None: the mean of what training
        minimises, log_loss of classes, mean_deviance of means, mean_squared_error or mean_loss of others.
    margin
        How much worse than the published model the candidate may be: a share of the published model's metric, 0.01 for
        a hundredth.
    confidence
        How certain it must be that it is not worse than that.
    bounds
        Metric -> between which values the candidate's must be; any metric that `evaluate` tells.
    max_psi
        How far shares of rows may have moved since the published model's training.
    max_mean_shift
        How far the mean of a feature may have moved, in standard deviations of the published model's training rows;
        None for any way.
    max_row_change
        The number of training rows may be smaller by this share than the published model's, 0.5 for down to half as
        many, and larger likewise, up to twice as many; None for any number.
    unwatched
        Features, or columns of categories, whose drift is not judged: times and counters, which always move.
    schema
        "same": the same input format, kind of labels, weights and offsets, and the same features in the same order;
        "may_grow": features may also appear and move, and none has vanished; "any". Features that together have few
        values do not count: categories come and go.
    labels
        "same": training rows have the labels that the published model knows; "any".
    require_converged
        Whether training must have reached the optimum.
    """

    metric: Metric | None = None
    margin: stored.NotNegative = 0.02
    confidence: Annotated[float, stored.at_least(0.5), stored.Rule("a number below 1", lambda p: p < 1)] = 0.95
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    max_psi: MaxPsi = field(default_factory=MaxPsi)
    max_mean_shift: stored.NotNegative | None = 0.5
    max_row_change: Annotated[float, stored.at_least(0), stored.Rule("a number below 1", lambda c: c < 1)] | None = 0.5
    unwatched: tuple[str, ...] = ()
    schema: Literal["same", "may_grow", "any"] = "same"
    labels: Literal["same", "any"] = "same"
    require_converged: bool = True

    may_lack: ClassVar[frozenset[str]] = frozenset({"bounds", "max_psi"})
