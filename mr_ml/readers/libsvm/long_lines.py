"""Long lines of libsvm text, read a stretch after the other so that their tokens never are in memory all at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.readers.libsvm.tokens import KINDS, Lines, read_lines
from mr_ml.readers.text.fields import F64
from mr_ml.readers.text.lines import defect_of_line

STRETCH_BYTES = 1 << 18

_CONTINUED = b"0 "
# No later stretch of a line has a kind that goes before this one.
_RAGGED = KINDS.index("ragged_token")


@dataclass
class LongLine:
    """What a line holds: a row, or nothing but blanks and a comment, or what is refused.

    Attributes
    ----------
    label
        NaN where there is none.
    n_values
        Of its features, which are in the arrays that were given.
    group
        As in `Lines`; None without a query id.
    lowest, highest
        Of the ids as written, if there are any.
    bad, bad_at
        Position in `KINDS` of what is wrong, and byte of the line where it is wrong; None if it is no bad row.
    """

    is_row: bool = False
    label: float = np.nan
    n_values: int = 0
    group: np.uint64 | None = None
    lowest: int = 0
    highest: int = -1
    bad: int | None = None
    bad_at: int = 0

    def refuse(self, kind: int, at: int) -> None:
        """Note what is wrong; of several things the first in `KINDS` counts."""
        if self.bad is None or kind < self.bad:
            self.bad, self.bad_at = kind, at


def read_long_line(
    text: bytes, start: int, stop: int, *, lowest_id: int, highest_id: int, known_id: int, base: int,
    labels_required: bool, indices: NDArray[np.int32], values: F64,
) -> LongLine:  # fmt: skip
    """Read the line text[start:stop], without its line feed, as `read_lines` does.

    A token is a stretch long at most: a longer one refuses the line.

    Parameters
    ----------
    indices, values
        Where its ids less `base` and its values go; with room for them.

    Notes
    -----
    Memory: some hundred bytes a byte of a stretch.
    """
    line, first = LongLine(), start
    defect = defect_of_line(text, start, stop)
    if defect is not None:
        line.refuse(KINDS.index(defect[0]), defect[1])
        return line
    comment = text.find(b"#", start, stop)
    end = stop if comment < 0 else comment
    while start < end and not (line.bad is not None and line.bad <= _RAGGED):
        at, start = start, _end_of_stretch(text, start, end)
        if start < 0:
            line.refuse(KINDS.index("long_line"), at - first)
            break
        begun = line.is_row or line.bad is not None
        lead = _CONTINUED if begun else b""
        lines = read_lines(
            lead + text[at:start] + b"\n", lowest_id=lowest_id, highest_id=highest_id, known_id=known_id,
            labels_required=labels_required and not begun,
        )  # fmt: skip
        if len(lines.bad_lines):
            line.refuse(int(lines.bad_kinds[0]), int(lines.bad_at[0]) + at - first - len(lead))
        elif len(lines.labels):
            _add(line, lines, at - first, base, indices, values)
    return line


def _add(line: LongLine, lines: Lines, at: int, base: int, indices: NDArray[np.int32], values: F64) -> None:
    """Append the good part of a line, which begins at byte `at` of it."""
    if not line.is_row:
        line.is_row, line.label = True, float(lines.labels[0])
    if lines.groups is not None:
        if line.n_values or line.group is not None:
            line.refuse(KINDS.index("bad_qid"), at)
        line.group = lines.groups[0]
    n = len(lines.ids)
    if not n:
        return
    lowest, highest = int(lines.ids[0]), int(lines.ids[-1])
    if line.n_values and lowest <= line.highest:
        line.refuse(KINDS.index("duplicate_id" if lowest == line.highest else "descending_ids"), at)
    entry = slice(line.n_values, line.n_values + n)
    np.subtract(lines.ids, base, out=indices[entry], casting="unsafe")
    values[entry] = lines.values
    line.lowest, line.highest = lowest if not line.n_values else line.lowest, highest
    line.n_values += n


def has_long_token(text: bytes, start: int, stop: int) -> bool:
    """Whether a token of the line is longer than a stretch."""
    while 0 <= start < stop:
        start = _end_of_stretch(text, start, stop)
    return start < 0


def _end_of_stretch(text: bytes, start: int, end: int) -> int:
    """Return where a stretch ends: behind its last blank that is not behind a colon, or at the line's end.

    -1 if there is none: a token is longer than a stretch.
    """
    if end - start <= STRETCH_BYTES:
        return end
    stop = start + STRETCH_BYTES
    while (blank := max(text.rfind(b" ", start, stop), text.rfind(b"\t", start, stop))) >= 0:
        if text[blank - 1] not in b": \t" or blank == start:
            return blank + 1
        stop = blank
    return -1
