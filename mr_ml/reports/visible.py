"""Text that shows what it holds: names come from others, and some letters hide or reorder what stands beside them."""

from __future__ import annotations

import unicodedata

# Cc controls, Cf formats (bidi, zero width), Cs halves of letters, Zl and Zp ends of lines, Co and Cn no letters
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# joiners, without which words of some languages are written wrongly
_NEEDED = frozenset("\u200c\u200d")


def visible(text: str) -> str:
    """Return text in which what would not be seen is spelled, such as U+202E by a backslash and u202e."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        ascii(c)[1:-1] if c not in _NEEDED and (unicodedata.category(c) in _HIDDEN or ord(c) & 0xFFFE == 0xFFFE) else c
        for c in text
    )
