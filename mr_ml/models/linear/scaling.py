"""Standardisation folded into the coefficients; the data is never rewritten.

Optimizers work on theta = (v, c), flat, for each output k:

    v_j = w_j s_j          c = b + sum_j w_j m_j        so that  x . w + b = sum_j v_j (x_j - m_j) / s_j + c

s_j is the standard deviation of feature j, its root mean square where there is no intercept to take a mean in (1 where
that is zero); m_j what is left of its mean after the shift, for dense data with an intercept, else 0. With gradient
(g, g_b) and Hessian diagonal (h, h_b), cross terms q_j = sum_i l''_i x_ij in raw space:

    df/dv_j = (g_j - m_j g_b) / s_j        d2f/dv_j2 = (h_j - 2 m_j q_j + m_j^2 h_b) / s_j^2        c: g_b, h_b
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scaling:
    """mean m, scale s and the standard deviation of a scaled penalty (1 where constant), (n_features,) each."""

    mean: Floats
    scale: Floats
    intercept: bool
    deviation: Floats

    @classmethod
    def of(
        cls, *, mean: Floats, deviation: Floats, intercept: bool, centre: bool, penalised: Floats | None = None
    ) -> Scaling:
        """Make the scaling of features that have these means and standard deviations as they are read.

        `penalised` are the standard deviations of a scaled penalty where it has others.
        """
        # zeros that are never written to take no memory
        kept = mean if centre and intercept else np.zeros(len(mean))
        scale = deviation if intercept else np.hypot(deviation, mean)
        return cls(kept, _or_one(scale), intercept, _or_one(deviation if penalised is None else penalised))

    @cached_property
    def centred(self) -> bool:
        """Whether some mean is taken off."""
        return bool(self.mean.any())

    def to_raw(self, theta: Floats, n_outputs: int) -> Floats:
        """Flat theta -> coef (n_outputs, n_features + 1), intercept last (0 without one)."""
        by_output = theta.reshape(n_outputs, -1)
        v = by_output[:, : len(self.scale)]
        raw = np.empty((n_outputs, len(self.scale) + 1))
        w = np.divide(v, self.scale, out=raw[:, :-1])
        raw[:, -1] = by_output[:, -1] - (w @ self.mean if self.centred else 0) if self.intercept else 0
        return raw

    def from_raw(self, coef: Floats) -> Floats:
        """Undo `to_raw`, up to rounding."""
        w, b = coef[:, :-1], coef[:, -1]
        v = w * self.scale
        return (np.concatenate([v, (b + w @ self.mean)[:, None]], axis=1) if self.intercept else v).ravel()

    def gradient(self, raw: Floats) -> Floats:
        """(n_outputs, n_features + 1) in raw space -> flat in theta."""
        g, g_b = raw[:, :-1], raw[:, -1:]
        return self._theta(g - self.mean * g_b if self.centred else g, self.scale, g_b)

    def curvature(self, raw: Floats, cross: Floats | None) -> Floats:
        """Diagonal of the Hessian, raw -> theta; `cross`, in the same shape, is needed if centred."""
        h, h_b = raw[:, :-1], raw[:, -1:]
        if self.centred:
            assert cross is not None
            # the difference cannot be negative but for rounding; a floor keeps the diagonal usable
            h = np.maximum(h - 2 * self.mean * cross[:, :-1] + self.mean**2 * h_b, 1e-12 * h)
        return self._theta(h, self.scale**2, h_b)

    def coupling(self, cross: Floats) -> Floats:
        """Cross terms (n_outputs, n_features + 1), raw -> theta without the last column, of what is not centred."""
        # whatever the order of the sums in memory, products with it add up in one order
        return np.divide(cross[:, :-1], self.scale, out=np.empty((len(cross), len(self.scale))))

    def _theta(self, of_features: Floats, divisor: Floats, of_intercept: Floats) -> Floats:
        """Flat in theta: what features have, divided, and what the intercept has, if there is one."""
        whole = np.empty((len(of_features), len(self.scale) + self.intercept))
        np.divide(of_features, divisor, out=whole[:, : len(self.scale)])
        if self.intercept:
            whole[:, -1:] = of_intercept
        return whole.ravel()

    def hessian(self, raw: Floats, n_outputs: int) -> Floats:
        """(n, n) in raw space, n = n_outputs (n_features + 1), -> in theta: J' H J with coef = J theta."""
        d = len(self.scale)
        h = raw.reshape(n_outputs, d + 1, n_outputs, d + 1)
        g = h[:, :d] - self.mean[:, None, None] * h[:, d:]
        g = np.concatenate([g / self.scale[:, None, None], h[:, d:]], axis=1)
        inner = (g[..., :d] - g[..., d:] * self.mean) / self.scale
        whole = np.concatenate([inner, g[..., d:]], axis=3)
        if not self.intercept:
            whole = whole[:, :d, :, :d]
        size = n_outputs * whole.shape[1]
        return whole.reshape(size, size)

    def factor(self, raw: Floats) -> Floats:
        """R of rows (1, x, y) -> rows of (x, 1, y) in theta, (m, size + 1), of the same Gram matrix; of one output.

        The intercept's column comes first in R: what centring takes off the others is in its one row, and nothing
        cancels in all others.
        """
        of_intercept, of_features, of_target = raw[:, :1], raw[:, 1:-1], raw[:, -1:]
        if self.centred:
            of_features = of_features - of_intercept * self.mean
        parts = [of_features / self.scale, *([of_intercept] if self.intercept else []), of_target]
        return np.concatenate(parts, axis=1)


def _or_one(values: Floats) -> Floats:
    return np.where(values > 0, values, 1.0)
