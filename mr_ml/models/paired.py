"""Two models on the same rows: the metrics of each, and how much they differ row by row.

With a row's weight u_i and the difference d_i = (metric of the one) - (metric of the other):

    mean            m = sum_i u_i d_i / sum_i u_i
    standard error  s, s^2 = n / (n - 1) sum_i u_i^2 (d_i - m)^2 / (sum_i u_i)^2
    n = (sum_i u_i)^2 / sum_i u_i^2, the effective number of rows (Kish 1965, sec. 11.7); of equal weights, the number

Both models meet the same rows, so what is hard about a row is hard for both and leaves the difference: a few thousand
rows show what two separate means would not. Rows count as drawn independently of each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The mean difference of a metric between two models, and how certain it is.

    Attributes
    ----------
    mean, standard_error
        Of the difference, by row weights; the error is infinite where fewer than two rows count.
    n_rows
        Rows of positive weight.
    effective_rows
        How many rows of equal weight tell as much.
    """

    mean: float
    standard_error: float
    n_rows: int
    effective_rows: float

    def half_width(self, confidence: float) -> float:
        """Return how far the true mean can be above `mean`, but for one case in 1 / (1 - confidence)."""
        from scipy.special import stdtrit

        if not self.effective_rows > 1:
            return math.inf
        return float(stdtrit(self.effective_rows - 1, confidence)) * self.standard_error
