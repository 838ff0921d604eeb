"""What somebody may have meant by a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the question after the name that is most like this one; empty if none is.

    Upper and lower case count as the same letters. The name itself is no other: it may be known without being there.
    """
    # only when something is wrong
    from difflib import get_close_matches

    by_lower: dict[str, str] = {}
    for other in known:
        if other == name:
            return ""
        by_lower.setdefault(other.lower(), other)
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[near[0]]!r}?)" if near else ""
