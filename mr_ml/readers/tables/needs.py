"""Libraries that only some formats need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mr_ml.errors import UsageError


def library(module: str, *, extra: str, what: str) -> Any:
    """Return a module.

    Raises
    ------
    UsageError
        If it is not installed: says which extra brings it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        name = module.partition(".")[0]
        raise UsageError(
            f"{what}: it takes {name} to read it, which is not installed; pip install 'mr_ml[{extra}]'"
        ) from error
