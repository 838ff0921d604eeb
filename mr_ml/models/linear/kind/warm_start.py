"""The coefficients of an earlier model as those of another problem: the same function of a row, by names.

With m what the model takes off a feature and m' what the problem does, t and t' likewise of the target:

    sum_j w_j (x_j - m_j) + c + t  =  sum_j w_j (x_j - m'_j) + c' + t',   c' = c + t - t' + sum_j w_j (m'_j - m_j)

Features that no row has are left out with what was taken off them, so that they are where the model had their middle.
Where a column has one value the intercept takes it in: the objective is flat there, and a cold search ends with 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.errors import UsageError
from mr_ml.models.linear.kind.by_name import columns_of
from mr_ml.models.linear.kind.model import LinearModel
from mr_ml.models.linear.shift import Shift
from mr_ml.models.warm_start import Changed, WarmStart
from mr_ml.readers.labels import label_texts

if TYPE_CHECKING:
    from mr_ml.models.linear.kind.problem import LinearProblem

Floats = NDArray[np.float64]


def warm_start(problem: LinearProblem, model: LinearModel, moments: FeatureMoments) -> WarmStart:
    """Return where the search begins; raises as `mr_ml.models.base.Problem.warm_start`."""
    schema, rows, scaling = problem.dataset.schema, problem.objective.rows, problem.objective.scaling
    taken, signs = _outputs(problem, model)
    at = _places(columns_of(model, problem.dataset), problem.columns)
    occurs = moments.nonzero > 0
    known = at >= 0
    known[known] = occurs[at[known]]
    at = at[known]

    weights, constant = model.reading_coef[:, :-1], model.reading_coef[:, -1] + model.shift.target - rows.shift.target
    off = _taken_off(rows.shift, rows.n_features)[at] - _taken_off(model.shift, len(known))[known]
    kept = weights[:, known]
    constant = constant + kept @ off
    tells = (moments.deviation > 0) | ~np.bool_(scaling.intercept)
    kept = np.where(tells[at], kept, 0.0)
    mapped = np.zeros((len(model.reading_coef), rows.n_features + 1))
    mapped[:, at], mapped[:, -1] = kept, constant
    point = problem.start().reshape(rows.n_outputs, -1)
    for output, (source, sign) in enumerate(zip(taken, signs, strict=True)):
        if source >= 0:
            point[output] = scaling.from_raw(sign * mapped[source : source + 1])

    unknown = occurs & tells
    unknown[at[kept.any(axis=0)]] = False
    lost = np.flatnonzero(~known & weights.any(axis=0))
    theirs = label_texts(schema, rows.classes)
    return WarmStart(
        model=model.reference,
        point=point.ravel(),
        appeared=Changed.among(np.flatnonzero(unknown), lambda k: schema.name_of(moments.feature(k))),
        vanished=Changed.among(lost, lambda k: model.schema.name_of(model.feature(k))),
        new_labels=Changed.of([text for text in theirs if text not in model.label_texts]),
        old_labels=Changed.of([text for text in model.label_texts if text not in theirs]),
    )


def _outputs(problem: LinearProblem, model: LinearModel) -> tuple[list[int], list[float]]:
    """Return which of the model's outputs each of the problem's begins with, -1 for none, and its sign."""
    rows, dataset = problem.objective.rows, problem.dataset
    if model.loss != rows.loss:
        raise UsageError(
            f"`warm_start`: expected a model of the {rows.loss.name} loss, which is to be trained, found "
            f"{model.reference}, which is of the {model.loss.name} loss"
        )
    ours, theirs = model.label_texts, label_texts(dataset.schema, rows.classes)
    if rows.n_outputs == len(theirs) > 1:
        taken = [ours.index(text) if text in ours else -1 for text in theirs]
        if max(taken) >= 0:
            return taken, [1.0] * len(taken)
    elif ours == theirs and len(model.reading_coef) == rows.n_outputs:
        return list(range(rows.n_outputs)), [1.0] * rows.n_outputs
    elif rows.n_outputs == 1 and ours == theirs[::-1]:
        return [0], [-1.0]
    raise UsageError(
        f"`warm_start`: expected a model of the labels of {dataset.reference}, which are {theirs[:10]}, found "
        f"{model.reference}, whose labels are {ours[:10]}; train without it"
    )


def _places(columns: NDArray[np.int64], of: NDArray[np.int32] | None) -> NDArray[np.int64]:
    """Return where columns of the dataset are among those of the problem, -1 of those that are not; (n,)."""
    if of is None:
        return columns
    if not len(of):
        return np.full(len(columns), -1)
    places = np.searchsorted(of, columns).clip(max=len(of) - 1)
    return np.where(of[places] == columns, places, -1)


def _taken_off(shift: Shift, n_features: int) -> Floats:
    off = np.zeros(n_features)
    off[list(shift.ids)] = shift.by
    return off
