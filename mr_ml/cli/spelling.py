"""Messages name parameters as Python has them, in backquotes; the command line spells them as its options.

    `l2` -> --l2        `max_passes` -> --max-passes        `header=False` -> --no-header

Only the names of parameters in backquotes change, whatever else stands in backquotes or in a message.
"""

from __future__ import annotations

import re

#: Parameters that are options of some command.
PARAMETERS = frozenset(
    {
        "at", "at_precision", "at_recall", "base", "by", "categorical", "class_weights", "cluster_id", "confidence",
        "config", "cron", "csv", "dataset", "decimal", "delimiter", "dialect", "draws", "drop", "dry_run", "engine",
        "errors", "features", "first_passes", "folds", "for", "force", "format", "halving", "hash_bits", "index_base",
        "inference", "intercept", "interpreter", "json", "keep", "keep_days", "keep_runs", "keep_versions", "l1", "l2",
        "label_column", "label_weights", "level", "like", "loss", "master", "max_bad_rows", "max_cost", "max_hours",
        "max_passes",
        "memory", "metric", "missing", "missing_markers", "model", "non_negative", "numeric", "offset_column",
        "offset_feature",
        "orphans_days", "output", "output_format", "partitions", "penalty_space", "per_feature", "percent", "prior",
        "prior_precision", "progress", "quiet", "reason", "resume", "root", "row_weights", "rule", "runner", "save",
        "schema", "seed", "solver", "split", "split_by", "split_inputs", "table", "tables", "tasks", "thousands",
        "threshold", "timezone", "to", "tolerance", "unseen", "unseen_features", "user", "validation", "verify",
        "warm_start", "warm_start_format", "warm_start_from", "weight_column", "workers",
    }
)  # fmt: skip
#: Those that the command line spells in other words.
OTHERWISE = {
    "header=False": "--no-header",
    "header=True": "--header",
    "intercept": "--no-intercept",
    "intercept=False": "--no-intercept",
    "row_weights": "--weights",
    "runner": "-r",
}
_QUOTED = re.compile(r"`([a-z][a-z0-9_]*(?:=True|=False)?)`")


def spelled(text: str) -> str:
    """Return a message with parameters as options."""
    return _QUOTED.sub(lambda match: _option(match[1]) or match[0], text)


def _option(name: str) -> str | None:
    if name in OTHERWISE:
        return OTHERWISE[name]
    return f"--{name.replace('_', '-')}" if name in PARAMETERS else None
