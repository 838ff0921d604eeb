"""What may be removed below a root, by rules: old versions and runs, and what killed commands left behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hdfs_layout import Root


@dataclass(frozen=True, kw_only=True)
class KeepVersions:
    """Of one name, a version is kept that is among the newest `versions` or was published within `days` days."""

    versions: int = 1
    days: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError if a number is none that can be kept."""
        if self.versions < 1:
            raise ValueError(f"`versions`: expected at least 1, found {self.versions}: the latest always stays")
        _check_days("days", self.days)


@dataclass(frozen=True, kw_only=True)
class KeepRuns:
    """A run is kept that was last at work within `days` days."""

    days: float

    def __post_init__(self) -> None:
        """Raise ValueError if it is no number of days."""
        _check_days("days", self.days)


@dataclass(frozen=True, kw_only=True)
class RetentionRules:
    """How much is kept; the section `retention` of a retraining's settings.

    Attributes
    ----------
    models, datasets
        Of each model and each dataset; None keeps all versions.
    runs
        None keeps all runs.
    orphans_days
        Files that nothing names and that no process on this machine is known to write go after this many days.
    """

    models: KeepVersions | None = None
    datasets: KeepVersions | None = None
    runs: KeepRuns | None = None
    orphans_days: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError if it is no number of days."""
        _check_days("orphans_days", self.orphans_days)


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Something that may go.

    Attributes
    ----------
    path
        Of the file or folder, below the root.
    what
        In words: "ctr@3", "run 20261123-c".
    reason
        Why it may go.
    bytes
        That become free.
    data
        A folder that goes after it, since nothing names it then.
    lock
        The model whose lock must be held to remove it; None if none.
    """

    path: str
    what: str
    reason: str
    bytes: int
    data: str | None = None
    lock: str | None = None


def plan(
    root: Root, rules: RetentionRules, *, model: str | None = None, dataset: str | None = None,
    now: float | None = None, say: Callable[[str], None] = lambda text: None,
) -> tuple[Removal, ...]:  # fmt: skip
    """Find what may be removed; removes nothing.

    Parameters
    ----------
    model, dataset
        Only of this model, of this dataset; None for all. With either, only what belongs to it.
    now
        Seconds since the epoch by the store's clock; None to ask the store.
    say
        Called with a sentence for what cannot be read, and therefore stays.

    Raises
    ------
    StorageError
        If the root cannot be listed.
    """
    raise NotImplementedError


def carry_out(
    root: Root, removals: Sequence[Removal], say: Callable[[str], None], *, held: str | None = None
) -> tuple[Removal, ...]:
    """Remove what was planned and is still not in use; return what is gone.

    Takes the lock of each model before anything of it goes; a model whose lock another process holds is left alone.

    Parameters
    ----------
    say
        Called with a sentence for what stays after all.
    held
        The model whose lock the caller holds.
    """
    raise NotImplementedError


def _check_days(name: str, days: float) -> None:
    if not 0 <= days < float("inf"):
        raise ValueError(f"`{name}`: expected a number of days of at least 0, found {days}")
