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
from mr_ml.models.linear.kind.earlier import Earlier
from mr_ml.models.linear.shift import Shift
from mr_ml.models.warm_start import Changed, WarmStart
from mr_ml.readers.labels import label_texts
from mr_ml.readers.rows import listed

if TYPE_CHECKING:
    from mr_ml.models.linear.kind.problem import LinearProblem

Floats = NDArray[np.float64]


def warm_start(problem: LinearProblem, earlier: Earlier, moments: FeatureMoments) -> WarmStart:
    """Return where the search begins; raises as `mr_ml.models.problem.Problem.warm_start`."""
    schema, rows, scaling = problem.dataset.schema, problem.objective.rows, problem.objective.scaling
    taken, signs = _outputs(problem, earlier)
    n_known = int((earlier.columns >= 0).sum())
    if not n_known and len(earlier.columns):
        some = [earlier.name_of(k) for k in range(min(len(earlier.columns), 5))]
        raise UsageError(
            f"`{earlier.asked_by}`: expected features of {problem.dataset.reference}, such as "
            f"{listed([schema.name_of(k) for k in range(min(schema.n_features, 5))])}, found none of them among those "
            f"of {earlier.title}, such as {listed(some)}"
        )
    at = _places(earlier.columns, problem.columns)
    occurs = moments.nonzero > 0
    known = at >= 0
    known[known] = occurs[at[known]]
    at = at[known]

    weights, constant = earlier.weights, earlier.intercepts - rows.shift.target
    off = _taken_off(rows.shift, rows.n_features)[at] - earlier.centres[known]
    kept = weights[:, known]
    constant = constant + kept @ off
    tells = (moments.deviation > 0) | ~np.bool_(scaling.intercept)
    kept = np.where(tells[at], kept, 0.0)
    mapped = np.zeros((len(weights), rows.n_features + 1))
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
        model=earlier.title,
        point=point.ravel(),
        n_known=n_known,
        n_features=len(earlier.columns),
        appeared=Changed.among(np.flatnonzero(unknown), lambda k: schema.name_of(moments.feature(k))),
        vanished=Changed.among(lost, earlier.name_of),
        new_labels=Changed.of([text for text in theirs if text not in earlier.labels]),
        old_labels=Changed.of([text for text in earlier.labels if text not in theirs]),
    )


def _outputs(problem: LinearProblem, earlier: Earlier) -> tuple[list[int], list[float]]:
    """Return which of the model's outputs each of the problem's begins with, -1 for none, and its sign."""
    rows, dataset = problem.objective.rows, problem.dataset
    ours, theirs = list(earlier.labels), label_texts(dataset.schema, rows.classes)
    if rows.n_outputs == len(theirs) > 1:
        taken = [ours.index(text) if text in ours else -1 for text in theirs]
        if max(taken) >= 0:
            return taken, [1.0] * len(taken)
    elif ours == theirs and len(earlier.weights) == rows.n_outputs:
        return list(range(rows.n_outputs)), [1.0] * rows.n_outputs
    elif rows.n_outputs == 1 and ours == theirs[::-1]:
        return [0], [-1.0]
    raise UsageError(
        f"`{earlier.asked_by}`: expected a model of the labels of {dataset.reference}, which are {theirs[:10]}, found "
        f"{earlier.title}, whose labels are {ours[:10]}{earlier.remedy}; train without it"
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
