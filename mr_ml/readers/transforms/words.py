"""Words of a text, and runs of words, as numbers of features: how often each occurs, or tf-idf."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.readers.text.fields import hash_fields
from mr_ml.readers.transforms.base import I64, U8, Beside, Cells, Entries, Mask, Reading, Transform
from mr_ml.readers.transforms.hashing import Bits, Seed, bucket_names, buckets
from mr_ml.readers.transforms.logarithm import log
from mr_ml.readers.transforms.seen import Counts, Seen

MAX_RUN = 5
Run = Annotated[int, stored.at_least(1), stored.at_most(MAX_RUN)]

_BLANK = ord(" ")
_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[ord("A") : ord("Z") + 1] += ord("a") - ord("A")
# of ASCII; of other text, which has been made words before, all bytes are
_IS_WORD = np.isin(np.arange(256), np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789_", np.uint8))
_IS_WORD[128:] = True
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Frequencies:
    """Of how many rows, and in how many of them each feature occurs."""

    n_rows: int
    rows_with: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Words(Transform):
    """Features `note#0` ... of a text: each word, in lower case, is hashed; different words may share one.

    Attributes
    ----------
    bits
        There are 2^bits features.
    seed
        Of the hash.
    ngrams
        The shortest and the longest runs of words that are features, [1, 2] for words and pairs of neighbours.
    weights
        "count": how often each occurs in the row; "binary": 1; "tf-idf": the count by the inverse frequency in all
        rows, and the row is scaled to length 1.
    missing
        What a missing value is: "none", a text without words; or "error" or "drop".
    learnt
        Frequencies, for tf-idf.
    """

    kind: ClassVar[str] = "words"
    written: ClassVar[str] = "text"
    hashes: ClassVar[bool] = True

    column: str
    bits: Bits = 16
    seed: Seed = 0
    ngrams: tuple[Run, Run] = (1, 1)
    weights: Literal["count", "binary", "tf-idf"] = "count"
    missing: Literal["error", "drop", "none"] = "none"
    learnt: Frequencies | None = None

    def check_stored(self) -> None:
        """See `Transform.check_stored`."""
        if self.ngrams[0] > self.ngrams[1]:
            raise ValueError("`ngrams`: expected the shortest and the longest run of words, found the longest first")
        if self.learnt is not None and len(self.learnt.rows_with) != self.n_features:
            raise ValueError(f"frequencies of {len(self.learnt.rows_with)} features, expected {self.n_features}")

    @classmethod
    def unsaid(cls, beside: Beside) -> dict[str, Any]:
        """See `Transform.unsaid`: a text may be empty."""
        return {}

    @property
    def columns(self) -> tuple[str, ...]:
        """See `Transform.columns`."""
        return (self.column,)

    def read(self, cells: Cells) -> Reading:
        """See `Transform.read`: row, feature and number of each feature that a row has, by row and feature."""
        missing = cells.missing(self.column)
        rows, features = self._found(*cells.texts(self.column), missing)
        pairs, times = np.unique(rows << self.bits | features, return_counts=True)
        rows, features = pairs >> self.bits, pairs & ((1 << self.bits) - 1)
        counts = np.bincount(rows, minlength=len(missing)).astype(np.int64)
        return Reading((rows, features, times.astype(np.int64)), missing, counts=counts)

    def _found(self, buffer: U8, starts: I64, ends: I64, missing: Mask) -> tuple[I64, I64]:
        """Row and feature of each run of words."""
        text, rows, begins, stops = _words(buffer, starts, ends, missing)
        found_rows, features = [], []
        for length in range(self.ngrams[0], self.ngrams[1] + 1):
            # from word i to word i + length - 1, if that is in the same row
            first = np.flatnonzero(rows[: max(len(rows) - length + 1, 0)] == rows[length - 1 :])
            keys = hash_fields(text, begins[first], stops[first + length - 1])
            found_rows.append(rows[first])
            features.append(buckets(keys, bits=self.bits, seed=self.seed))
        return np.concatenate(found_rows), np.concatenate(features)

    def look(self, reading: Reading, kept: Mask) -> Seen:
        """See `Transform.look`."""
        n_rows, n_missing = int(np.count_nonzero(kept)), int(np.count_nonzero(reading.missing & kept))
        seen = Seen(n_rows=n_rows, n_missing=n_missing)
        if self.weights != "tf-idf":
            return seen
        rows, features, _ = reading.content
        return replace(seen, rows_with=Counts.of(features[kept[rows]]))

    def learn(self, seen: Seen) -> Words:
        """See `Transform.learn`."""
        if self.weights != "tf-idf":
            return self
        rows_with = np.zeros(self.n_features, np.int64)
        if seen.rows_with is not None:
            rows_with[list(seen.rows_with.ids)] = seen.rows_with.counts
        return replace(self, learnt=Frequencies(seen.n_rows, tuple(rows_with.tolist())))

    @property
    def knows(self) -> str:
        """See `Transform.knows`: the least and the largest inverse frequency of what the rows have."""
        if self.learnt is None or not any(self.learnt.rows_with):
            return ""
        with_it = np.array([most := max(self.learnt.rows_with), min(filter(None, self.learnt.rows_with))], np.float64)
        low, high = (log((1.0 + self.learnt.n_rows) / (1.0 + with_it)) + 1.0).tolist()
        times = "1 row" if most == 1 else f"{most} rows"
        return f"idf from {low:.4g}, of what {times} have, to {high:.4g}"

    @property
    def n_features(self) -> int:
        """See `Transform.n_features`."""
        return 1 << self.bits

    def names(self) -> list[str]:
        """See `Transform.names`."""
        return bucket_names(self.column, self.bits)

    def entries(self, reading: Reading) -> Entries:
        """See `Transform.entries`.

        idf = log((1 + rows) / (1 + rows with the feature)) + 1, and each row divided by the root of its sum of squares,
        as scikit-learn's TfidfVectorizer has it.
        """
        rows, features, times = reading.content
        if self.weights == "binary":
            return Entries(rows, features, np.ones(len(rows)))
        values = times.astype(np.float64)
        if self.learnt is not None:
            with_it = np.array(self.learnt.rows_with, np.float64)[features]
            values *= log((1.0 + self.learnt.n_rows) / (1.0 + with_it)) + 1.0
            # bincount adds one by one, by feature: in one order everywhere
            squares = np.bincount(rows, weights=values * values, minlength=len(reading.missing))
            values /= np.sqrt(squares)[rows]
        return Entries(rows, features, values)


def _words(buffer: U8, starts: I64, ends: I64, missing: Mask) -> tuple[U8, I64, I64, I64]:
    r"""Words of fields, (n,), in lower case: a text in which a blank is between two, and row, start and end of each.

    A word is `\w+`: letters, digits and underscores, of any script.
    """
    lengths = np.where(missing, 0, ends - starts)
    # each field with a blank behind it
    begins = np.cumsum(lengths + 1) - lengths - 1
    text = np.full(int(lengths.sum()) + len(lengths), _BLANK, np.uint8)
    at = np.arange(int(lengths.sum())) + np.repeat(np.arange(len(lengths)), lengths)
    text[at] = buffer[at + np.repeat(starts - begins, lengths)]
    text = _LOWER[text]
    if (text >= 128).any():
        text, begins = _of_other_scripts(text, begins)
    is_word = _IS_WORD[text]
    before = np.concatenate([[False], is_word[:-1]])
    first = np.flatnonzero(is_word & ~before)
    # bytes of words, and the one behind each
    kept = is_word | before
    number = np.cumsum(kept) - 1
    row = np.searchsorted(begins, first, side="right") - 1
    packed = np.where(is_word, text, np.uint8(_BLANK))[kept]
    last = np.flatnonzero(before & ~is_word)
    return packed, row, number[first], number[last]


def _of_other_scripts(text: U8, begins: I64) -> tuple[U8, I64]:
    """Return the same with the words of the fields that are not all ASCII, as Python's Unicode has them."""
    bounds = [*begins.tolist(), len(text)]
    parts = []
    for start, end in itertools.pairwise(bounds):
        part = text[start : end - 1].tobytes()
        if not part.isascii():
            part = " ".join(_WORD.findall(part.decode().lower())).encode()
        parts.append(part + b" ")
    lengths = np.array([len(part) for part in parts], np.int64)
    return np.frombuffer(b"".join(parts), np.uint8), np.cumsum(lengths) - lengths
