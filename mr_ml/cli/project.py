"""The project file `mr_ml.toml`: what options are where they are not said, in the folder in which commands are run.

    root = "hdfs:///user/me/mr_ml"
    runner = "hadoop"
    config = "cluster.yaml"

It is looked for in the current folder alone: one further up may be another user's, and would say what programs run.
"""

from __future__ import annotations

import os
from functools import lru_cache

from hdfs_layout.suggestions import did_you_mean
from mr_ml.errors import UsageError

NAME = "mr_ml.toml"
#: Key -> the option whose default it is.
KEYS = {
    "root": "--root", "runner": "--runner", "config": "--config", "engine": "--engine", "memory": "--memory",
    "workers": "--workers", "master": "--master", "cluster_id": "--cluster-id",
}  # fmt: skip


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
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise UsageError(
                f"{NAME}: {key}: expected a text or a whole number, as behind {KEYS[key]}, found {value!r}"
            )
    return {key: str(value) for key, value in document.items()}
