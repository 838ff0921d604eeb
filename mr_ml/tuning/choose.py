"""Which candidate is chosen.

mean            of the metric over the K folds, each fold counting once
standard error  s / K^1/2, s^2 = sum_k (m_k - mean)^2 / (K - 1)
one-se          the most penalised candidate whose mean is within a standard error, that of the best, of the best
                mean (Breiman, Friedman, Olshen & Stone, Classification and Regression Trees, 1984, sec. 3.4.3)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mr_ml.catalog.tuning import Tried
from mr_ml.errors import NoModelError


def mean_and_error(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Return mean and standard error; no mean if a fold has none, no error of one fold."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known or len(known) < len(values):
        return None, None
    mean = math.fsum(known) / len(known)
    if len(known) == 1:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1)
    return mean, math.sqrt(variance / len(known))


def chosen(tried: Sequence[Tried], *, higher: bool, rule: str, strictness: Callable[[int], tuple[float, ...]]) -> int:
    """Return the number of the candidate that a rule chooses.

    Parameters
    ----------
    higher
        Whether more is better.
    strictness
        How much each candidate is penalised: larger for more.

    Raises
    ------
    NoModelError
        If none has a mean.
    """
    means = {k: one.mean for k, one in enumerate(tried) if one.mean is not None and one.dropped is None}
    if not means:
        raise NoModelError("no candidate has finite predictions of the rows that judge it; give larger penalties")
    losses = {k: -mean if higher else mean for k, mean in means.items()}
    best = min(losses, key=lambda k: (losses[k], k))
    if rule == "best":
        return best
    within = losses[best] + (tried[best].standard_error or 0.0)
    eligible = [k for k, loss in losses.items() if loss <= within]
    return min(eligible, key=lambda k: (tuple(-x for x in strictness(k)), losses[k], k))
