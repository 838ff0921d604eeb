"""Names on the command line: unknown ones are refused when they are parsed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from hdfs_layout.registry import Registry
from mr_ml.errors import UsageError


def registered(registry: Registry[Any], name_in: Callable[[str], str] = str) -> Callable[[str], str]:
    """Return a type for argparse: the name of a built-in or an installed kind, or a text with its name.

    Unlike argparse's choices it looks at the installed packages only for a name that is not built in. `name_in` returns
    the name in a text that says more.
    """

    def read(text: str) -> str:
        try:
            registry.check(name_in(text))
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return text

    return read
