"""Roots as the cluster sees them on which jobs run."""

from __future__ import annotations

import os

from hdfs_layout import Root, open_root
from mr_ml.runners.base import RUNNERS


def use_config(root: str | os.PathLike[str] | Root, runner: str, config: str | None) -> Root:
    """Open a root; with settings of a cluster, as the cluster that they name has it.

    Parameters
    ----------
    runner
        Whose settings they are.
    """
    if config is not None:
        RUNNERS.get(runner).look(config)
    return open_root(root)
