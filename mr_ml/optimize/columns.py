"""Which columns of the rows are sums of others: directions along which no row's margin changes.

With Z the rows of positive weight in the optimizer's coordinates, intercept included, each times (u_i l''_i)^1/2, and G
= Z'Z the Hessian of the loss, columns are taken in order. Column c with b the least squares solution in the columns S
kept so far,

    r = |Z_c - Z_S b|,        d = e_c - sum_j b_j e_j

is kept unless r is no more than what rounding leaves of nothing: by the sums of G, by those of a factor of Z, which has
all of its digits, and by the values of the columns themselves, x_j, which are rounded as they were read,

    r^2 <= C eps (sum_j |d_j| |Z_j|)^2 + (C' eps sum_j |d_j| |(u l'')^1/2 x_j|)^2

the first term of G alone. So columns that only come near to a sum of others, as powers of a number do, are told from
those that are one, the better the more digits there are: of G alone those that are nearer than about 1e-7 are taken for
sums, as in R's `lm` (Golub & Van Loan 2013, sec. 5.5.7; Higham 2002, sec. 10.3).

Where a row has no curvature G has nothing of it, so that what is found at one point may be seen to be nothing at
another; what G has been seen to determine is determined.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.sums.blas import one_thread

Floats = NDArray[np.float64]

_EPS = float(np.finfo(float).eps)
# C, and C' for each of the square root of the number of columns.
_OF_SUMS, _OF_VALUES = 64.0, 8.0
# Of a column of length 1: what is left of one that is no sum of others for certain.
_FIRM = 1e-9
# What columns are left out for, as shares of the one that a sum has most of.
_SHARES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
# Columns that are eliminated together.
_PANEL = 32


@dataclass(frozen=True, eq=False, kw_only=True)
class Columns:
    """What a pass says of how columns go together.

    Attributes
    ----------
    hessian
        (n, n) of the objective, n = n_outputs n_columns.
    loss_diagonal
        (n,) of the loss alone.
    means
        (n_columns,) of values as they are summed up, in multiples of the scale; they are taken off afterwards.
    shifts
        (n_columns,) the same of all that is taken off values as they were read.
    rows
        (m, n_columns) with the Gram matrix of the loss, of one output; None where only the Hessian is known.
    bend
        The mean second derivative.
    shows_all
        Whether every row has curvature here, so that what has none is nothing.
    """

    hessian: Floats
    loss_diagonal: Floats
    means: Floats
    shifts: Floats
    rows: Floats | None
    bend: float
    shows_all: bool

    def flat(self) -> Floats:
        """Return the directions d of columns that are sums of those before them, (k, n_columns)."""
        n = len(self.means)
        gram, lengths = self._gram(), self._lengths
        some = np.flatnonzero(self._some)
        found = np.zeros((n, n))
        n_found = 0
        if not len(some) or not np.isfinite(gram).all():
            return found[:0]
        unit = 1 / lengths[some]
        with one_thread():
            scaled = gram[np.ix_(some, some)] * unit * unit[:, None]
            if _is_firm(scaled):
                return found[:0]
            factor: _OfGram | _OfRows = _OfGram(scaled) if self.rows is None else _OfRows(self.rows[:, some] * unit)
            for c in range(len(some)):
                left = factor.left(c)
                if left > _FIRM:
                    factor.keep(c)
                    continue
                direction = np.zeros(n)
                direction[some[factor.kept]] = -factor.solution(c)
                direction[some] *= unit * lengths[some[c]]
                direction[some[c]] = 1.0
                if left * lengths[some[c]] ** 2 > self._rounding(direction):
                    factor.keep(c)
                else:
                    found[n_found], n_found = self._short(direction, some[c], gram), n_found + 1
        return found[:n_found].copy()

    def _short(self, direction: Floats, c: int, gram: Floats) -> Floats:
        """Return the direction by fewer columns, if these are as good: what is left of others may be rounding."""
        sizes = np.abs(direction) * self._lengths
        sizes[c] = 0
        for share in _SHARES:
            at = np.flatnonzero(sizes > share * sizes.max())
            if len(at) == np.count_nonzero(sizes):
                break
            shorter = np.zeros_like(direction)
            shorter[c] = 1.0
            try:
                shorter[at] = -self._solved(at, c, gram)
            except np.linalg.LinAlgError:
                continue
            if self._left(shorter, gram) <= self._rounding(shorter):
                return shorter
        return direction

    def _solved(self, at: NDArray[np.int64], c: int, gram: Floats) -> Floats:
        """Return the least squares solution of column c in some others."""
        unit = 1 / self._lengths[at]
        if self.rows is not None:
            return np.asarray(unit * np.linalg.lstsq(self.rows[:, at] * unit, self.rows[:, c], rcond=None)[0])
        return np.asarray(unit * np.linalg.solve(gram[np.ix_(at, at)] * unit * unit[:, None], unit * gram[at, c]))

    def _left(self, direction: Floats, gram: Floats) -> float:
        """Return r^2."""
        if self.rows is not None:
            along = self.rows @ direction
            return float(along @ along)
        return float(direction @ (gram @ direction))

    def after(self, flat: Floats | None) -> Floats | None:
        """Return what is known after this pass of the directions (k, n_columns) that were flat before it, or None."""
        if flat is None:
            return self.flat() if self.shows_all else None
        if not len(flat):
            return flat
        if self.rows is not None:
            # finer than where they come from
            return self.flat()
        gram = self._gram()
        if not np.isfinite(gram).all():
            return flat
        still = [self._left(direction, gram) <= self._rounding(direction) for direction in flat]
        return np.asarray(flat[np.array(still, bool)])

    @property
    def independent(self) -> bool:
        """Whether no column is a sum of others, nor nothing but a number: nor are they with more rows."""
        return bool(self._some.all() and np.isfinite(self._gram()).all() and not len(self.flat()))

    @property
    def _n_outputs(self) -> int:
        return len(self.hessian) // len(self.means)

    def _gram(self) -> Floats:
        """Return G, of all outputs together."""
        n = len(self.means)
        own = self.hessian.copy()
        own[np.diag_indices_from(own)] = self.loss_diagonal
        if self._n_outputs == 1:
            return own
        return np.asarray(np.einsum("kikj->ij", own.reshape(self._n_outputs, n, self._n_outputs, n)))

    @cached_property
    def _lengths(self) -> Floats:
        lengths = np.sqrt(np.maximum(self.loss_diagonal, 0))
        return np.asarray(np.linalg.norm(lengths.reshape(self._n_outputs, -1), axis=0))

    @property
    def _some(self) -> NDArray[np.bool_]:
        """Which columns are more than rounding of what was taken off them, (n_columns,)."""
        lengths = self._lengths
        rounding = _OF_VALUES * _EPS * np.sqrt(self.bend) * np.abs(self.shifts)
        if self.rows is None:
            rounding = np.hypot(rounding, np.sqrt(_OF_SUMS * _EPS * self.bend) * np.abs(self.means))
        return np.asarray((lengths > rounding) & (lengths >= np.sqrt(np.finfo(float).tiny)))

    def _rounding(self, direction: Floats) -> float:
        """Return the r^2 that may be nothing."""
        size, root = np.abs(direction), np.sqrt(self.bend)
        of_values = size @ np.hypot(self._lengths, root * self.shifts)
        found = (_OF_VALUES * np.sqrt(max(len(size), 8)) * _EPS * of_values) ** 2
        if self.rows is None:
            found += _OF_SUMS * _EPS * (size @ np.hypot(self._lengths, root * self.means)) ** 2
        return float(found)


def _is_firm(scaled: Floats) -> bool:
    """Whether no column of length 1 is near to a sum of those before it."""
    try:
        factor = np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:
        return False
    return bool((np.diagonal(factor) ** 2 > _FIRM).all())


class _OfGram:
    """Cholesky's factor of a matrix with ones on its diagonal, of the columns that are kept."""

    def __init__(self, matrix: Floats) -> None:
        # below the diagonal of columns that were kept their factor; elsewhere what they leave
        self._left, self._at = matrix, 0
        self._done = list[int]()
        self.kept = list[int]()

    def left(self, c: int) -> float:
        """Return r^2 of column c, the next one."""
        if c >= self._at + _PANEL:
            panel = self._left[c:, self._done]
            self._left[c:, c:] -= panel @ panel.T
            self._at, self._done = c, []
        if self._done:
            self._left[c:, c] -= self._left[c:, self._done] @ self._left[c, self._done]
        return float(self._left[c, c])

    def keep(self, c: int) -> None:
        """Keep the column whose r^2 was asked for last."""
        self._left[c:, c] /= np.sqrt(max(self._left[c, c], _EPS**2))
        self._done.append(c)
        self.kept.append(c)

    def solution(self, c: int) -> Floats:
        """Return b of column c, (n_kept,)."""
        lower = self._left[np.ix_(self.kept, self.kept)]
        return _substituted(lower.T, self._left[c, self.kept])


class _OfRows:
    """The same of rows, by Gram and Schmidt, twice (Giraud et al. 2005): nothing is squared."""

    def __init__(self, rows: Floats) -> None:
        self._rows = rows
        self._q = np.zeros((min(rows.shape), len(rows)))
        self._r = np.zeros((min(rows.shape), rows.shape[1]))
        self._rest = np.zeros(len(rows))
        self.kept = list[int]()

    def left(self, c: int) -> float:
        """Return r^2 of column c."""
        k = len(self.kept)
        q, rest = self._q[:k], self._rows[:, c].copy()
        for _ in range(2):
            along = q @ rest
            rest -= along @ q
            self._r[:k, c] += along
        self._rest = rest
        return float(rest @ rest)

    def keep(self, c: int) -> None:
        """Keep the column whose r^2 was asked for last."""
        k, length = len(self.kept), np.linalg.norm(self._rest)
        if k < len(self._q):
            self._q[k], self._r[k, c] = self._rest / length, length
            self.kept.append(c)

    def solution(self, c: int) -> Floats:
        """Return b of column c, (n_kept,)."""
        k = len(self.kept)
        return _substituted(self._r[:k][:, self.kept], self._r[:k, c])


def _substituted(upper: Floats, b: Floats) -> Floats:
    """Solve R x = b, of an upper triangular R."""
    x = np.zeros(len(b))
    for k in reversed(range(len(b))):
        x[k] = (b[k] - upper[k, k + 1 :] @ x[k + 1 :]) / upper[k, k]
    return x
