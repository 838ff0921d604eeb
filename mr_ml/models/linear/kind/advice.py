"""Warnings about a trained model for its user, besides why training stopped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.models.linear.objective import Objective
from mr_ml.optimize.base import Result, Stop
from mr_ml.readers.labels import label_texts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# As many features or labels as a warning names.
_NAMED = 5
# Relative spread of what is taken for one number, and of what the mean's rounding leaves of one.
_ALMOST = 1e-4
_ROUNDED = 1e-11
# A label of fewer rows than so many, and of less than that share of them, is rare.
_FEW_ROWS, _RARE = 10, 0.01
_ONE_OF_MANY = ", these are one optimum of many, and what a single one of them says is chance"
# A row that is ahead by so much has next to no slope left.
FAR_AHEAD = 12.0


def warnings(
    objective: Objective, dataset: Dataset, split: str, result: Result, telling: Ints, almost: Ints,
    features: NDArray[np.int32] | None,
) -> Iterator[str]:  # fmt: skip
    """Say what a user of the model should know of it, besides why training stopped.

    `telling` are features that are known to tell a class without fail, `almost` those of `almost_indicators`; they
    count, as those of the objective do, within `features` where these are given.
    """

    def name_of(j: int) -> str:
        return dataset.schema.name_of(j if features is None else int(features[j]))

    def strongest(direction: Floats) -> str:
        return ", ".join([name_of(j) for j in _strongest(objective, direction)]) or "the intercept"

    lacking = sorted(dataset.label_counts[split].keys() - set(label_texts(dataset.schema, objective.rows.classes)))
    if objective.rows.classes and lacking:
        yield f"no row of split {split!r} has the label {', '.join(lacking[:_NAMED])}, of which the model knows nothing"
    if result.stop is Stop.SEPARABLE:
        assert result.separation is not None
        whole = result.separation.min_gap > 0
        by = ", ".join([name_of(j) for j in telling[:_NAMED].tolist()])
        more = f" and {len(telling) - _NAMED} more features" if len(telling) > _NAMED else ""
        yield objective.rows.loss.label_domain.apart(
            f"{by or strongest(result.point if whole else result.direction)}{more}",
            whole=whole, margin=-result.separation.minus_max_gap,
        )  # fmt: skip
    elif result.stop.converged and objective.may_separate and Stop.SEPARABLE not in result.rules_out:
        ahead = _ahead(result)
        if ahead > FAR_AHEAD:
            yield (
                f"some rows have a margin of {ahead:.3g}, at which they have next to no slope: no feature alone tells "
                "them apart without fail, but whether several together do, so that there is no finite optimum, is not "
                "known; --solver newton finds out where its Hessian has room, and with --l2 there is no such question"
            )
    elif result.stop is Stop.PASSES and objective.may_separate and _ahead(result) > FAR_AHEAD:
        yield (
            f"some rows have a margin of {_ahead(result):.3g}, at which they have next to no slope: if classes can be "
            "separated there is no finite optimum, and no number of passes reaches it; with --l2 there is one"
        )
    if result.stop is Stop.FLAT and len(almost):
        names = ", ".join([name_of(j) for j in almost[:_NAMED].tolist()])
        yield (
            f"{names}: absent, or almost always the same number; where another feature tells which, what is left is "
            "too little to be seen. Take that number off before packing"
        )
    elif result.stop is Stop.FLAT:
        yield f"not determined are combinations of {strongest(result.direction)}"
    n_rows, per_output = dataset.n_rows(split), objective.size // objective.rows.n_outputs
    if objective.penalty.is_zero and per_output > n_rows:
        yield (
            f"{per_output} coefficients are not determined by {n_rows} rows: others would fit as well"
            f"{_ONE_OF_MANY if result.stop.converged else ''}; give --l2"
        )


def unweighted_deviations(spec: LinearSpec, dataset: Dataset, moments: FeatureMoments) -> tuple[str, ...]:
    """Say what to know of a penalty on scaled features where packing did not note deviations by weight."""
    has_weights = dataset.schema.has_weights
    if not (spec.weighs_deviations and has_weights and moments.weighted_variance is None):
        return ()
    return (
        f"the standard deviations that the penalty refers to count each row of {dataset.reference} once, whatever it "
        "weighs, because an earlier mr-ml packed it; pack it again to have them weighted",
    )


def rare_labels(dataset: Dataset, split: str, codes: tuple[float, ...]) -> Iterator[str]:
    """Say which classes have so few rows that little is known of them."""
    counts, n_rows = dataset.label_counts[split], dataset.n_rows(split)
    texts = label_texts(dataset.schema, codes)
    rare = [text for text in texts if counts.get(text, 0) < min(_FEW_ROWS, _RARE * n_rows)]
    if rare:
        told = ", ".join(f"{text} ({counts.get(text, 0)})" for text in rare[:_NAMED])
        more = f" and {len(rare) - _NAMED} more labels" if len(rare) > _NAMED else ""
        yield (
            f"few of the {n_rows} rows have the label {told}{more}: coefficients follow these rows, and probabilities "
            "of such labels are not to be relied on"
        )


def constant_columns(spec: LinearSpec, dataset: Dataset, moments: FeatureMoments) -> Iterator[str]:
    """Say which features are one number in all rows of the split.

    Not of categories and hashes, of which a split may well lack some, nor of features that have numbers only and that
    no row has. Without an intercept one such feature stands in for it.
    """
    schema = dataset.schema
    one_number = moments.minimum == moments.maximum
    some = one_number & (moments.nonzero > 0)
    if not spec.intercept and some.sum() == 1:
        some[:] = False
    if schema.feature_names is not None:
        none = one_number & (moments.nonzero == 0)
        held = np.arange(moments.n_features) if moments.features is None else moments.features
        for features in (*schema.categories.values(), *schema.hashes):
            first, last = np.searchsorted(held, [features.start, features.stop]).tolist()
            none[first:last] = False
        some |= none
    found = np.flatnonzero(some)
    if len(found):
        named = ", ".join(schema.name_of(moments.feature(int(k))) for k in found[:_NAMED])
        more = f" and {len(found) - _NAMED} more features" if len(found) > _NAMED else ""
        yield (
            f"{named}{more}: one number in all rows, so that nothing is known of what another number does; drop them, "
            "or have a look at where they come from"
        )


def almost_indicators(moments: FeatureMoments, objective: Objective) -> Ints:
    """Return the features that are zero in some rows and almost, but not quite, one number in all others; ascending.

    Beside a feature that tells these rows apart, what such a one adds has the curvature of the square of its relative
    spread there, unless a penalty adds to it. A share p of rows that are not zero gives the mean p m, and the largest
    value is m (1 + spread).
    """
    some = (moments.nonzero > 0) & (moments.nonzero < moments.count)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = moments.mean * (moments.count / moments.nonzero)
        furthest = np.where(middle > 0, moments.maximum, moments.minimum)
        spread = np.abs(furthest / middle - 1)
    kept = objective.penalty.keeps(objective.scaling, slightly=_ALMOST**2)
    return np.flatnonzero(some & (spread > _ROUNDED) & (spread < _ALMOST) & ~kept)


def _ahead(result: Result) -> float:
    """Return the largest margin of a row."""
    return 0.0 if result.separation is None else -result.separation.minus_max_gap


def _strongest(objective: Objective, direction: Floats) -> list[int]:
    """Return the features that change margins most along a direction."""
    n_features = objective.rows.n_features
    size = np.abs(direction.reshape(objective.rows.n_outputs, -1)[:, :n_features]).max(axis=0)
    first = np.argsort(-size, kind="stable")[:_NAMED]
    return [int(j) for j in first if size[j] >= 0.01 * size[first[0]]]
