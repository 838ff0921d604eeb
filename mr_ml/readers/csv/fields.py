"""Cut CSV text into rows of fields, with numpy and without a Python object per field.

RFC 4180 with any one-byte delimiter: a field may stand in double quotes, and then hold delimiters and doubled quotes.
Stricter than the RFC in one point: a line is a row, always. A line break inside quotes is refused, so that text can be
cut at any line (which is what Hadoop does to it) and means the same. Blanks (spaces and tabs, as far as they are not
the delimiter) around a field are no part of it, inside quotes neither. A line of blanks is no row and no error.

Which delimiter bytes delimit: with q(p) = number of quotes in the line before position p, those at which q is even.
"""

from __future__ import annotations

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.readers.rows import BAD_KINDS
from mr_ml.readers.text.fields import I64, U8
from mr_ml.readers.text.lines import blank_out_bad_lines, defect_of_line, long_line_before

KINDS = tuple(BAD_KINDS)
CODES = {kind: code for code, kind in enumerate(KINDS)}
#: Behind the code of every kind, so that the minimum of two codes is the first of two kinds.
NO_DEFECT = len(KINDS)

# Of a long line: what takes some hundred bytes for each, and some for each byte.
_MOST_DELIMITERS = 1 << 19
_MOST_BYTES = 8 << 20
_BYTES_PER_COLUMN = 64
_MOST_COLUMNS = 1 << 17

_TAB, _LF, _CR, _SPACE, _QUOTE = b'\t\n\r "'


@dataclass(frozen=True)
class Fields:
    """The fields of the good lines of a text, and why the other lines are no rows.

    Attributes
    ----------
    buffer : uint8
        The text; without the quotes where it had some. Field (i, j) is ``buffer[starts[i, j] : ends[i, j]]``.
    starts, ends : int64 (n_rows, n_columns)
    lines : int64 (n_rows,)
        0-based line number of each row.
    defects : int64 (n_lines,)
        Position in `KINDS` of the reason why a line is no row, or `NO_DEFECT`. A blank line has no defect and no row.
    counts : int64 (n_lines,)
        Number of fields in each line, as far as it was counted: of a line with unpaired quotes or bad bytes it was not.
    line_starts, line_ends : int64 (n_lines,)
        Bounds of each line in the text, without its LF.
    """

    buffer: U8
    starts: I64
    ends: I64
    lines: I64
    defects: I64
    counts: I64
    line_starts: I64
    line_ends: I64


def fields_that_end_at(ends: I64, text: bytes | memoryview) -> Fields:
    """Return the fields of a text of good lines, by where they end, (n_rows, n_columns); one byte is between two."""
    starts = np.zeros_like(ends)
    starts.ravel()[1:] = ends.ravel()[:-1] + 1
    n_rows, n_columns = ends.shape
    return Fields(
        buffer=np.frombuffer(text, np.uint8),
        starts=starts,
        ends=ends,
        lines=np.arange(n_rows),
        defects=np.full(n_rows, NO_DEFECT),
        counts=np.full(n_rows, n_columns),
        line_starts=starts[:, 0],
        line_ends=ends[:, -1],
    )


def split_fields(text: bytes, *, delimiter: int, n_columns: int | None) -> Fields:
    """Cut a text into rows of `n_columns` fields.

    Parameters
    ----------
    text : bytes
        Whole lines that end in LF or CRLF; the last one may lack its LF.
    delimiter : int
        A byte below 128, not a quote, CR, LF or NUL.
    n_columns : int or None
        Fields that each row must have; None: as many as the first line has.

    Notes
    -----
    O(len(text)) time; memory about 60 bytes a field and 3 bytes a byte of text. Raises nothing, whatever the bytes.
    """
    if not text.endswith(b"\n"):
        text += b"\n" if text else b""
    raw = np.frombuffer(text, np.uint8)
    if (
        text
        and long_line_before(text, 0, len(text)) == 0
        and (refused := _refused(text, delimiter, n_columns)) is not None
    ):
        return _no_row(raw, n_columns or 0, *refused)
    line_ends = np.flatnonzero(raw == _LF)
    defects = np.full(len(line_ends), NO_DEFECT)
    for kind, lines, _ in blank_out_bad_lines(text)[1]:
        _mark(defects, lines, kind)
    # Of a file's last line "1,2\r" the line feed is missing, not a carriage return too many.
    contents_end = line_ends - (raw[line_ends - 1] == _CR) if b"\r" in text else line_ends

    blanks = [byte for byte in (_SPACE, _TAB) if byte != delimiter and byte in text]
    removed = None
    if b'"' in text:
        ends, counts, removed = _ends_among_quotes(raw, line_ends, contents_end, defects, delimiter, blanks)
    else:
        ends = np.flatnonzero((raw == delimiter) | (raw == _LF))
        counts = np.diff(np.searchsorted(ends, line_ends), prepend=-1)
    last = np.cumsum(counts) - 1
    starts, ends = _stripped(raw, *_bounds(ends, last, contents_end), blanks)

    if n_columns is None:
        n_columns = int(counts[0]) if len(counts) else 0
    blank = (counts == 1) & (starts[last] == ends[last])
    sound = np.flatnonzero((defects == NO_DEFECT) & ~blank)
    _mark(defects, sound[counts[sound] < n_columns], "too_few_fields")
    _mark(defects, sound[counts[sound] > n_columns], "too_many_fields")
    good = (defects == NO_DEFECT) & ~blank
    if not good.all():
        kept = np.repeat(good, counts)
        starts, ends = starts[kept], ends[kept]
    buffer = raw
    if removed is not None:
        buffer, starts, ends = _unquoted(raw, starts, ends, removed, blanks)
    line_starts = np.zeros_like(line_ends)
    line_starts[1:] = line_ends[:-1] + 1
    shape = (int(np.count_nonzero(good)), n_columns)
    return Fields(
        buffer=buffer,
        starts=starts.reshape(shape),
        ends=ends.reshape(shape),
        lines=np.flatnonzero(good),
        defects=defects,
        counts=counts,
        line_starts=line_starts,
        line_ends=line_ends,
    )


def _refused(text: bytes, delimiter: int, n_columns: int | None) -> tuple[str, int] | None:
    """Why a long line, with its line feed, cannot be cut in bounded memory or is no row; its fields if counted."""
    defect = defect_of_line(text, 0, len(text) - 1)
    if defect is not None:
        return defect[0], 0
    n_delimiters, n_quotes = text.count(delimiter), text.count(b'"')
    if n_columns is None:
        n_columns = _MOST_COLUMNS
    elif n_delimiters and not n_quotes and n_delimiters + 1 != n_columns:
        return "too_few_fields" if n_delimiters + 1 < n_columns else "too_many_fields", n_delimiters + 1
    crowded = n_delimiters + n_quotes > max(_MOST_DELIMITERS, 4 * n_columns)
    return ("long_line", 0) if crowded or len(text) > max(_MOST_BYTES, _BYTES_PER_COLUMN * n_columns) else None


def _no_row(raw: U8, n_columns: int, kind: str, n_fields: int) -> Fields:
    """One line that is refused."""
    nothing = np.zeros((0, n_columns), np.int64)
    return Fields(
        buffer=raw,
        starts=nothing,
        ends=nothing,
        lines=np.zeros(0, np.int64),
        defects=np.array([CODES[kind]]),
        counts=np.array([n_fields]),
        line_starts=np.zeros(1, np.int64),
        line_ends=np.array([len(raw) - 1]),
    )


def _mark(defects: I64, lines: I64, kind: str) -> None:
    defects[lines] = np.minimum(defects[lines], CODES[kind])


def _bounds(ends: I64, last: I64, contents_end: I64) -> tuple[I64, I64]:
    """Return starts and ends of all fields; the last one of each line ends with the line's content."""
    starts = np.zeros_like(ends)
    starts[1:] = ends[:-1] + 1
    ends = ends.copy()
    ends[last] = contents_end
    return starts, ends


def _ends_among_quotes(
    raw: U8, line_ends: I64, contents_end: I64, defects: I64, delimiter: int, blanks: list[int]
) -> tuple[I64, I64, I64]:
    """Positions at which fields end, their number in each line, and the quotes that are no content of their fields."""
    special = np.flatnonzero((raw == delimiter) | (raw == _LF) | (raw == _QUOTE))
    line = np.repeat(np.arange(len(line_ends)), np.diff(np.searchsorted(special, line_ends), prepend=-1))
    is_quote = raw[special] == _QUOTE
    _mark(defects, np.flatnonzero(np.bincount(line[is_quote], minlength=len(line_ends)) % 2), "open_quote")

    # A defective line counts as one field, so that its odd quotes do not turn the parity of the lines behind it.
    live = (defects[line] == NO_DEFECT) | (special == line_ends[line])
    special, is_quote, line = special[live], is_quote[live], line[live]
    inside = np.cumsum(is_quote) % 2 == 1  # behind this byte
    is_end = ~is_quote & ~inside
    ends = special[is_end]
    counts = np.bincount(line[is_end], minlength=len(line_ends))

    field = (np.cumsum(is_end) - is_end)[is_quote]
    starts, stops = _stripped(raw, *_bounds(ends, np.cumsum(counts) - 1, contents_end), blanks)
    quotes, opens = special[is_quote], inside[is_quote]
    after_quote, before_quote = np.zeros((2, len(quotes)), np.bool_)
    after_quote[1:] = before_quote[:-1] = np.diff(quotes) == 1  # never true of quotes in two fields
    legal = np.where(opens, (quotes == starts[field]) | after_quote, (quotes == stops[field] - 1) | before_quote)
    _mark(defects, line[is_quote][~legal], "stray_quote")
    return ends, counts, quotes[~(opens & after_quote)]


def _unquoted(raw: U8, starts: I64, ends: I64, removed: I64, blanks: list[int]) -> tuple[U8, I64, I64]:
    """Return the text without the `removed` bytes, and its fields there without the blanks inside the quotes."""
    kept = np.ones(len(raw), np.bool_)
    kept[removed] = False
    shorter = raw[kept]
    starts, ends = starts - np.searchsorted(removed, starts), ends - np.searchsorted(removed, ends)
    return shorter, *_stripped(shorter, starts, ends, blanks)


def _stripped(buffer: U8, starts: I64, ends: I64, blanks: list[int]) -> tuple[I64, I64]:
    """Return the same fields without blanks at their ends.

    A few rounds over the fields that have blanks, then one sweep over the buffer for long runs of blanks, so that no
    text costs more than O(its size). The byte behind the last field is a line feed: it can be read and is not blank.
    """
    if not blanks:
        return starts, ends
    is_blank = np.isin(np.arange(256), blanks)
    active = np.flatnonzero(is_blank[buffer[starts]] & (starts < ends))
    if len(active):
        starts = starts.copy()
        for _ in range(8):
            starts[active] += 1
            active = active[is_blank[buffer[starts[active]]] & (starts[active] < ends[active])]
        if len(active):
            solid = np.flatnonzero(~is_blank[buffer])
            starts[active] = np.minimum(solid[np.searchsorted(solid, starts[active])], ends[active])
    active = np.flatnonzero(is_blank[buffer[ends - 1]] & (starts < ends))
    if len(active):
        ends = ends.copy()
        for _ in range(8):
            ends[active] -= 1
            active = active[is_blank[buffer[ends[active] - 1]] & (starts[active] < ends[active])]
        if len(active):
            solid = np.flatnonzero(~is_blank[buffer])
            ends[active] = solid[np.searchsorted(solid, ends[active]) - 1] + 1
    return starts, ends
