"""Row weights in libsvm text, ``label:weight id:value ...``, as XGBoost reads them.

They are taken out of the text and blanks put in their place, so that what reads the rest need not know of them.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.readers.rows import MAX_EXAMPLES, BadRow, Rows, excerpt
from mr_ml.readers.text.fields import F64, I64, Mask
from mr_ml.readers.text.numbers import parse_floats

_WEIGHT = re.compile(rb"^[ \t]*[^ \t\r\n:#]+(:[^ \t\r\n#]*)", re.MULTILINE)


@dataclass(frozen=True)
class Weights:
    """What stands behind the labels of some lines.

    Attributes
    ----------
    lines : int64 (n,)
        0-based, ascending: the lines that have something there.
    values : float64 (n,)
    ok : bool (n,)
        It is a finite decimal number of at least 0.
    texts : list of bytes
        It as written, with its colon.
    """

    lines: I64
    values: F64
    ok: Mask
    texts: list[bytes]

    def of(self, rows: Rows) -> tuple[Rows, list[BadRow], dict[str, int]]:
        """Return the rows that have a weight, with it, and those that do not, examples and counts of them."""
        at = np.searchsorted(self.lines, rows.lines)
        at_most = np.minimum(at, max(len(self.lines) - 1, 0))
        found = np.zeros(rows.n_rows, np.bool_)
        if len(self.lines):
            found = self.lines[at_most] == rows.lines
        good = found.copy()
        good[found] = self.ok[at_most[found]]
        if good.all():
            return _with_weights(rows, self.values[at_most] if rows.n_rows else np.zeros(0)), [], {}
        bad, counts = list[BadRow](), dict[str, int]()
        for kind, which in (("missing_weight", ~found), ("bad_weight", found & ~good)):
            chosen = np.flatnonzero(which)
            if len(chosen):
                counts[kind] = len(chosen)
                for i in chosen[:MAX_EXAMPLES].tolist():
                    text = self.texts[at_most[i]] if found[i] else b""
                    shown = f"{rows.labels[i]:g}".encode() + text
                    bad.append(BadRow(int(rows.lines[i]), kind, excerpt(shown)))
        kept = kept_rows(rows, good)
        return _with_weights(kept, self.values[at_most[good]]), bad, counts


def taken_out(text: bytes) -> tuple[bytes, Weights]:
    """Return a text with blanks in the place of its weights, which are told from labels by a colon; and these."""
    spans = np.array([match.span(1) for match in _WEIGHT.finditer(text)], np.int64).reshape(-1, 2)
    starts, ends = spans[:, 0], spans[:, 1]
    buffer = np.frombuffer(text, np.uint8)
    values, ok = parse_floats(buffer, starts + 1, ends) if len(spans) else (np.zeros(0), np.zeros(0, np.bool_))
    lines = np.searchsorted(np.flatnonzero(buffer == ord("\n")), starts)
    bare = bytearray(text)
    for start, end in spans.tolist():
        bare[start:end] = b" " * (end - start)
    texts = [text[start:end] for start, end in spans.tolist()]
    return bytes(bare), Weights(lines, values + 0.0, ok & (values >= 0), texts)


def kept_rows(rows: Rows, kept: Mask) -> Rows:
    """Return some of the rows."""
    lengths = np.diff(rows.indptr)
    entries = np.repeat(kept, lengths)
    indptr = np.zeros(int(np.count_nonzero(kept)) + 1, np.int64)
    np.cumsum(lengths[kept], out=indptr[1:])
    return Rows(
        labels=rows.labels[kept],
        indptr=indptr,
        indices=rows.indices[entries],
        values=rows.values[entries],
        lines=rows.lines[kept],
        weights=None if rows.weights is None else rows.weights[kept],
        offsets=None if rows.offsets is None else rows.offsets[kept],
        groups=None if rows.groups is None else rows.groups[kept],
    )


def _with_weights(rows: Rows, weights: NDArray[np.float64]) -> Rows:
    return Rows(
        labels=rows.labels, indptr=rows.indptr, indices=rows.indices, values=rows.values, lines=rows.lines,
        weights=weights, groups=rows.groups,
    )  # fmt: skip
