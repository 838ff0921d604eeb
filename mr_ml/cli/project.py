"""The project file `mr_ml.toml`: what options are where they are not said, in the folder in which commands are run.

    root = "hdfs:///user/me/mr_ml"
    runner = "hadoop"
    config = "cluster.yaml"

It is looked for in the current folder alone: one further up may be another user's, and would say what programs run.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import lru_cache

from hdfs_layout.suggestions import did_you_mean
from mr_ml.cli.numbers import whole
from mr_ml.errors import UsageError
from mr_ml.sizes import parse_size

NAME = "mr_ml.toml"
MOST_WORKERS = 1024
#: Key -> the option whose default it is.
KEYS = {
    "root": "--root", "runner": "--runner", "config": "--config", "engine": "--engine", "memory": "--memory",
    "workers": "--workers", "master": "--master", "cluster_id": "--cluster-id",
}  # fmt: skip
#: Of keys that are more than a text: its kinds, what to say they are, and what reads it.
_NUMBERS: dict[str, tuple[tuple[type, ...], str, Callable[[str], object]]] = {
    "memory": ((str, int), 'a size in bytes or such as "2G"', parse_size),
    "workers": ((int,), "a whole number", whole(1, MOST_WORKERS)),
}


def setting(key: str) -> str | None:
    """Return what the project file of the current folder says of an option, as one would write it; None if nothing.

    Raises
    ------
    UsageError
        If the file cannot be read, or says what is no option.
    """
    try:
        changed = os.stat(NAME).st_mtime_ns
        return _settings(os.getcwd(), changed).get(key)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{NAME}: expected a file that can be read, found: {error.strerror}") from error


@lru_cache(maxsize=1)
def _settings(folder: str, changed: int) -> dict[str, str]:
    import tomllib

    with open(NAME, "rb") as file:
        try:
            document = tomllib.load(file)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f'{NAME}: expected lines such as root = "data", found: {error}') from error
    for key, value in document.items():
        if key not in KEYS:
            raise UsageError(f"{NAME}: expected keys among {', '.join(KEYS)}, found {key!r}{did_you_mean(key, KEYS)}")
        _check(key, value)
    return {key: str(value) for key, value in document.items()}


def _check(key: str, value: object) -> None:
    """Raise UsageError unless it is what the option of this key takes."""
    kinds, expected, read = _NUMBERS.get(key, ((str,), f'a text, such as {key} = "..."', str))
    if isinstance(value, bool) or not isinstance(value, kinds) or value == "":
        raise UsageError(f"{NAME}: {key}: expected {expected}, found {value!r:.200}")
    try:
        read(str(value))
    except (UsageError, argparse.ArgumentTypeError) as error:
        raise UsageError(f"{NAME}: {key}: {error}") from None
