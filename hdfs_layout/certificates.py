"""Certificates of this machine's settings, for readers elsewhere."""

from __future__ import annotations

import functools


@functools.lru_cache(maxsize=4)
def text_of(path: str) -> str:
    """Return what is in a file of certificates (PEM); nothing if it is none, of which whoever uses it here says so."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (OSError, ValueError):
        return ""
