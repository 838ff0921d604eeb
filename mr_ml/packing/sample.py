"""What some of the text says of all of it: enough, mostly, to know the plan of a pack before all was read.

A plan follows from two numbers, rows and the bytes that they take, and changes only where these pass certain bounds. So
some ranges of the text are read here, and where everything that is likely leads to one plan, that is expected. Whoever
goes by it must see afterwards whether it is the plan of all that there was.

With c_k of either number in range k of b_k bytes, and B bytes in all:
    r = sum c_k / sum b_k;   expected r B (1 +- s);   s = 4 sqrt(n / (n - 1) sum (c_k - r b_k)^2) / sum c_k + 0.001
(the usual error of a ratio: Cochran, "Sampling Techniques", 1977, sec. 6.4).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from mr_ml.errors import MrMlError
from mr_ml.packing.plan import PackPlan, nnz_of, stored_bytes
from mr_ml.readers.base import Draft, Format
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.source import TextFile, TextRange

# Of each split, in so many places; less is read as a whole.
PLACES, PLACE_BYTES = 32, 1 << 18
_DEVIATIONS, _ROUNDING = 4.0, 1e-3
_THREADS = 8


class Estimate(NamedTuple):
    """Rows and bytes stored of some text, and by which share of it each may be wrong."""

    n_rows: float
    stored: float
    rows_spread: float
    stored_spread: float

    def at(self, rows_sign: int, stored_sign: int) -> tuple[int, int]:
        """Rows and stored features at one end of what is likely of each."""
        n_rows = round(self.n_rows * (1 + rows_sign * self.rows_spread))
        return n_rows, nnz_of(n_rows, round(self.stored * (1 + stored_sign * self.stored_spread)))


def expected_plan(
    form: Format, options: Options, by_split: Mapping[str, Sequence[TextFile]],
    plan_of: Callable[[Mapping[str, tuple[int, int]]], PackPlan], *, fitting: Schema | None = None,
) -> PackPlan | None:  # fmt: skip
    """Return the plan to which a sample of the text leads; None if others are likely too, or there is no sample.

    Parameters
    ----------
    by_split
        The files of each split, if that goes by file; else all under any name.
    plan_of
        Makes the plan of rows and stored features by split.
    fitting
        A schema that rows must fit that can be read without it; else there is no expectation.
    """
    if any(file.compression != "none" for files in by_split.values() for file in files):
        # of a part of a compressed file it is not known how much it is of the text
        return None
    try:
        estimates = {split: _estimate(form, options, files, fitting) for split, files in by_split.items()}
    except (_UnfitError, MrMlError):
        # whoever reads all of the text finds the same error, and says more
        return None
    plans = [
        plan_of({split: of.at(*signs) for split, of in estimates.items()})
        for signs in itertools.product((-1, 1), repeat=2)
    ]
    return plans[0] if all(plan.deals_as(plans[0]) for plan in plans) else None


class _UnfitError(Exception):
    """Rows do not fit the schema that is expected, or cannot be read without it."""


def _estimate(form: Format, options: Options, files: Sequence[TextFile], fitting: Schema | None) -> Estimate:
    def scan(place: TextRange) -> Summary:
        drafts: list[Draft | None] = []
        found = form.scan(place, options, keep=drafts.append)
        if fitting is not None and not all(draft is not None and draft.fits(fitting) for draft in drafts):
            raise _UnfitError
        return found

    n_bytes = sum(file.size - file.header_bytes for file in files)
    places = list(_places(files, n_bytes))
    with ThreadPoolExecutor(_THREADS) as threads:
        found = list(threads.map(scan, places))
    lengths = np.array([place.stop - place.start for place in places], np.float64)
    counts = np.array([[of.n_rows, stored_bytes(of.n_rows, of.nnz)] for of in found], np.float64).reshape(-1, 2)
    total, read = counts.sum(axis=0), float(lengths.sum())
    if read >= n_bytes:
        return Estimate(total[0], total[1], 0.0, 0.0)
    rate, n = total / read, len(places)
    left = counts - rate * lengths[:, None]
    deviation = np.sqrt((left**2).sum(axis=0) * n / max(n - 1, 1)) / np.maximum(total, 1.0)
    spread = np.minimum(_DEVIATIONS * deviation + _ROUNDING, 1.0)
    return Estimate(rate[0] * n_bytes, rate[1] * n_bytes, spread[0], spread[1])


def _places(files: Sequence[TextFile], n_bytes: int) -> Iterator[TextRange]:
    """Ranges of about `PLACE_BYTES`, at even distances in all of the text; all of it if it is short."""
    step = max(n_bytes / PLACES, PLACE_BYTES)
    at = 0.0
    for file in files:
        rows = file.size - file.header_bytes
        while at < rows:
            start = file.header_bytes + math.floor(at)
            yield TextRange(file.path, start, min(start + PLACE_BYTES, file.size), "none", 0)
            at += step
        at = at - rows if step > PLACE_BYTES else 0.0
