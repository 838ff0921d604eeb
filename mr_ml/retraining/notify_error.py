"""What ways of telling have in common."""

from __future__ import annotations

import re

# What a terminal obeys or ends a line, and what UTF-8 cannot write.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class NotToldError(Exception):
    """A notification was not taken; says why, and has neither a URL nor what came from the environment."""


def one_line(text: object, most: int) -> str:
    """Return text as one line of so many characters at most; blanks and line ends are a blank."""
    line = _CONTROL.sub(lambda match: ascii(match[0])[1:-1], " ".join(str(text).split()))
    return line if len(line) <= most else f"{line[: most - 3]}..."
