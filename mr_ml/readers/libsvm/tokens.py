"""The tokenizer of libsvm text: whole lines in, arrays out, numpy only.

Delimiters are blank, tab, line feed and colon; a field is what stands between two of them. By the delimiters around it
a field is a key (``id`` of ``id:value``), a value, or a bare token, the first of which in a line is its label:

    before  after   field
    blank   colon   key; empty: ':2'
    colon   blank   value; empty: '3:'
    colon   colon   '3:1:2'
    blank   blank   bare token; empty: a run of blanks

Blanks between a colon and what follows it in the line are none of this: '3: 1' is '3:1'.

`read_lines` is all that the reader calls, for lines that its compiled loop does not take.
"""

from __future__ import annotations

from dataclasses import field

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.readers.rows import BAD_KINDS
from mr_ml.readers.text.fields import F64, I64, U8, U64, Mask, hash_fields
from mr_ml.readers.text.lines import blank_out_bad_lines
from mr_ml.readers.text.numbers import are_digits, is_rounded, parse_floats, parse_ints, spells_non_finite

KINDS = tuple(BAD_KINDS)

# From here on not every integer is a 64-bit float.
EXACT_BELOW = 2.0**53

_COLON, _SPACE, _TAB, _LF = b": \t\n"
_NONE = np.zeros(0, np.int64)
_NUMERIC = np.isin(np.arange(256), np.frombuffer(b"0123456789_.+-eE", np.uint8))


@dataclass(frozen=True)
class Lines:
    """What some lines of libsvm text hold. Rows and bad lines are in the order of the text; the other lines are blank.

    Attributes
    ----------
    n_lines : int
    row_lines : int64, shape (n,)
        0-based line of each good row.
    labels : float64, shape (n,)
        NaN where there is none.
    row_ends : int64, shape (n,)
        Number of features of rows 0 to i together.
    ids, values : int64 and float64, shape (row_ends[-1],)
        Feature ids as written, strictly ascending within a row.
    groups : uint64, shape (n,), or None
        Hash of the query id's text, `NO_GROUP` where a row has none; None if there is no query id at all.
    bad_lines, bad_kinds, bad_at : int64, shape (m,)
        Refused lines; position in `KINDS` of what is wrong; byte of the line where it is wrong.
    """

    n_lines: int
    row_lines: I64
    labels: F64
    row_ends: I64
    ids: I64
    values: F64
    groups: U64 | None
    bad_lines: I64
    bad_kinds: I64
    bad_at: I64


NO_GROUP = hash_fields(np.zeros(0, np.uint8), np.zeros(1, np.int64), np.zeros(1, np.int64))[0]


@dataclass(frozen=True)
class _Fields:
    """A text cut at its delimiters: field f is ``buffer[starts[f]:ends[f]]``.

    `newlines` are the fields that a line feed ends, `keys` those that a colon ends. Of line i the keys are
    ``keys[keys_end[i-1]:keys_end[i]]``.
    """

    buffer: U8
    starts: I64
    ends: I64
    newlines: I64
    keys: I64
    keys_end: I64
    defects: list[tuple[int, I64, I64]] = field(default_factory=list)

    @property
    def keys_begin(self) -> I64:
        return self.keys_end - self.n_keys

    @property
    def n_keys(self) -> I64:
        return np.diff(self.keys_end, prepend=0)

    def span(self, fields: I64) -> tuple[I64, I64]:
        return self.starts[fields], self.ends[fields]

    def refuse(self, kind: str, fields: I64) -> None:
        """Refuse the lines of these fields, which are in ascending order."""
        if len(fields):
            # A field is in the line of the first line feed that is not before it.
            self.defects.append((KINDS.index(kind), np.searchsorted(self.newlines, fields), self.starts[fields]))

    def with_keys(self, keys: I64) -> _Fields:
        keys_end = np.searchsorted(keys, self.newlines)
        return _Fields(self.buffer, self.starts, self.ends, self.newlines, keys, keys_end, self.defects)


def read_lines(text: bytes, *, lowest_id: int, highest_id: int, known_id: int, labels_required: bool) -> Lines:
    """Read whole lines of libsvm text.

    Parameters
    ----------
    text : bytes
        Ends with a line feed, or is empty.
    lowest_id, highest_id : int
        Ids beyond them are refused as 'id_zero' and 'id_too_large'; highest_id <= 2^31.
    known_id : int
        Ids beyond this one are refused as 'unseen_feature'.
    labels_required : bool
        Refuse a row that begins with ``id:value``.
    """
    buffer, byte_defects = blank_out_bad_lines(text, comment=b"#")
    mask = (buffer == _COLON) | (buffer == _SPACE) | (buffer == _LF)
    if b"\t" in text:
        mask |= buffer == _TAB
    colons, values_at = _take_out_blanks(buffer, mask) if b": " in text or b":\t" in text else (_NONE, _NONE)
    ends = np.flatnonzero(mask)
    delimiters = buffer[ends]
    starts = np.zeros_like(ends)
    np.add(ends[:-1], 1, out=starts[1:])
    starts[np.searchsorted(ends, colons) + 1] = values_at

    before_colon = delimiters == _COLON
    after_colon = np.zeros_like(before_colon)
    after_colon[1:] = before_colon[:-1]
    keys, newlines = np.flatnonzero(before_colon), np.flatnonzero(delimiters == _LF)
    cut = _Fields(buffer, starts, ends, newlines, keys, np.searchsorted(keys, newlines))
    cut.defects.extend((KINDS.index(kind), lines, at) for kind, lines, at in byte_defects)
    of_pair = before_colon | after_colon
    cut.refuse("ragged_token", np.flatnonzero((before_colon & after_colon) | (of_pair & (ends == starts))))

    bare = np.flatnonzero(~of_pair & (ends > starts))
    labels, has_label = _read_labels(cut, bare)
    is_row = has_label | (cut.n_keys > 0)
    if labels_required:
        cut.refuse("no_label", cut.keys[cut.keys_begin[is_row & ~has_label]])
    groups = None
    if b"qid" in text:
        cut, groups = _read_query_ids(cut)
    ids = _read_ids(cut, lowest_id, highest_id, known_id)
    values, ok = parse_floats(buffer, *cut.span(cut.keys + 1))
    _refuse_numbers(cut, "bad_value", cut.keys + 1, values, ok)
    return _assemble(cut, is_row, labels, ids, values, groups)


def _take_out_blanks(buffer: U8, mask: Mask) -> tuple[I64, I64]:
    """Take blanks between a colon and what follows it in its line out of the mask of delimiters.

    Returns
    -------
    colons, following : int64, shape (n,)
        Positions of such colons, and of what follows them.
    """
    blank = (buffer == _SPACE) | (buffer == _TAB)
    colons = np.flatnonzero((buffer[:-1] == _COLON) & blank[1:])
    solid = np.flatnonzero(~blank)
    following = solid[np.searchsorted(solid, colons + 1)]
    followed = buffer[following] != _LF
    colons, following = colons[followed], following[followed]
    depth = np.zeros(len(buffer) + 1, np.int8)
    depth[colons + 1], depth[following] = 1, -1
    mask &= np.cumsum(depth[:-1], dtype=np.int8) == 0
    return colons, following


def _read_labels(cut: _Fields, bare: I64) -> tuple[F64, Mask]:
    """Labels by line, NaN where there is none, and whether there is one; any other bare token is refused."""
    # The last bare token of a line may be the very field that the line feed ends.
    bare_end = np.searchsorted(bare, cut.newlines, side="right")
    lines = np.flatnonzero(np.diff(bare_end, prepend=0))
    first = (bare_end - np.diff(bare_end, prepend=0))[lines]
    leads = np.searchsorted(cut.keys, bare[first]) == cut.keys_begin[lines]
    lines, first = lines[leads], first[leads]
    if len(first) < len(bare):
        cut.refuse("ragged_token", np.delete(bare, first))
    labels, has_label = np.full(len(cut.newlines), np.nan), np.zeros(len(cut.newlines), np.bool_)
    labels[lines], ok = parse_floats(cut.buffer, *cut.span(bare[first]))
    has_label[lines] = True
    _refuse_numbers(cut, "bad_label", bare[first], labels[lines], ok)
    large = first[ok & (np.abs(labels[lines]) >= EXACT_BELOW)]
    merged = [f for f in bare[large].tolist() if is_rounded(cut.buffer[cut.starts[f] : cut.ends[f]].tobytes().decode())]
    cut.refuse("inexact_label", np.array(merged, np.int64))
    return labels, has_label


def _read_query_ids(cut: _Fields) -> tuple[_Fields, U64 | None]:
    """Take the keys that are 'qid' out; hash their values by line."""
    starts, ends = cut.span(cut.keys)
    of_three = np.flatnonzero(ends - starts == 3)
    letters = cut.buffer[starts[of_three, None] + np.arange(3)]
    tokens = of_three[(letters == np.frombuffer(b"qid", np.uint8)).all(axis=1)]
    if not len(tokens):
        return cut, None
    is_first = np.zeros(len(cut.keys) + 1, np.bool_)
    is_first[cut.keys_begin] = True
    query_ids = cut.keys[tokens] + 1
    cut.refuse("bad_qid", query_ids[~(is_first[tokens] & are_digits(cut.buffer, *cut.span(query_ids)))])
    groups = np.full(len(cut.newlines), NO_GROUP)
    groups[np.searchsorted(cut.newlines, query_ids)] = hash_fields(cut.buffer, *cut.span(query_ids))
    return cut.with_keys(np.delete(cut.keys, tokens)), groups


def _read_ids(cut: _Fields, lowest_id: int, highest_id: int, known_id: int) -> I64:
    starts, ends = cut.span(cut.keys)
    ids, ok = parse_ints(cut.buffer, starts, ends)
    if len(ids):
        ok &= cut.buffer[starts] != ord("+")
    if not ok.all():
        bad = cut.keys[~ok]
        digits = are_digits(cut.buffer, *cut.span(bad))
        cut.refuse("id_too_large", bad[digits])
        _refuse_strange(cut, "bad_id", bad[~digits])
    cut.refuse("id_too_large", cut.keys[ids > highest_id])
    if known_id < highest_id:
        cut.refuse("unseen_feature", cut.keys[ok & (ids > known_id) & (ids <= highest_id)])
    cut.refuse("id_zero", cut.keys[ok & (ids < lowest_id)])
    step = np.diff(ids)
    stalls = step <= 0
    first = cut.keys_begin
    stalls[first[(first > 0) & (first < len(ids))] - 1] = False
    if stalls.any():
        cut.refuse("duplicate_id", cut.keys[1:][stalls & (step == 0)])
        cut.refuse("descending_ids", cut.keys[1:][stalls & (step < 0)])
    return ids


def _refuse_numbers(cut: _Fields, kind: str, fields: I64, values: F64, ok: Mask) -> None:
    """Refuse the fields that are not ok, as `kind` if nothing more is to be said."""
    if ok.all():
        return
    bad, overflow = fields[~ok], np.isinf(values[~ok])
    spelled = spells_non_finite(cut.buffer, *cut.span(bad))
    cut.refuse("overflow", bad[overflow])
    cut.refuse("not_finite", bad[spelled])
    _refuse_strange(cut, kind, bad[~(overflow | spelled)])


def _refuse_strange(cut: _Fields, kind: str, bad: I64) -> None:
    starts, ends = cut.span(bad)
    non_ascii = _count(cut.buffer >= 0x80, starts, ends) > 0
    underscore = _count(cut.buffer == ord("_"), starts, ends) > 0
    underscore &= _count(_NUMERIC[cut.buffer], starts, ends) == ends - starts
    cut.refuse("non_ascii", bad[non_ascii])
    cut.refuse("underscore", bad[underscore])
    cut.refuse(kind, bad[~(non_ascii | underscore)])


def _count(mask: Mask, starts: I64, ends: I64) -> I64:
    before = np.zeros(len(mask) + 1, np.int64)
    np.cumsum(mask, out=before[1:])
    number: I64 = before[ends] - before[starts]
    return number


def _assemble(cut: _Fields, is_row: Mask, labels: F64, ids: I64, values: F64, groups: U64 | None) -> Lines:
    kinds, at = np.full(len(is_row), -1, np.int64), np.zeros(len(is_row), np.int64)
    # The first kind of a line in the order of BAD_KINDS wins, so write it last; likewise its first position.
    for kind, lines, positions in sorted(cut.defects, key=lambda defect: -defect[0]):
        kinds[lines[::-1]] = kind
        at[lines[::-1]] = positions[::-1]
    row_ends = cut.keys_end
    if cut.defects:
        is_row = is_row & (kinds < 0)
        kept = np.repeat(is_row, cut.n_keys)
        ids, values, row_ends = ids[kept], values[kept], np.cumsum(cut.n_keys * is_row)
    rows, bad = np.flatnonzero(is_row), np.flatnonzero(kinds >= 0)
    line_starts = np.zeros_like(at)
    np.add(cut.ends[cut.newlines[:-1]], 1, out=line_starts[1:])
    return Lines(
        n_lines=len(is_row),
        row_lines=rows,
        labels=labels[rows] + 0.0,  # -0.0 becomes 0.0
        row_ends=row_ends[rows],
        ids=ids,
        values=values + 0.0,
        groups=None if groups is None else groups[rows],
        bad_lines=bad,
        bad_kinds=kinds[bad],
        bad_at=(at - line_starts)[bad],
    )
