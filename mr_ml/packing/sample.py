"""What some of the text says of all of it: mostly enough to know schema and plan of a pack before all is read.

How rows are read mostly shows in some of them: it is expected where each half of these says the same. A plan follows
from two numbers, rows and the bytes that they take, and changes only where these pass certain bounds: it is expected
where all that is likely leads to one plan. Whoever goes by that must see afterwards whether all of the text says so.

With c_k of either number in range k of b_k bytes, and B bytes in all:
    r = sum c_k / sum b_k;   expected r B (1 +- s);   s = 4 sqrt(n / (n - 1) sum (c_k - r b_k)^2) / sum c_k + 0.001
(the usual error of a ratio: Cochran, "Sampling Techniques", 1977, sec. 6.4).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.packing.plan import PackPlan, nnz_of, stored_bytes
from mr_ml.readers.base import Format
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.source import TextFile, TextRange

# Of each split, in so many places; less is read as a whole.
PLACES, PLACE_BYTES = 32, 1 << 18
_DEVIATIONS, _ROUNDING = 4.0, 1e-3
_GOLDEN = 0.618034
_THREADS = 8

# By split: rows and stored features.
Counts = Mapping[str, tuple[int, int]]


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


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some of the text.

    Attributes
    ----------
    total
        What a scan finds there.
    halves
        What it finds in every other place, and in those between; none if all of the text was read.
    estimates
        By split, where that goes by file; else of all under one name.
    """

    total: Summary
    halves: Sequence[Summary]
    estimates: Mapping[str, Estimate]

    def schema(self, form: Format, options: Options) -> Schema | None:
        """Return the schema that is expected of all of the text; None if that may be another one.

        Raises
        ------
        MrMlError
            As `Format.resolve`.
        """
        found = (self.total, *self.halves)
        if any(form.declared(options, summary)[0] != options for summary in found):
            return None
        schema, *others = (form.resolve(options, summary) for summary in found)
        return schema if all(other.reads_as(schema) for other in others) else None

    def plan(self, plan_of: Callable[[Counts], PackPlan]) -> PackPlan | None:
        """Return the plan to which all that is likely leads; None if several are likely."""
        plans = [
            plan_of({split: of.at(*signs) for split, of in self.estimates.items()})
            for signs in itertools.product((-1, 1), repeat=2)
        ]
        return plans[0] if all(plan.deals_as(plans[0]) for plan in plans) else None


def take(form: Format, options: Options, by_split: Mapping[str, Sequence[TextFile]]) -> Sample | None:
    """Read a sample of files, by split; None if some are compressed: how much of them a part is, is not known.

    Raises
    ------
    MrMlError
        If that cannot be read.
    """
    if any(file.compression != "none" for files in by_split.values() for file in files):
        return None
    found: list[Summary] = []
    estimates: dict[str, Estimate] = {}
    n_bytes = n_read = 0
    with ThreadPoolExecutor(_THREADS) as threads:
        for split, files in by_split.items():
            of_split = sum(file.size - file.header_bytes for file in files)
            places = list(_places(files, of_split))
            lengths = [place.stop - place.start for place in places]
            summaries = list(threads.map(partial(form.scan, options=options), places))
            estimates[split] = _estimate(summaries, lengths, of_split)
            found += summaries
            n_bytes, n_read = n_bytes + of_split, n_read + sum(lengths)
    total = sum(found, Summary())
    halves = [sum(found[k::2], Summary()) for k in range(2)] if n_read < n_bytes else []
    return Sample(total=total, halves=halves, estimates=estimates)


def _places(files: Sequence[TextFile], n_bytes: int) -> Iterator[TextRange]:
    """Ranges of at most `PLACE_BYTES`, spread over all of the text; all of it if it is short."""
    step, before = n_bytes / PLACES, 0
    # one somewhere in each stretch: at even distances all could be the beginnings of files
    spread = [math.floor(k * step + k * _GOLDEN % 1 * (step - PLACE_BYTES)) for k in range(PLACES)]
    for file in files:
        length = file.size - file.header_bytes
        here = (start - before for start in spread if before <= start < before + length)
        for start in range(0, length, PLACE_BYTES) if step <= PLACE_BYTES else here:
            at = file.header_bytes + start
            yield TextRange(file.path, at, min(at + PLACE_BYTES, file.size), "none", 0)
        before += length


def _estimate(found: Sequence[Summary], lengths: Sequence[int], n_bytes: int) -> Estimate:
    """Estimate the rows in so many bytes by those in places of these lengths."""
    n, read = len(found), sum(lengths)
    counts = np.array([[of.n_rows, stored_bytes(of.n_rows, of.nnz)] for of in found], np.float64).reshape(-1, 2)
    total = counts.sum(axis=0)
    if read >= n_bytes:
        return Estimate(total[0], total[1], 0.0, 0.0)
    rate = total / read
    left = counts - rate * np.array(lengths, np.float64)[:, None]
    # of one place nothing is left, which says nothing
    deviation = np.sqrt((left**2).sum(axis=0) * n / max(n - 1, 1)) / np.maximum(total, 1.0) if n > 1 else np.ones(2)
    spread = np.minimum(_DEVIATIONS * deviation + _ROUNDING, 1.0)
    return Estimate(rate[0] * n_bytes, rate[1] * n_bytes, spread[0], spread[1])
