"""Lines of Vowpal Wabbit's text: ``[label [importance [base]]] ['tag]|namespace[:scale] name[:value] ...|...``.

As its wiki has it ("Input format"), for labels that are one number. A feature is known as ``namespace^name``, or as
``name`` without a namespace (``^name`` if a ^ is in that).
"""

from __future__ import annotations

import math
import re
from dataclasses import field

from hdfs_layout.dataclass import dataclass
from mr_ml.readers.text.lines import defect_of_line
from mr_ml.readers.text.numbers import is_rounded

_NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class RefusedError(Exception):
    """A line that is no row as it should be: a kind of `BAD_KINDS`, and the part of the line that is wrong."""

    def __init__(self, kind: str, culprit: bytes) -> None:
        super().__init__(kind)
        self.kind, self.culprit = kind, culprit


@dataclass
class Line:
    """What a line holds; NaN for what it does not have. Of a name that stands twice, values are added, as VW does."""

    label: float = math.nan
    importance: float = math.nan
    base: float = math.nan
    features: dict[bytes, float] = field(default_factory=dict)


def read_line(line: bytes, *, label_required: bool) -> Line:
    """Read a line that is not blank, without its line feed.

    Raises
    ------
    RefusedError
    """
    defect = None if line.isascii() and b"\0" not in line and b"\r" not in line else defect_of_line(line, 0, len(line))
    if defect is not None:
        raise RefusedError(defect[0], line[defect[1] :])
    head, *parts = line.removesuffix(b"\r").split(b"|")
    if not parts:
        raise RefusedError("bad_head", line)
    tokens, _ = split_head(head)
    # Vowpal Wabbit leaves out what is before a tab there
    if len(tokens) > 3 or b"\t" in head:
        raise RefusedError("bad_head", head)
    row = Line()
    if tokens:
        row.label = _number(tokens[0], "bad_label")
        if is_rounded(tokens[0].decode()):
            raise RefusedError("inexact_label", tokens[0])
    elif label_required:
        raise RefusedError("missing_label", head)
    if len(tokens) > 1:
        row.importance = _number(tokens[1], "bad_weight")
        if row.importance < 0:
            raise RefusedError("bad_weight", tokens[1])
    if len(tokens) > 2:
        row.base = _number(tokens[2], "bad_offset")
    for part in parts:
        _add(part, row.features)
    return row


def split_head(head: bytes) -> tuple[list[bytes], bytes]:
    """Return the numbers before the first bar, as they are written, and the tag.

    A tag has a quote before it, or no blank behind it.
    """
    tokens = head.split()
    if tokens and (tokens[-1].startswith(b"'") or not head.endswith(b" ")):
        return tokens[:-1], tokens[-1].removeprefix(b"'")
    return tokens, b""


def _add(part: bytes, features: dict[bytes, float]) -> None:
    """Add the features of a namespace."""
    tokens = part.split()
    prefix, scale = b"", 1.0
    if tokens and part[:1] not in (b" ", b"\t"):
        space, colon, given = tokens.pop(0).partition(b":")
        if colon:
            scale = _number(given, "bad_value")
        if b"^" in space or not space:
            raise RefusedError("bad_feature", part)
        prefix = space + b"^"
    for token in tokens:
        name, colon, given = token.partition(b":")
        if not name:
            raise RefusedError("bad_feature", token)
        value = scale * (_number(given, "bad_value") if colon else 1.0)
        name = prefix + name if prefix or b"^" not in name else b"^" + name
        value += features.get(name, 0.0)
        if not math.isfinite(value):
            raise RefusedError("overflow", token)
        features[name] = value


def _number(text: bytes, kind: str) -> float:
    """Read a finite decimal number; the rules are those of all text."""
    if not _NUMBER.fullmatch(text):
        raise RefusedError(kind, text)
    value = float(text)
    if not math.isfinite(value):
        raise RefusedError("overflow", text)
    return value + 0.0
