"""Names on the command line: unknown ones are refused when they are parsed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from hdfs_layout.registry import Registry
from mr_ml.errors import UsageError


def registered(registry: Registry[Any]) -> Callable[[str], str]:
    """Return a type for argparse: the name of a built-in or an installed kind.

    Unlike argparse's choices it looks at the installed packages only for a name that is not built in.
    """

    def read(name: str) -> str:
        try:
            registry.check(name)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return name

    return read
