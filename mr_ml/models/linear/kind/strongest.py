"""The coefficients of a linear model that move its predictions most: those of the largest |coefficient| x deviation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.models.strength import Strength

if TYPE_CHECKING:
    from mr_ml.models.linear.kind.model import LinearModel


def strongest(model: LinearModel, moments: FeatureMoments | None, most: int) -> tuple[Strength, ...]:
    """Return coefficients that are not 0, the strongest first; see `mr_ml.models.base.Model.strongest`."""
    coef = model.coef[:, :-1]
    deviations = np.ones(coef.shape[1])
    if moments is not None:
        # of a feature that no row has, nothing is known to vary
        deviations = np.zeros(coef.shape[1])
        columns = np.arange(moments.n_features) if moments.features is None else moments.features
        at = np.minimum(np.searchsorted(model.held, columns), max(len(model.held) - 1, 0))
        known = (model.held[at] == columns) if len(model.held) else np.zeros(len(columns), bool)
        weighted = moments.weighted_deviation
        deviations[at[known]] = (moments.deviation if weighted is None else weighted)[known]
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.nan_to_num(np.abs(coef * deviations), nan=0.0).ravel()
    order = np.argsort(-size, kind="stable")[:most]
    outputs = model.outputs
    return tuple(
        Strength(
            output=outputs[output],
            feature=model.schema.name_of(model.feature(k)),
            coefficient=float(coef[output, k]),
            deviation=None if moments is None else float(deviations[k]),
        )
        for output, k in zip(*(of.tolist() for of in np.unravel_index(order, coef.shape)), strict=True)
        if coef[output, k]
    )
