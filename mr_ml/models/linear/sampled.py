"""Some of the rows, held by the driver: their mean loss near a point, in the optimizer's coordinates.

Of rows in theta's coordinates, a_i = ((x_i - m) / s, 1), with weights u_i that sum to 1:

    gradient  sum_i u_i l'(z_i) a_i        Hessian times v  sum_i u_i l''(z_i) (a_i . v) a_i

Rows are standardised once, and l'' is computed once for each point, so that a product costs two sweeps of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.data.features import DenseFeatures, Features, SparseFeatures, narrow_indptr
from mr_ml.models.linear.penalty import PenaltyOfTheta
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.scaling import Scaling
from mr_ml.sums.query import check_width

Floats = NDArray[np.float64]

# So many rows, or as many as take so many bytes.
MOST_ROWS = 20_000
MOST_BYTES = 64 << 20
_ENTRY_BYTES = 12
# Rows to begin by: one of so many of all, and so many for each coefficient of an output, with fewer of which their
# optimum is too far out; and no fewer than a pass over all of them hardly takes.
_ONE_OF, _ROWS_EACH, _LEAST_ROWS = 8, 20, 1_000
# Vectors by which the size of a Hessian is estimated.
_PROBES = 8
# Of a row and an output: margins, derivatives, and what is made of them.
_OUTPUT_BYTES = 64


def sample_bytes(*, n_rows: int, nnz: int, n_outputs: int) -> int:
    """Bound what a sample of a split takes, also while it is put together."""
    whole = 2 * _ENTRY_BYTES * nnz + _OUTPUT_BYTES * n_rows * n_outputs
    return 3 * min(MOST_BYTES, whole)


def first_rows(*, n_rows: int, nnz: int, n_columns: int, n_outputs: int) -> tuple[int, int]:
    """Return how many rows a search begins by (see `mr_ml.models.linear.kind.first_rows`), and what these take.

    Parameters
    ----------
    n_rows, nnz
        Of the split.
    n_columns
        Coefficients of an output.

    Returns
    -------
    rows
        0 where the search begins at its start.
    n_bytes
        That bound what they take as they are stored, and as they are read.
    """
    each = _ENTRY_BYTES * nnz / max(n_rows, 1) + _OUTPUT_BYTES * n_outputs
    rows = int(min(MOST_ROWS, n_rows // _ONE_OF, MOST_BYTES // each))
    if rows < max(_ROWS_EACH * n_columns, _LEAST_ROWS):
        return 0, 0
    return rows, int(3 * rows * each)


@dataclass(frozen=True, eq=False)
class RowSample:
    """Rows of positive weight.

    Attributes
    ----------
    features
        In theta's coordinates, but for the intercept's column of ones.
    targets, weights, offsets
        As the loss takes them, (n_rows,); weights sum to 1.
    rows_with
        How many rows have each feature, (n_features,).
    share
        Of all rows.
    penalty
        The diagonal of its Hessian, (size,).
    """

    spec: RowSpec
    intercept: bool
    features: Features
    targets: Floats
    weights: Floats
    offsets: Floats | None
    rows_with: Floats
    share: float
    penalty: Floats

    @classmethod
    def of(
        cls, blocks: Iterable[Block], *, n_rows: int, spec: RowSpec, scaling: Scaling, penalty: PenaltyOfTheta
    ) -> RowSample | None:
        """Return the first rows of stored blocks that have `n_rows` in all; None if they weigh nothing.

        Raises
        ------
        BadDataError
            If labels or ids of features are none that the dataset has.
        """
        read, targets, weights = [], [], []
        taken = 0
        for block in _first(map(spec.read, blocks), spec.n_outputs):
            taken += block.n_rows
            check_width(block, spec.n_features)
            y = spec.targets(block)
            u = spec.weights(block, y)
            counted = np.flatnonzero(u > 0)
            offsets = None if block.offsets is None else block.offsets[counted]
            read.append(replace(block, features=block.features.rows(counted), labels=y[counted], offsets=offsets))
            targets.append(y[counted])
            weights.append(u[counted])
        whole = np.concatenate(weights) if weights else np.empty(0)
        total = float(whole.sum())
        if not 0 < total < np.inf:
            return None
        counts = (block.features.column_sums(n_features=spec.n_features)[-1] for block in read)
        known = [block.offsets for block in read if block.offsets is not None]
        return cls(
            spec=spec,
            intercept=scaling.intercept,
            features=_standardised([block.features for block in read], scaling),
            targets=np.concatenate(targets),
            weights=whole / total,
            offsets=np.concatenate(known) if known else None,
            rows_with=np.asarray(sum(counts), np.float64),
            share=min(taken / n_rows, 1.0),
            penalty=penalty.curvature,
        )

    @cached_property
    def rows(self) -> Floats:
        """Of how many rows each coefficient moves the margin, (size,)."""
        one = np.append(self.rows_with, float(len(self.targets))) if self.intercept else self.rows_with
        return np.tile(one, self.spec.n_outputs)

    def along(self, theta: Floats, *, squares: bool = False) -> Floats:
        """Return what theta (size,) adds to the margins, or would with the squares of a_i; (n_rows, n_outputs)."""
        by_output = theta.reshape(self.spec.n_outputs, -1)
        features = self.features.squared() if squares else self.features
        products = features.dot(np.ascontiguousarray(by_output[:, : self.spec.n_features].T))
        return products + by_output[:, -1] if self.intercept else products

    def gathered(self, by_row: Floats, *, squares: bool = False) -> Floats:
        """Add up a_i r_i', or with the squares of a_i, for r (n_rows, n_outputs); (size,)."""
        d, by_row = self.spec.n_features, np.ascontiguousarray(by_row)
        if squares:
            of_features = self.features.squares_dot(by_row, n_features=d)
        else:
            of_features, *_ = self.features.transpose_dots(by_row, None, n_features=d)
        whole = np.empty((self.spec.n_outputs, d + self.intercept))
        whole[:, :d] = of_features.T
        if self.intercept:
            whole[:, d] = by_row.sum(axis=0)
        return whole.ravel()

    def at(self, theta: Floats) -> LossOfSample:
        """Return the mean loss near theta (size,)."""
        z = self.along(theta)
        return LossOfSample(self, z if self.offsets is None else z + self.offsets[:, None])


@dataclass(frozen=True, eq=False)
class LossOfSample:
    """A `mr_ml.optimize.base.SampledLoss`; `margins` (n_rows, n_outputs) are those at the point."""

    sample: RowSample
    margins: Floats

    @property
    def rows(self) -> Floats:
        """Of how many rows each coefficient moves the margin, (size,)."""
        return self.sample.rows

    @property
    def share(self) -> float:
        """Of all rows."""
        return self.sample.share

    @property
    def penalty(self) -> Floats:
        """The diagonal of the penalty's Hessian, (size,)."""
        return self.sample.penalty

    @cached_property
    def _derivatives(self) -> tuple[Floats, Floats]:
        return self.sample.spec.loss.derivatives(self.margins, self.sample.targets)

    @cached_property
    def _bend(self) -> Callable[[Floats], Floats]:
        return self.sample.spec.loss.second_derivative(self.margins, self.sample.targets, self.sample.weights)

    @cached_property
    def gradient(self) -> Floats:
        """The gradient, (size,)."""
        return self.sample.gathered(self._derivatives[0] * self.sample.weights[:, None])

    @cached_property
    def diagonal(self) -> Floats:
        """That of the Hessian, (size,)."""
        return self.sample.gathered(self._derivatives[1] * self.sample.weights[:, None], squares=True)

    @cached_property
    def noise(self) -> float:
        """What is noise of the Hessian C in units of its diagonal, off the diagonal (Ledoit & Wolf 2004).

        With rows b_i so that C = sum_i b_i b_i', it is (sum_i |b_i|^4 - |C|^2 / n) / (|C|^2 - size) of what a sample of
        n rows among very many has; |C|^2 is estimated by products with a few vectors of signs (Hutchinson 1990).
        """
        return self.noise_of(n_rows=len(self.sample.targets), share=self.share)

    def noise_of(self, *, n_rows: int, share: float) -> float:
        """Return what `noise` would be with so many rows in place of these, which are that share of all rows.

        With T = n sum_i |b_i|^4, which hardly depends on n, |C|^2 is by T / n + (1 - 1 / n) |C_all|^2 on average. That
        the units would be others is left out, which makes it too large where features have few rows each.
        """
        sample, size, own = self.sample, len(self.diagonal), len(self.sample.targets)
        if share == 1:
            return 0.0
        unit = np.sqrt(np.divide(1.0, self.diagonal, out=np.zeros(size), where=self.diagonal > 0))
        products = (unit * self.times(unit * _signs(size, probe)) for probe in range(_PROBES))
        norm = sum(float(product @ product) for product in products) / _PROBES
        lengths = self._derivatives[1] * sample.weights[:, None] * sample.along(unit * unit, squares=True)
        fourth = float((lengths.sum(axis=1) ** 2).sum())
        if n_rows != own:
            of_all = (norm - fourth) / (1 - 1 / own) if own > 1 else 0.0
            fourth *= own / n_rows
            norm = fourth + (1 - 1 / n_rows) * of_all
        off_diagonal = norm - np.count_nonzero(unit)
        noise = (1 - share) * (fourth - norm / n_rows)
        return float(np.clip(noise / off_diagonal, 0, 1)) if off_diagonal > 0 else float(noise > 0)

    def times(self, vector: Floats) -> Floats:
        """Multiply the Hessian with a vector (size,)."""
        return self.sample.gathered(self._bend(self.sample.along(vector)))

    def gains(self, direction: Floats, steps: Sequence[float]) -> Floats:
        """Return what each step along a direction changes the mean loss by, less slope times step; (n_steps,)."""
        loss, y, u = self.sample.spec.loss, self.sample.targets, self.sample.weights
        along = self.sample.along(direction)
        # difference by difference: what rows have in common would leave nothing of a small gain
        less = loss.value(self.margins, y), (self._derivatives[0] * along).sum(axis=1)
        return np.array([u @ (loss.value(self.margins + t * along, y) - less[0] - t * less[1]) for t in steps])

    def moved(self, direction: Floats) -> LossOfSample:
        """Return the same at the point plus a direction (size,)."""
        return LossOfSample(self.sample, self.margins + self.sample.along(direction))


def _first(blocks: Iterable[Block], n_outputs: int) -> Iterator[Block]:
    """Yield the first rows that take no more than a sample may, one at least."""
    rows, left = MOST_ROWS, MOST_BYTES
    for block in blocks:
        each = max(_ENTRY_BYTES * block.features.nnz, block.features.nbytes_in_full) / max(block.n_rows, 1)
        fitting = max(int(left / (each + _OUTPUT_BYTES * n_outputs)), int(rows == MOST_ROWS))
        head = block.head(min(block.n_rows, rows, fitting))
        yield head
        rows, left = rows - head.n_rows, left - int(head.n_rows * (each + _OUTPUT_BYTES * n_outputs))
        if not rows or head.n_rows < block.n_rows:
            return


def _standardised(parts: Sequence[Features], scaling: Scaling) -> Features:
    """Join rows, in theta's coordinates."""
    if scaling.centred:
        arrays = [part.toarray(n_features=len(scaling.scale)) for part in parts]
        return DenseFeatures((np.concatenate(arrays) - scaling.mean) / scaling.scale)
    rows = [part.as_sparse().wide for part in parts]
    ends = np.cumsum([0, *(part.nnz for part in rows)])
    indptr = np.concatenate([[0], *(part.indptr[1:] + end for part, end in zip(rows, ends[:-1], strict=True))])
    indices = np.concatenate([part.indices for part in rows])
    values = np.concatenate([part.values for part in rows]) / scaling.scale[indices]
    return SparseFeatures(narrow_indptr(indptr), indices, values)


def _signs(size: int, number: int) -> Floats:
    """Return vector `number` of signs, (size,): the same in every release of numpy, as its random numbers are not."""
    from mr_ml.data.rowhash import mix  # most trainings have no use for it

    words = mix(np.arange(size, dtype=np.uint64) + (np.uint64(number + 1) << np.uint64(32)))
    return np.where(words >> np.uint64(63), 1.0, -1.0)
