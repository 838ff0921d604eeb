"""How much is kept below a root."""

from __future__ import annotations

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored

# In seconds.
DAY = 86_400.0


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
    """How much is kept; the section `retention` of a retraining's settings.

    Attributes
    ----------
    models, datasets
        Of each model and each dataset; None keeps all versions.
    runs
        None keeps all runs, and all journals of retrainings.
    orphans_days
        What nothing names goes after so many days if nobody here can see whether somebody is at work at it; never
        before an hour has passed.
    """

    models: KeepVersions | None = None
    datasets: KeepVersions | None = None
    runs: KeepRuns | None = None
    orphans_days: stored.NotNegative = 1.0
