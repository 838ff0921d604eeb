"""Row offsets in libsvm text, as the value of a feature that stands for them: ``label 0:offset id:value ...``.

Whatever writes libsvm text can write such a feature, and a row without it has offset 0, as with every feature. It is
read with the others, and taken out of the rows then.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mr_ml.readers.rows import MAX_EXAMPLES, BadRow, Rows, excerpt
from mr_ml.readers.text.fields import Mask


def with_offsets(rows: Rows, feature: int) -> Rows:
    """Return the rows with their offsets, without the feature that held them.

    Parameters
    ----------
    feature
        As `rows.indices` count.
    """
    is_offset = rows.indices == feature
    places = np.flatnonzero(is_offset)
    offsets = np.zeros(rows.n_rows)
    # ids ascend, so none stands twice in a row
    offsets[np.searchsorted(rows.indptr, places, side="right") - 1] = rows.values[places]
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(~is_offset)])
    return replace(
        rows, indptr=before[rows.indptr], indices=rows.indices[~is_offset], values=rows.values[~is_offset],
        offsets=offsets,
    )  # fmt: skip


def beyond(rows: Rows, n_features: int, *, base: int) -> tuple[Mask, list[BadRow]]:
    """Return which rows have features beyond these, and the first few of them as bad ones.

    Parameters
    ----------
    base
        What ids of the text count from.
    """
    entries = np.flatnonzero(rows.indices >= n_features)
    of_entries = np.searchsorted(rows.indptr, entries, side="right") - 1
    which, first = np.unique(of_entries, return_index=True)
    is_bad = np.zeros(rows.n_rows, np.bool_)
    is_bad[which] = True
    bad = []
    for row, k in zip(which[:MAX_EXAMPLES].tolist(), entries[first[:MAX_EXAMPLES]].tolist(), strict=True):
        shown = f"{int(rows.indices[k]) + base}:{rows.values[k]:g}"
        bad.append(BadRow(int(rows.lines[row]), "unseen_feature", excerpt(shown.encode())))
    return is_bad, bad
