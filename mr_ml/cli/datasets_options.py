"""The options of mr-ml datasets."""

from __future__ import annotations

from typing import Any

from hdfs_layout.limits import MAX_VERSION
from mr_ml.cli.numbers import whole
from mr_ml.cli.options import add_command, add_config, add_dry_run, add_group


def add_datasets(commands: Any) -> None:
    """Add the commands."""
    actions = add_group(commands, "datasets", "packed datasets")
    listed = add_command(
        actions, "list", "datasets", "list_all", "names, versions, rows, features, sizes, and which models use them"
    )
    remove = add_command(
        actions, "rm", "datasets", "remove", "remove one version of a dataset that nothing needs",
        "mr-ml datasets rm clicks@3 --dry-run",
    )  # fmt: skip
    remove.add_argument("dataset", help="name@version")
    add_dry_run(remove)
    prune = add_command(
        actions, "prune", "datasets", "prune", "remove all but the newest versions of a dataset, and what is needed",
        "mr-ml datasets prune clicks --keep 10 --dry-run",
    )  # fmt: skip
    prune.add_argument("dataset", help="name")
    prune.add_argument(
        "--keep", type=whole(1, MAX_VERSION), required=True, metavar="N", help="the newest N versions stay"
    )
    add_dry_run(prune)
    for parser in (listed, remove, prune):
        add_config(parser)
