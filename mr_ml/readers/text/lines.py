"""Lines whose bytes are wrong whatever the format: found, named, and blanked out before anything reads them."""

from __future__ import annotations

import codecs

import numpy as np

from mr_ml.readers.text.fields import I64, U8

BOM = b"\xef\xbb\xbf"
# Longer lines are looked at alone, and with care: what is made of their bytes at once would take many times their size.
LONG_LINE_BYTES = 1 << 20

_LF, _CR, _SPACE = b"\n\r "
_DECODED_BYTES = 1 << 16


def blank_out_bad_lines(text: bytes, *, comment: bytes | None = None) -> tuple[U8, list[tuple[str, I64, I64]]]:
    """Overwrite by blanks: lines with bad bytes, the CR of CR LF, and comments.

    Parameters
    ----------
    text : bytes
        Whole lines; ends with a line feed, or is empty.
    comment : bytes or None
        The character from which on the rest of a line is a comment. A bad byte in a comment is a bad byte.

    Returns
    -------
    buffer : uint8, shape (len(text),)
        May share memory with `text`.
    defects : list of (kind, lines, positions)
        Kinds 'bom', 'nul', 'lone_cr' and 'not_utf8'; line numbers ascending, maybe repeated; positions in the text.
    """
    buffer = np.frombuffer(text, np.uint8)
    if text.isascii() and not any(byte in text for byte in (b"\r", b"\0", *((comment,) if comment else ()))):
        return buffer, []
    ends = np.flatnonzero(buffer == _LF)
    starts = np.zeros_like(ends)
    np.add(ends[:-1], 1, out=starts[1:])
    returns = np.flatnonzero(buffer == _CR)
    closes_line = buffer[returns + 1] == _LF
    positions = {"nul": np.flatnonzero(buffer == 0), "lone_cr": returns[~closes_line]}
    if not text.isascii():
        at = starts[starts + len(BOM) <= len(buffer)]
        positions["bom"] = at[np.logical_and.reduce([buffer[at + i] == byte for i, byte in enumerate(BOM)])]
        positions["not_utf8"] = _not_utf8(text, buffer, starts, ends)
    defects = [(kind, np.searchsorted(ends, at), at) for kind, at in positions.items() if len(at)]

    buffer = buffer.copy()
    buffer[returns] = _SPACE
    begin = [starts[np.unique(lines)] for _, lines, _ in defects]
    end = [ends[np.unique(lines)] for _, lines, _ in defects]
    if comment and comment in text:
        marks = np.flatnonzero(buffer == comment[0])
        lines, first = np.unique(np.searchsorted(ends, marks), return_index=True)
        begin.append(marks[first])
        end.append(ends[lines])
    if begin:
        _fill(buffer, np.concatenate(begin), np.concatenate(end))
    return buffer, defects


def long_line_before(text: bytes, start: int, stop: int) -> int:
    """Where the last line of whole lines text[start:stop] begins if it is a long one, else `stop`."""
    if stop - start <= LONG_LINE_BYTES:
        return stop
    begin = max(text.rfind(b"\n", start, stop - 1) + 1, start)
    return begin if stop - begin > LONG_LINE_BYTES else stop


def defect_of_line(text: bytes, start: int, stop: int) -> tuple[str, int] | None:
    """Return what is wrong with the bytes of the line text[start:stop], without its line feed, and where in it.

    Of several kinds the first one, as `blank_out_bad_lines` finds them; in no memory worth the name.
    """
    if text.startswith(BOM, start, stop):
        return "bom", 0
    nul = text.find(b"\0", start, stop)
    if nul >= 0:
        return "nul", nul - start
    decoder = codecs.getincrementaldecoder("utf-8")()
    for at in range(start, stop, _DECODED_BYTES):
        left = len(decoder.getstate()[0])
        end = min(at + _DECODED_BYTES, stop)
        try:
            decoder.decode(text[at:end], final=end == stop)
        except UnicodeDecodeError as error:
            return "not_utf8", at - left + error.start - start
    lone = text.find(b"\r", start, stop)
    return None if lone in (-1, stop - 1) else ("lone_cr", lone - start)


def _fill(buffer: U8, begin: I64, end: I64) -> None:
    """Overwrite the ranges [begin, end) by blanks; they may overlap."""
    depth = np.zeros(len(buffer) + 1, np.int8)
    np.add.at(depth, begin, 1)
    np.add.at(depth, end, -1)
    buffer[np.cumsum(depth[:-1], dtype=np.int8) > 0] = _SPACE


def _not_utf8(text: bytes, buffer: U8, starts: I64, ends: I64) -> I64:
    """Return the position of the first invalid byte of each line that is not UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        pass
    else:
        return np.zeros(0, np.int64)
    positions = []
    suspects = np.unique(np.searchsorted(ends, np.flatnonzero(buffer >= 0x80)))
    for start, end in zip(starts[suspects].tolist(), ends[suspects].tolist(), strict=True):
        try:
            text[start:end].decode()
        except UnicodeDecodeError as error:
            positions.append(start + error.start)
    return np.array(positions, np.int64)
