"""The penalty that a spec asks for, by the columns of a problem; and coefficients of features that no row has."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.errors import UsageError
from mr_ml.models.linear.kind.per_feature import by_column
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.models.linear.penalty import FeaturePenalty, L2Penalty, Penalty
from mr_ml.models.linear.shift import Shift
from mr_ml.readers.schema import Schema

Floats = NDArray[np.float64]


def penalty_of(spec: LinearSpec, schema: Schema, moments: FeatureMoments) -> Penalty:
    """Return the penalty of the features that moments are of.

    Raises
    ------
    UsageError
        If something is asked of features that there are not, or a coefficient cannot be within its bounds.
    """
    if not (spec.l1 or spec.non_negative or spec.per_feature):
        return L2Penalty(spec.l2, spec.penalty_space)
    rules = by_column(spec.per_feature or {}, schema)
    columns = np.arange(moments.n_features) if moments.features is None else moments.features.astype(np.int64)
    here = {int(k): rules[column] for k, column in enumerate(columns.tolist()) if column in rules} if rules else {}
    given = {name for said in rules.values() for name in said}

    def numbers(name: str, otherwise: float) -> Floats | None:
        if name not in given:
            return None
        found = np.full(moments.n_features, otherwise)
        for k, said in here.items():
            found[k] = said.get(name, otherwise)
        return found

    lower, upper = numbers("lower", -np.inf), numbers("upper", np.inf)
    if spec.non_negative:
        for column, said in rules.items():
            if said.get("upper", math.inf) < 0:
                raise UsageError(
                    f"`non_negative`: expected upper bounds of at least 0, found {said['upper']:g} of "
                    f"{schema.name_of(column)}"
                )
        lower = np.maximum(0.0, -np.inf if lower is None else lower) * np.ones(moments.n_features)
    mean, precision = numbers("prior_mean", 0.0), numbers("prior_precision", 0.0)
    return FeaturePenalty(
        l1=spec.l1, l2=spec.l2, space=spec.penalty_space, factors=numbers("factor", 1.0), lower=lower, upper=upper,
        mean=np.zeros(moments.n_features) if mean is None and precision is not None else mean, precision=precision,
    )  # fmt: skip


def with_absent(
    spec: LinearSpec, schema: Schema, coef: Floats, shift: Shift, columns: NDArray[np.int32] | None
) -> tuple[Floats, Shift, NDArray[np.int32] | None]:
    """Return coefficients (n_outputs, n + 1), the shift, and columns: with those whose prior or bounds alone say them.

    Only where a problem has fewer features than the dataset: no row has the others, and the loss says nothing of them.
    """
    if columns is None or not spec.per_feature:
        return coef, shift, columns
    known = set(columns.tolist())
    said = {column: _alone(spec, rule) for column, rule in by_column(spec.per_feature, schema).items()}
    absent = {column: value for column, value in said.items() if column not in known and value}
    if not absent:
        return coef, shift, columns
    whole = np.concatenate([columns, np.array(list(absent), np.int32)])
    more = np.tile(np.array(list(absent.values())), (len(coef), 1))
    order = np.argsort(whole)
    placed = np.concatenate([np.concatenate([coef[:, :-1], more], axis=1)[:, order], coef[:, -1:]], axis=1)
    return placed, shift.placed(columns, whole[order]), whole[order]


def _alone(spec: LinearSpec, said: Mapping[str, float]) -> float:
    """Return the coefficient that the penalty and the bounds alone ask for."""
    factor, precision = said.get("factor", 1.0), said.get("prior_precision", 0.0)
    pull, curvature = precision * said.get("prior_mean", 0.0), precision + spec.l2 * factor
    size = max(abs(pull) - spec.l1 * factor, 0.0)
    value = math.copysign(size / curvature, pull) if size else 0.0
    lower = said.get("lower", -math.inf)
    return min(max(value, max(lower, 0.0) if spec.non_negative else lower), said.get("upper", math.inf))
