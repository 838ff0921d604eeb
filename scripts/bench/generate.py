#!/usr/bin/env python3
"""Reference data for benchmarks: the same bytes on every machine.

    sparse   697,641 x 47,236 rows of unit length, about 73 non-zeros each, feature frequencies by Zipf's law
    dense    1,000,000 x 100, columns that share ten factors
    narrow   400,000 x 60, columns of one scale that hardly depend on each other

Labels are the sign of a true margin plus noise. Rows come in chunks, each from a counter-based generator (Philox) of
its own, so that a smaller set is a prefix of a larger one. Only operations that IEEE 754 rounds exactly are used (no
log, exp or BLAS), and sums run in a fixed order. Values are decimal fractions of six or five places, written both as
libsvm text and as integer arrays, from which `Problem.load` has the same doubles without parsing anything. A dense
set can be written as CSV too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[Any]

FORMAT = 1
SEED = 20
CHUNK_ROWS = 8192


@dataclass(frozen=True)
class Shape:
    """A reference set at factor 1. `places`: decimal places of a value. `draw(number, n_rows)` makes a chunk."""

    rows: int
    features: int
    places: int
    l2: float
    draw: Callable[[int, int], Chunk]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Rows: `counts` (n,), `ids` from 0, ascending in a row, and integer `values` (nnz,), `labels` of -1 and 1 (n,)."""

    counts: Array
    ids: Array
    values: Array
    labels: Array


@dataclass(frozen=True, eq=False)
class Problem:
    """A generated set: its files, and the features (CSR) and labels of 0 and 1 that the text says.

    Attributes
    ----------
    text, vw_text, csv
        libsvm text, and the same rows as Vowpal Wabbit reads them, and where they are dense as CSV with a header, the
        label first.
    sha256
        Of the libsvm text.
    """

    name: str
    folder: Path
    sha256: str
    n_rows: int
    n_features: int
    nnz: int
    l2: float
    text_bytes: int

    @property
    def text(self) -> Path:
        return self.folder / f"{self.name}.libsvm"

    @property
    def vw_text(self) -> Path:
        return self.folder / f"{self.name}.vw"

    @property
    def csv(self) -> Path:
        return self.folder / f"{self.name}.csv"

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]

    @property
    def shape(self) -> Shape:
        return SHAPES[self.kind]

    @property
    def dense(self) -> bool:
        return self.nnz == self.n_rows * self.n_features

    def load(self) -> tuple[sparse.csr_array, Array]:
        """Features and labels, from the arrays beside the text."""
        indptr, ids, values, labels = (np.load(self.folder / f"{n}.npy") for n in ("indptr", "ids", "values", "labels"))
        x = sparse.csr_array(
            (values / 10.0**self.shape.places, ids.astype(np.int32), indptr), shape=(self.n_rows, self.n_features)
        )
        return x, (labels > 0).astype(float)


def draw_sparse(number: int, n_rows: int) -> Chunk:
    """Distinct Zipf features a row, of positive values rarer features have more of, scaled to length 1."""
    d = 47_236
    cumulative, permutation, rarity, truth = _sparse_constants(d)
    words = np.random.Philox(key=[SEED, number])
    lengths = 20 + _bell(words, n_rows, spread=114)
    rows = np.repeat(np.arange(n_rows), lengths)
    ranks = np.searchsorted(cumulative, _uniform(words, len(rows)), side="right")
    key = np.unique(rows * d + permutation[ranks])
    rows, ids = key // d, key % d
    counts = np.bincount(rows, minlength=n_rows)
    values = (0.25 + _uniform(words, len(ids))) * rarity[ids]
    values /= np.sqrt(np.bincount(rows, values * values, n_rows))[rows]
    scaled = np.maximum(np.rint(values * 1e6).astype(np.int64), 1)
    margin = np.bincount(rows, scaled * truth[ids], n_rows) / 1e6
    noise = _bell(words, n_rows, spread=2000) / 1000.0 - 1.0
    return Chunk(counts, ids, scaled, np.where(margin + noise > 0, 1, -1))


_constants: dict[int, tuple[Array, Array, Array, Array]] = {}


def _sparse_constants(d: int) -> tuple[Array, Array, Array, Array]:
    if d not in _constants:
        words = np.random.Philox(key=[SEED, 2**63])
        frequency = 1.0 / (np.arange(d) + 20.0)
        cumulative = np.cumsum(frequency)
        permutation = np.argsort(_uniform(words, d), kind="stable")
        rarity = np.empty(d)
        rarity[permutation] = np.sqrt(np.sqrt(np.arange(d) + 20.0))
        truth = np.where(_uniform(words, d) < 0.2, (_bell(words, d, spread=2000) - 1000) / 100.0, 0.0)
        _constants[d] = cumulative[:-1] / cumulative[-1], permutation, rarity, truth
    return _constants[d]


def draw_dense(number: int, n_rows: int) -> Chunk:
    """Column j: factor j mod 10 plus a part of its own that is smaller the larger j is, on a scale of its own."""
    d, j = 100, np.arange(100)
    words = np.random.Philox(key=[SEED + 1, number])
    factors, own = _bells(words, n_rows, 10), _bells(words, n_rows, d)
    return _dense_chunk(words, (factors[:, j % 10] + own / (1.0 + j // 10)) * (1.0 + j % 7))


def draw_narrow(number: int, n_rows: int) -> Chunk:
    """Columns of one scale that have little to do with each other, as methods that know only gradients like them."""
    words = np.random.Philox(key=[SEED + 2, number])
    factors, own = _bells(words, n_rows, 10), _bells(words, n_rows, 60)
    return _dense_chunk(words, 2.0 * own + factors[:, np.arange(60) % 10] / 2.0)


def _bells(words: np.random.Philox, n_rows: int, n: int) -> Array:
    """Numbers (n_rows, n) between -1 and 1."""
    return np.asarray(_bell(words, n_rows * n, spread=200_000).reshape(n_rows, n) / 1e5 - 1.0)


def _dense_chunk(words: np.random.Philox, columns: Array) -> Chunk:
    n_rows, d = columns.shape
    scaled = np.rint(columns * 1e5).astype(np.int64)
    scaled[scaled == 0] = 1
    margin = np.zeros(n_rows)
    for k in range(d):
        margin += scaled[:, k] / 1e5 * (((k * 37) % 23 - 11) / 40.0)
    noise = (_bell(words, n_rows, spread=2000) - 1000) / 300.0
    ids = np.tile(np.arange(d), n_rows)
    return Chunk(np.full(n_rows, d), ids, scaled.ravel(), np.where(margin + noise > 0, 1, -1))


def _uniform(words: np.random.Philox, n: int) -> Array:
    """In [0, 1), of 53 bits."""
    return (words.random_raw(n) >> np.uint64(11)) / 2.0**53


def _bell(words: np.random.Philox, n: int, *, spread: int) -> Array:
    """Integers from 0 up to, not including, `spread`, nearly normal: the mean of four uniform numbers."""
    total = words.random_raw(n).view(np.uint16).reshape(n, 4).sum(axis=1, dtype=np.int64)
    return np.asarray(total * spread >> 18)


SHAPES = {
    "sparse": Shape(697_641, 47_236, 6, 1e-6, draw_sparse),
    "dense": Shape(1_000_000, 100, 5, 1e-6, draw_dense),
    "narrow": Shape(400_000, 60, 5, 1e-6, draw_narrow),
}


def to_text(chunk: Chunk, *, places: int, separator: bytes = b"") -> bytes:
    """The rows as ``label[ separator] id:value ...`` lines, ids from 1.

    A matrix of characters, one line an entry, from which the unused ones are left out at once.
    """
    n = len(chunk.ids)
    first = np.zeros(n, bool)
    first[np.cumsum(chunk.counts) - chunk.counts] = True
    labels = np.repeat(chunk.labels, chunk.counts)
    ids, negative, size = chunk.ids + 1, chunk.values < 0, np.abs(chunk.values)
    always = np.ones(n, bool)
    columns: list[tuple[Array | int, Array]] = [(ord("\n"), first), (ord("-"), first & (labels < 0)), (ord("1"), first)]
    columns += [(c, first) for c in separator]
    columns.append((ord(" "), always))
    columns += [(48 + ids // 10**k % 10, ids >= 10**k) for k in range(len(str(ids.max())) - 1, -1, -1)]
    columns += [(ord(":"), always), (ord("-"), negative)]
    whole = size // 10**places
    digits = len(str(whole.max()))
    columns += [(48 + whole // 10**k % 10, always if k == 0 else whole >= 10**k) for k in range(digits - 1, -1, -1)]
    columns.append((ord("."), always))
    columns += [(48 + size // 10**k % 10, always) for k in range(places - 1, -1, -1)]
    characters, used = np.empty((n, len(columns)), np.uint8), np.empty((n, len(columns)), bool)
    for k, (character, where) in enumerate(columns):
        characters[:, k], used[:, k] = character, where
    return characters[used].tobytes()[1:] + b"\n"


def chunks(kind: str, n_rows: int) -> Iterator[Chunk]:
    for number, start in enumerate(range(0, n_rows, CHUNK_ROWS)):
        chunk = SHAPES[kind].draw(number, CHUNK_ROWS)
        left = n_rows - start
        if left < CHUNK_ROWS:
            nnz = int(chunk.counts[:left].sum())
            chunk = Chunk(chunk.counts[:left], chunk.ids[:nnz], chunk.values[:nnz], chunk.labels[:left])
        yield chunk


def generate(kind: str, factor: float, parent: Path) -> Problem:
    """Make the set, or find it made: text, Vowpal Wabbit's text, arrays and a description, in a folder of its own."""
    shape = SHAPES[kind]
    n_rows = max(round(shape.rows * factor), 1)
    name = f"{kind}-{n_rows}"
    folder = parent / name
    made = folder / "made.json"
    if made.is_file():
        said = json.loads(made.read_text())
        if said.pop("format") == FORMAT:
            return Problem(folder=folder, **said)
    folder.mkdir(parents=True, exist_ok=True)
    checksum, size = hashlib.sha256(), 0
    kept: list[Chunk] = []
    with open(folder / f"{name}.libsvm", "wb") as text, open(folder / f"{name}.vw", "wb") as vw_text:
        for chunk in chunks(kind, n_rows):
            line = to_text(chunk, places=shape.places)
            checksum.update(line)
            size += text.write(line)
            vw_text.write(to_text(chunk, places=shape.places, separator=b" |"))
            kept.append(Chunk(chunk.counts, chunk.ids.astype(np.uint16), chunk.values.astype(np.int32), chunk.labels))
    counts = np.concatenate([c.counts for c in kept])
    np.save(folder / "indptr.npy", np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    np.save(folder / "ids.npy", np.concatenate([c.ids for c in kept]))
    np.save(folder / "values.npy", np.concatenate([c.values for c in kept]))
    np.save(folder / "labels.npy", np.concatenate([c.labels for c in kept]).astype(np.int8))
    said = {
        "name": name,
        "sha256": checksum.hexdigest(),
        "n_rows": n_rows,
        "n_features": shape.features,
        "nnz": int(counts.sum()),
        "l2": shape.l2,
        "text_bytes": size,
    }
    made.write_text(json.dumps({"format": FORMAT, **said}, indent=1))
    return Problem(folder=folder, **said)


def write_csv(problem: Problem) -> Path:
    """Write the CSV of a dense set, or find it written."""
    if not problem.csv.is_file():
        part = problem.csv.with_suffix(".part")
        with open(problem.text, "rb") as text, open(part, "wb") as out:
            out.write(b"label," + b",".join(b"x%d" % j for j in range(problem.n_features)) + b"\n")
            while lines := text.readlines(1 << 24):
                out.write(re.sub(rb" \d+:", b",", b"".join(lines)))
        part.rename(problem.csv)
    return problem.csv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(SHAPES)} (default all)")
    parser.add_argument("--factor", type=float, default=0.1, help="of the rows (default 0.1)")
    parser.add_argument("--folder", type=Path, default=Path("bench_data"), help="(default ./bench_data)")
    options = parser.parse_args()
    for kind in options.kinds or SHAPES:
        found = generate(kind, options.factor, options.folder)
        print(f"{found.text}: {found.n_rows} rows, {found.nnz} non-zeros, {found.text_bytes} bytes, {found.sha256}")


if __name__ == "__main__":
    main()
