"""An earlier linear model as a Gaussian prior of coefficients, by features' names.

The likelihood of N rows is exp(-W L / phi), L the mean loss and W the sum of weights. A coefficient that an earlier
likelihood knows to be m with standard error s adds (w - m)^2 / (2 s^2) to minus its logarithm, and so to the mean loss

    1/2 p (w - m)^2,   p = phi / (W s^2)

Correlations of coefficients are left out: each has a prior of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mr_ml.data.stored import shown
from mr_ml.errors import UsageError
from mr_ml.models.linear.kind.by_name import columns_of
from mr_ml.models.linear.kind.model import LinearModel
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.models.linear.losses import loss_from_text
from mr_ml.models.parameters import CoefficientTests
from mr_ml.models.prior import Prior
from mr_ml.readers.labels import label_texts

Floats = NDArray[np.float64]

_NAMED = 5
_BY_HAND = "say `prior_precision`"


def with_prior(spec: LinearSpec, prior: Prior) -> LinearSpec:
    """Return the spec with the rules of single features that an earlier model makes; those that it has go before.

    Raises
    ------
    UsageError
        If the model is of another loss or other labels or of several classes, or says not how sure it is.
    """
    model, dataset = prior.model, prior.dataset
    assert isinstance(model, LinearModel)
    if model.loss != loss_from_text(spec.loss):
        raise UsageError(
            f"`prior`: expected a model of the {spec.loss} loss, found {model.reference}: {model.summary()}"
        )
    if len(model.coef) > 1:
        raise UsageError(
            f"`prior`: expected a model with one coefficient a feature, found {model.reference} of "
            f"{len(model.coef)} classes; what is said of a feature goes for all classes alike"
        )
    theirs = label_texts(dataset.schema, dataset.schema.codes)
    if model.label_texts and model.label_texts != theirs:
        raise UsageError(
            f"`prior`: expected a model of the labels of {dataset.reference}, which are {theirs[:10]}, found "
            f"{model.reference}, whose labels are {model.label_texts[:10]}"
        )
    if spec.penalty_space == "scaled":
        raise UsageError("`prior`: expected `penalty_space` raw: what a model knows is of features as they are")
    columns = columns_of(model, dataset)
    known = np.flatnonzero(columns >= 0)
    precisions = _precisions(spec, prior, known) if prior.precision is None else np.full(len(known), prior.precision)
    rules: dict[str, Mapping[str, float]] = {
        dataset.schema.name_of(int(columns[j])): {"prior_mean": float(model.coef[0, j]), "prior_precision": float(p)}
        for j, p in zip(known.tolist(), precisions, strict=True)
    }
    if not rules:
        raise UsageError(f"`prior`: expected features of {dataset.reference}, found none of them in {model.reference}")
    own = spec.per_feature or {}
    made = replace(spec, per_feature={**rules, **{name: {**rules.get(name, {}), **said} for name, said in own.items()}})
    try:
        made.check_stored()
    except ValueError as error:
        raise UsageError(f"`prior`: {error}") from None
    return made


def _precisions(spec: LinearSpec, prior: Prior, known: NDArray[np.int64]) -> Floats:
    """Return the precision of each of some of the model's coefficients, by its standard error."""
    model, inference = prior.model, prior.inference
    assert isinstance(model, LinearModel)
    if inference is None:
        raise UsageError(
            f"`prior`: expected a model whose standard errors are kept, which say how sure it is, found "
            f"{model.reference}: find them by `mr-ml models infer {model.reference}`, or {_BY_HAND}"
        )
    dispersion = inference.statistics.dispersion
    if inference.covariance is None or dispersion is None:
        raise UsageError(f"`prior`: {model.reference} has no standard errors of a likelihood; {_BY_HAND}")
    tests, (output, *_) = CoefficientTests.of(inference), inference.outputs
    names = [model.schema.name_of(model.feature(j)) for j in known.tolist()]
    places = [tests.places.get((output, name), -1) for name in names]
    errors = np.append(inference.std_errors("model"), np.nan)[places]
    lacking = [name for name, error in zip(names, errors.tolist(), strict=True) if not error > 0]
    if lacking:
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        raise UsageError(
            f"`prior`: {model.reference} has no standard errors of {', '.join(map(shown, lacking[:_NAMED]))}{more} "
            f"alone (those of categories are of differences); {_BY_HAND}"
        )
    return np.asarray(dispersion / (_weight_sum(spec, prior) * errors**2))


def _weight_sum(spec: LinearSpec, prior: Prior) -> float:
    """Return the sum of the weights of the rows that the mean loss is over."""
    dataset, split = prior.dataset, spec.split
    if spec.class_weights is not None:
        raise UsageError(f"`prior`: with `class_weights` standard errors say not how much rows count; {_BY_HAND}")
    if not (spec.row_weights and dataset.schema.has_weights):
        return float(dataset.n_rows(split))
    sums = dataset.weights.by_label.get(split, {}) if dataset.weights else {}
    if not sums or dataset.label_counts[split].keys() - sums.keys():
        raise UsageError(f"`prior`: the sum of the row weights of {dataset.reference} was not noted; {_BY_HAND}")
    return float(np.add.reduce([sums[label] for label in sorted(sums)]))
