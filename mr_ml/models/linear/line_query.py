"""The query of a line search: losses along a line, gradient and curvature at one point of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mr_ml.data.block import Block
from mr_ml.data.features import Features
from mr_ml.models.linear.losses import Loss
from mr_ml.models.linear.reading import Linear, RowSpec
from mr_ml.sums.parts import Minimum, Part, Sum
from mr_ml.sums.query import check_width, compact, sliced
from mr_ml.sums.slices import is_wide
from mr_ml.sums.statistic import Statistic

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LineQuery:
    """Losses along a line, and gradient and curvature at one point of it.

    With W(t) = coef + t direction and z_i(t) = X_i W(t)' + b(t) + offset_i:

        loss_sums[j]  = sum_i u_i l(z_i(steps[j]), y_i)
        gradient_sum  = sum_i u_i l'(z_i(t), y_i) (x_i, 1)       at t = steps[chosen]; (n_outputs, n_features + 1)
        curvature_sum = sum_i u_i l''(z_i(t), y_i) (x_i^2, 1)    same shape, if `curvature`
        cross_sum     = sum_i u_i l''(z_i(t), y_i) x_i           (n_outputs, n_features), if `cross`
        hessian_sum   = sum_i u_i L''(z_i(t), y_i) (x) (x_i, 1)(x_i, 1)'    (n, n), n = n_outputs (n_features + 1), if
                        `hessian`; L'' is the (n_outputs, n_outputs) Hessian of the loss in its margins
        weight_sum    = sum_i u_i
        slope_sum     = sum_i u_i |l'(z_i(t), y_i)|              (n_outputs,): what the gradient is made of
        bend_sum      = sum_i u_i l''(z_i(t), y_i)               (n_outputs,)
        leads         = minima over rows of positive weight, if `leads`: by how much the own class is ahead at t, the
                        negative of the most it is; how far direction moves it ahead, the negative of the most

    Losses at further steps cost no product with X.
    """

    kind: ClassVar[str] = "line"

    rows: RowSpec
    coef: Floats
    direction: Floats | None = None
    steps: tuple[float, ...] = (0.0,)
    chosen: int = 0
    curvature: bool = True
    cross: bool = False
    hessian: bool = False
    leads: bool = False

    @property
    def reading(self) -> str:
        return self.rows.reading

    def prepare(self, block: Block) -> Block:
        return self.rows.read(block)

    def map(self, block: Block) -> Statistic:
        d = self.rows.n_features
        if not is_wide(d) or self.cross or self.hessian:
            return Statistic(self._parts(block))
        check_width(block, d)
        found = compact(block, d)
        if found is None:
            return sliced(self._parts(block), width=d + 1)
        ids, small = found
        # the intercept's column is the last, there and here
        at = np.append(ids, d)
        direction = None if self.direction is None else self.direction[:, at]
        rows = replace(self.rows, n_features=len(ids))
        parts = replace(self, rows=rows, coef=self.coef[:, at], direction=direction)._parts(small)
        return sliced(parts, width=d + 1, ids=at)

    @cached_property
    def _linear(self) -> Linear:
        return Linear.of(self.coef) if self.direction is None else Linear.of(self.coef, self.direction)

    def _margins(self, block: Block) -> tuple[Floats, Floats | None]:
        if self.direction is None:
            return self.rows.margins(block, self._linear), None
        return self.rows.margins_along(block, self._linear)

    def _parts(self, block: Block) -> dict[str, Part]:
        spec, features, loss = self.rows, block.features, self.rows.pointwise
        targets = spec.targets(block)
        u = spec.weights(block, targets)
        z, along = self._margins(block)

        def at(step: float) -> Floats:
            return z if along is None or step == 0 else z + step * along

        loss_sums = np.array([(u * loss.value(at(step), targets)).sum() for step in self.steps])
        slope, bend = loss.derivatives(at(self.steps[self.chosen]), targets)
        slope, bend = slope * u[:, None], bend * u[:, None]
        d = spec.n_features
        gradient, curvature = features.pull(slope, bend if self.curvature else None, n_features=d)
        # many times as fast as numpy's sum along short rows
        ones = np.ones(len(u))
        parts: dict[str, Part] = {
            "weight_sum": Sum(u.sum()),
            "loss_sums": Sum(loss_sums),
            "gradient_sum": Sum(_with_intercept(gradient, slope)),
            "slope_sum": Sum(ones @ np.abs(slope)),
            "bend_sum": Sum(ones @ bend),
        }
        if curvature is not None:
            parts["curvature_sum"] = Sum(_with_intercept(curvature, bend))
        if self.leads:
            parts["leads"] = Minimum(_leads(loss, at(self.steps[self.chosen]), along, targets, u > 0))
        if self.cross:
            parts["cross_sum"] = Sum(features.transpose_dot(bend, n_features=d).T)
        if self.hessian:
            parts["hessian_sum"] = Sum(_hessian(features, loss.bends(at(self.steps[self.chosen]), u), d))
        return parts

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        meta = {"rows": self.rows.to_json(), "steps": list(self.steps), "chosen": self.chosen}
        meta.update(curvature=self.curvature, cross=self.cross, hessian=self.hessian, leads=self.leads)
        arrays = {"coef": self.coef}
        if self.direction is not None:
            arrays["direction"] = self.direction
        return meta, arrays

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> LineQuery:
        return cls(
            rows=RowSpec.from_json(meta["rows"]),
            coef=arrays["coef"],
            direction=arrays.get("direction"),
            steps=tuple(meta["steps"]),
            chosen=meta["chosen"],
            curvature=meta.get("curvature", True),
            cross=meta["cross"],
            hessian=meta["hessian"],
            leads=meta.get("leads", False),
        )


def _hessian(features: Features, bends: Mapping[tuple[int, int], Floats], n_features: int) -> Floats:
    """Blocks (j, k) of X1' diag(bend_jk) X1 with X1 = (X, 1), for j <= k, put together; symmetric."""
    size = n_features + 1
    n_outputs = max(k for _, k in bends) + 1
    whole = np.empty((n_outputs, size, n_outputs, size))
    for (j, k), bend in bends.items():
        block = np.empty((size, size))
        block[:-1, :-1] = features.gram(bend, n_features=n_features)
        block[:-1, -1] = block[-1, :-1] = features.transpose_dot(bend[:, None], n_features=n_features)[:, 0]
        block[-1, -1] = bend.sum()
        whole[j, :, k, :] = whole[k, :, j, :] = block
    return whole.reshape(n_outputs * size, n_outputs * size)


def _leads(loss: Loss, margins: Floats, along: Floats | None, targets: Floats, counted: NDArray[np.bool_]) -> Floats:
    """As `LineQuery` says; (4,), infinite where there is nothing."""
    found = np.full(4, np.inf)
    for k, z in enumerate([margins] if along is None else [margins, along]):
        least, most = loss.lead(z, targets)
        found[2 * k] = least.min(where=counted, initial=np.inf)
        found[2 * k + 1] = -most.max(where=counted, initial=-np.inf)
    return found


def _with_intercept(columns: Floats, rows: Floats) -> Floats:
    """(n_features, K) and (n_rows, K) -> (K, n_features + 1), the rows' sum in the intercept's place."""
    return np.concatenate([columns, rows.sum(axis=0, keepdims=True)]).T
