"""Libraries that only some formats need."""

from __future__ import annotations

import platform
from importlib import import_module
from typing import Any

from mr_ml.errors import UnavailableError, UsageError


def library(module: str, *, extra: str, what: str, on_node: bool = False) -> Any:
    """Return a module.

    Parameters
    ----------
    on_node
        Whether this is a task on a machine of a cluster.

    Raises
    ------
    UsageError
        If it is not installed: says which extra brings it.
    UnavailableError
        The same on a node: says how it gets there.
    """
    name = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        if on_node:
            raise UnavailableError(
                f"{what}: it takes {name} to read it, which {platform.node()} lacks ({error}). Bring this machine's to "
                "all nodes: `mr-ml env build --tables`; or install it there for the Python that tasks run"
            ) from error
        if not isinstance(error, ModuleNotFoundError):
            raise
        raise UsageError(
            f"{what}: it takes {name} to read it, which is not installed; pip install 'mr_ml[{extra}]'"
        ) from error
