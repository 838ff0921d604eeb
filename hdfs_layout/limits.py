"""How far the numbers go that stand in paths: alone, so that the help of a command line knows them without the rest."""

from __future__ import annotations

MAX_VERSION = 999_999
MAX_PASS = 999_999
MAX_PARTITION = 99_999
