"""Weights of classes in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mr_ml.catalog.dataset import Dataset
from mr_ml.errors import UsageError
from mr_ml.readers.labels import label_texts

Floats = NDArray[np.float64]

_FURTHEST = 2.0**52


def class_weights(
    given: str | None, dataset: Dataset, classes: tuple[float, ...], *, split: str, row_weights: bool
) -> tuple[float, ...] | None:
    """One factor per class as `class_weights` says, up to a power of two that they share; None for none.

    balanced: n / (K n_y), n_y being what the rows of class y weigh in the split and n what all of them do, or their
    numbers where `row_weights` do not count.

    Raises
    ------
    UsageError
        If that is not what these classes can have.
    """
    if given is None:
        return None
    if not classes:
        raise UsageError("`class_weights`: this loss has no classes")
    names = label_texts(dataset.schema, classes)
    if given == "balanced":
        sums = _near_one(_label_sums(dataset, names, split=split, row_weights=row_weights))
        if not sums.all():
            missing = [name for name, total in zip(names, sums, strict=True) if not total]
            raise UsageError(f"`class_weights` balanced: split {split!r} has no rows of {missing}, or of weight 0")
        return tuple((sums.sum() / (len(sums) * sums)).tolist())
    named = _factors(given, names)
    factors = np.array([named.get(name, 1.0) for name in names])
    counted = factors[factors > 0]
    if 0 < len(counted) < len(factors):
        nothing = [name for name, factor in zip(names, factors, strict=True) if not factor]
        raise UsageError(
            f"`class_weights`: expected factors above 0, found 0 for {nothing[:5]}: nothing would say where such a "
            "class is, and no penalty keeps its intercept from running away; drop its rows, or give it a small factor"
        )
    if len(counted) and counted.max() > _FURTHEST * counted.min():
        raise UsageError(
            f"`class_weights`: expected factors no further apart than {_FURTHEST:.0e}, found {counted.min():g} and "
            f"{counted.max():g}: the rows of one class would vanish in the rounding of the others'"
        )
    return tuple(_near_one(factors).tolist())


def _factors(given: str, names: Sequence[str]) -> dict[str, float]:
    factors: dict[str, float] = {}
    for item in given.split(","):
        name, _, factor = item.rpartition("=")
        try:
            factors[name.strip()] = float(factor)
        except ValueError:
            factors[name.strip()] = np.nan
    unknown = sorted(set(factors) - set(names))
    if unknown or not all(np.isfinite(f) and f >= 0 for f in factors.values()):
        raise UsageError(
            f"`class_weights`: expected 'balanced' or LABEL=FACTOR,... with labels of {list(names[:20])} and factors "
            f">= 0, found {given!r}"
        )
    return factors


def _near_one(factors: Floats) -> Floats:
    """Divided by a power of two, which changes no bit of a mean and keeps sums in the range of numbers."""
    return np.asarray(np.ldexp(factors, -np.frexp(factors.max())[1]))


def _label_sums(dataset: Dataset, names: Sequence[str], *, split: str, row_weights: bool) -> Floats:
    """Return what the rows of each label weigh."""
    if not row_weights or not dataset.schema.has_weights:
        counts = dataset.label_counts[split]
        return np.array([counts.get(name, 0) for name in names], float)
    sums = dataset.weights.by_label.get(split, {}) if dataset.weights else {}
    lacking = [name for name in names if name not in sums]
    if lacking:
        raise UsageError(
            f"`class_weights` balanced: expected sums of row weights in {dataset.reference}, found none of {lacking}: "
            "an earlier mr-ml packed it, or they are larger than any number; pack it again, or say LABEL=FACTOR,..."
        )
    return np.array([sums[name] for name in names])
