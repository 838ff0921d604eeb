"""What the judge is told: plain values, whoever found them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.provenance import InputFile
from mr_ml.data import stored
from mr_ml.models.paired import Difference


@dataclass(frozen=True, kw_only=True)
class WindowFacts:
    """The window that the candidate was trained on.

    Attributes
    ----------
    last
        Its last day, ``2026-11-26``.
    files
        Of all days that have data.
    missing
        Days without data.
    least_days, least_rows
        So many days must have data; so many rows must there be, those of all splits together.
    days_behind, late_days
        How many of the newest days have no data, and how many may have none.
    published_last
        The last day of the window of the published model; None if it has none.
    """

    last: str
    files: tuple[InputFile, ...]
    missing: tuple[str, ...] = ()
    least_days: int = 1
    least_rows: int = 1
    days_behind: int = 0
    late_days: int = 0
    published_last: str | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Both models on the same rows.

    Attributes
    ----------
    n_rows
        Of the split.
    metrics, published_metrics
        By name, as `evaluate` gives them; empty where there are none.
    fault, published_fault
        Why there are no metrics; None where there are, or no published model.
    differences
        By metric: the candidate's less the published model's.
    """

    n_rows: int
    metrics: Mapping[str, Any]
    published_metrics: Mapping[str, Any]
    fault: str | None
    published_fault: str | None
    differences: Mapping[str, Difference]


@dataclass(frozen=True, kw_only=True)
class Move:
    """How far something has moved from the published model's training rows to the candidate's.

    Attributes
    ----------
    what
        A feature, column or class.
    by
        How far, in the unit of the rule.
    before, now
        The share or mean that moved.
    """

    what: str
    by: float
    before: float
    now: float


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The candidate's training rows held against the published model's; None where it cannot be told.

    Attributes
    ----------
    classes
        How far the shares of all classes have moved together, and the class that has moved farthest; 0 if that is no
        more than chance.
    label
        How far the mean of the labels as numbers has moved, in standard deviations before; likewise.
    presence, missing, values, means
        Those that have moved farthest, the farthest first, of all whose move is more than chance; may be empty.
    n_features, n_ranged, n_columns
        How many were compared: features, those of them whose values were, and columns.
    """

    classes: Move | None = None
    label: Move | None = None
    presence: tuple[Move, ...] | None = None
    missing: tuple[Move, ...] | None = None
    values: tuple[Move, ...] | None = None
    means: tuple[Move, ...] | None = None
    n_features: int = 0
    n_ranged: int = 0
    n_columns: int = 0


@dataclass(frozen=True, kw_only=True)
class SchemaChange:
    """How the candidate's input differs from the published model's.

    Attributes
    ----------
    settings
        What differs of format, kind of labels, row weights and offsets, in words.
    appeared, vanished
        Names of some features that one has and the other has not, and how many there are.
    appeared_rate, vanished_rate
        How many values of such features a training row has on average.
    reordered
        Whether the features that both have stand in another order.
    """

    settings: tuple[str, ...] = ()
    appeared: tuple[str, ...] = ()
    n_appeared: int = 0
    appeared_rate: float = 0.0
    vanished: tuple[str, ...] = ()
    n_vanished: int = 0
    vanished_rate: float = 0.0
    reordered: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that a decision depends on, besides the rules.

    Attributes
    ----------
    published
        The published model, ``ctr@6``; None if there is none.
    n_rows, published_n_rows
        Training rows.
    labels, test_labels, published_labels
        Label -> training rows of the candidate, label -> test rows, and the labels that the published model knows;
        empty of models that predict numbers.
    label_mean, label_deviation
        Of the labels of the training rows, for models that predict numbers; None where packing did not find them.
    training
        How training ended: `converged`, `stop`, `objective`, `gradient_norm`, ...
    measured
        None if nothing was measured: there are no rows to measure on.
    window
        None if the candidate was not trained on a window of days.
    drift, schema
        None if there is no published model.
    n_all_rows
        Of all splits together.
    """

    published: stored.Versioned | None
    n_rows: int
    n_all_rows: int
    published_n_rows: int | None
    labels: Mapping[str, int]
    test_labels: Mapping[str, int]
    published_labels: tuple[str, ...]
    label_mean: float | None = None
    label_deviation: float | None = None
    training: Mapping[str, Any]
    measured: Measured | None
    window: WindowFacts | None
    drift: Drift | None
    schema: SchemaChange | None
