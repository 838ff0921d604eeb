"""Whether splits are as large, and their labels as frequent, as chance makes them.

Every row goes its own way, so of k rows a split of share p gets a binomial number: k p, give or take sqrt(k p (1 - p)).
Rows that stay together in groups do not, and neither do rows of a regularity that the hash would have missed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from mr_ml.packing.plan import PackPlan

DEVIATIONS = 4.0
# Of a normal distribution, beyond so many standard deviations on either side.
_RARE = 6.3e-5
_SHOWN = 5


def warnings(plan: PackPlan, rows: Mapping[str, int], labels: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Sentences on what is off by more than chance.

    Parameters
    ----------
    rows
        By split.
    labels
        Number of rows by split and label; a split without any label may be missing.
    """
    starts = [0.0, *(end for _, end in plan.shares)]
    shares = {name: end - start for (name, end), start in zip(plan.shares, starts, strict=False)}
    if len(shares) == 1:
        return
    total = sum(rows.values())
    every: dict[str, int] = {}
    for counts in labels.values():
        for label, count in counts.items():
            every[label] = every.get(label, 0) + count
    n_tests = len(shares) * (1 + len(every))
    texts = [
        f"split {name} has {rows.get(name, 0)} of {total} rows, expected about {total * share:.0f}"
        for name, share in shares.items()
        if _is_rare(rows.get(name, 0), total, share, n_tests=n_tests)
    ]
    texts += [
        f"split {name} has {labels.get(name, {}).get(label, 0)} of {count} rows of label {label}, expected about "
        f"{count * share:.0f}"
        for label, count in every.items()
        for name, share in shares.items()
        if _is_rare(labels.get(name, {}).get(label, 0), count, share, n_tests=n_tests)
    ]
    if not texts:
        return
    reason = (
        "rows of a group stay together, so few or unequal groups do this: take a group column of more values, or other "
        "shares"
        if plan.by_group
        else "try another `seed`, and report it if that is no different"
    )
    yield from (f"{text}: {DEVIATIONS:g} standard deviations of chance or more" for text in texts[:_SHOWN])
    if len(texts) > _SHOWN:
        yield f"and {len(texts) - _SHOWN} more such numbers"
    yield f"the splits are not alike; {reason}"


def _is_rare(k: int, n: int, share: float, *, n_tests: int) -> bool:
    """Whether that many of n is beyond chance, when there are so many numbers to look at."""
    if abs(k - n * share) < DEVIATIONS * math.sqrt(n * share * (1 - share)):
        return False
    # few rows of a small share are less normal; seldom needed, and slow to import
    from scipy.special import betainc

    tail = betainc(k, n - k + 1, share) if k > n * share else betainc(n - k, k + 1, 1 - share)
    return bool(tail < _RARE / 2 / n_tests) and k != n * share
