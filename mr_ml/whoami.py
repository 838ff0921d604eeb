"""Who runs this process, as logs of promotions, journals and manifests record it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from hdfs_layout.owners import user_name

# Words of a command that are kept, and characters of each.
_MOST_WORDS = 40
_MOST_CHARACTERS = 200

# In a URI: who asks with which password, and what follows the path, which may be a token.
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY = re.compile(r"(?<=[^\s?#])[?#].*", re.DOTALL)


def whoami() -> dict[str, Any]:
    """Return the user, host, process id and command of this process, with nothing secret.

    Returns
    -------
    dict
        `user`, the name of the user whom the system knows, else the number; `host`; `pid`; and `command`, the words of
        the command line without passwords and queries of URIs. Of programs other than mr-ml, whose options may be
        secrets, only the name is kept.
    """
    return {"user": user_name(), "host": os.uname().nodename, "pid": os.getpid(), "command": _command(sys.argv)}


def described(by: Mapping[str, Any]) -> str:
    """Return who a record of `whoami` says it was, for a message."""
    return f"{by.get('user', '?')!s:.100} on {by.get('host', '?')!s:.100} (process {by.get('pid', '?')!s:.20})"


def _command(words: list[str]) -> list[str]:
    program, *rest = words or [""]
    folder, name = os.path.split(program)
    if name == "__main__.py" and os.path.basename(folder) == "mr_ml":
        name = "mr-ml"
    kept = rest[:_MOST_WORDS] if name == "mr-ml" else []
    return [_shown(name), *map(_shown, kept)]


def _shown(word: str) -> str:
    if "://" in word:
        word = _QUERY.sub("?...", _PASSWORD.sub("...@", word))
    # a word may be any bytes, a document holds text
    return word.encode("utf-8", "backslashreplace").decode()[:_MOST_CHARACTERS]
