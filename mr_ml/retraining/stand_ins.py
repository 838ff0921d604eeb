"""Sections of `retrain.yaml` that other parts of the package are to define; goes when they do."""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from mr_ml.data import stored
from mr_ml.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class InputRules:
    """Where the text is, and of which days.

    Attributes
    ----------
    location
        A path or URI with ``{date}`` in it.
    days
        How many days the window has.
    delay_days
        How many days before today its last day is.
    late_days
        So many of the newest days may be without data.
    min_days
        So many days must have data; None for all but `late_days`.
    min_rows
        So many rows must there be.
    complete_marker
        A day without this file has no data yet.
    """

    location: str
    days: stored.Positive
    delay_days: stored.Count = 1
    late_days: stored.Count = 0
    min_days: stored.Positive | None = None
    min_rows: stored.Positive = 1
    complete_marker: str | None = None

    def check_stored(self) -> None:
        """Raise ValueError if values cannot be, or not together."""
        if "{date" not in self.location:
            raise ValueError("expected `location` with {date} in it")
        if self.late_days >= self.days:
            raise ValueError(f"expected late_days below the {self.days} days, found {self.late_days}")
        if self.min_days is not None and self.min_days > self.days:
            raise ValueError(f"expected min_days up to the {self.days} days, found {self.min_days}")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Between which values a metric must be, both included; None for no bound."""

    min: float | None = None
    max: float | None = None

    def check_stored(self) -> None:
        """Raise ValueError if nothing is between them."""
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"expected `min` of at most `max` {self.max:g}, found {self.min:g}")


@dataclass(frozen=True, kw_only=True)
class MaxPsi:
    """How far shares of rows may have moved, as population stability index; None for any way."""

    classes: stored.NotNegative | None = 0.2
    presence: stored.NotNegative | None = 0.25
    missing: stored.NotNegative | None = 0.25


@dataclass(frozen=True, kw_only=True)
class GateRules:
    """What a candidate must be like to be promoted."""

    metric: Literal["log_loss", "accuracy", "mean_squared_error", "mean_absolute_error"] | None = None
    margin: stored.NotNegative = 0.01
    confidence: Annotated[float, stored.at_least(0.5), stored.Rule("a number below 1", lambda p: p < 1)] = 0.95
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    max_psi: MaxPsi = field(default_factory=MaxPsi)
    max_mean_shift: stored.NotNegative | None = 0.5
    schema: Literal["same", "may_grow", "any"] = "same"
    labels: Literal["same", "any"] = "same"
    require_converged: bool = True


@dataclass(frozen=True, kw_only=True)
class KeepVersions:
    """Of one name, a version is kept that is among the newest `versions` or was published within `days` days."""

    versions: stored.Positive = 1
    days: stored.NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class KeepRuns:
    """A run is kept that was last at work within `days` days."""

    days: stored.NotNegative


@dataclass(frozen=True, kw_only=True)
class RetentionRules:
    """How much is kept."""

    models: KeepVersions | None = None
    datasets: KeepVersions | None = None
    runs: KeepRuns | None = None
    orphans_days: stored.NotNegative = 1.0


def zone_named(name: str) -> zoneinfo.ZoneInfo:
    """Return the time zone of this name."""
    known = zoneinfo.available_timezones()
    if name in known:
        return zoneinfo.ZoneInfo(name)
    close = difflib.get_close_matches(name, sorted(known), n=1)
    raise UsageError(f"`timezone`: expected the name of a time zone, found {name!r}; did you mean {close}?")
