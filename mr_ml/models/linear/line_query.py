"""The query of a line search: losses along a line, gradient and curvature at one point of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.data.features import Features
from mr_ml.models.linear.losses.base import Loss
from mr_ml.models.linear.reading import Linear, RowQuery, RowSpec, with_offsets
from mr_ml.sums.by_column import BlockParts, ByColumn, ColumnQuery
from mr_ml.sums.parts import Minimum, Part, Sum, Triangle
from mr_ml.sums.statistic import Statistic

Array = NDArray[Any]
Floats = NDArray[np.float64]

# Of queries whose products are computed together: more take no less time each.
_OUTPUTS_TOGETHER = 8


@dataclass(frozen=True, eq=False)
class LineQuery(RowQuery, ColumnQuery):
    """Losses along a line, and gradient and curvature at one point of it.

    With W(t) = coef + t direction and z_i(t) = X_i W(t)' + b(t) + offset_i:

        loss_sums[j]  = sum_i u_i l(z_i(steps[j]), y_i)
        gradient_sum  = sum_i u_i l'(z_i(t), y_i) (x_i, 1)       at t = steps[chosen]; (n_outputs, n_features + 1)
        curvature_sum = sum_i u_i l''(z_i(t), y_i) (x_i^2, 1)    same shape, if `curvature`
        cross_sum     = sum_i u_i l''(z_i(t), y_i) (x_i, 1)      same shape, if `cross`
        hessian_sum   = sum_i u_i L''(z_i(t), y_i) (x) (x_i, 1)(x_i, 1)'    (n, n), n = n_outputs (n_features + 1), if
                        `hessian`; L'' is the (n_outputs, n_outputs) Hessian of the loss in its margins
        factor        = R of the rows (u_i l'')^1/2 (1, x_i, -l'/l'') at t, if `factor`, of losses that are `quadratic`:
                        the least squares problem that Newton's step solves
        weight_sum    = sum_i u_i
        slope_sum     = sum_i u_i |l'(z_i(t), y_i)|              (n_outputs,): what the gradient is made of
        bend_sum      = sum_i u_i l''(z_i(t), y_i)               (n_outputs,)
        leads         = minima over rows of positive weight, if `leads`: by how much the own class is ahead at t
                        without offsets; the negative of the most it is with offsets; how far direction moves it
                        ahead, the negative of the most

    Losses at further steps cost no product with X.
    """

    kind: ClassVar[str] = "line"
    # the intercept's column is the last
    more_columns: ClassVar[int] = 1

    rows: RowSpec
    coef: Floats
    direction: Floats | None = None
    steps: tuple[float, ...] = (0.0,)
    chosen: int = 0
    curvature: bool = True
    cross: bool = False
    hessian: bool = False
    factor: bool = False
    leads: bool = False

    @property
    def width(self) -> int:
        """How many columns the sums have that may be in slices."""
        # the Hessian and its factor are not in slices, and then nothing is
        return 0 if self.hessian or self.factor else self.rows.n_features + 1

    def over(self, columns: Array) -> LineQuery:
        """Return the query over some of its columns."""
        direction = None if self.direction is None else self.direction[:, columns]
        rows = replace(self.rows, n_features=len(columns) - 1)
        return replace(self, rows=rows, coef=self.coef[:, columns], direction=direction)

    @staticmethod
    def read(total: Statistic) -> LineSums:
        """Return the sums by name."""
        return LineSums(total)

    @cached_property
    def linear(self) -> Linear:
        """What margins are made of: of the point, and then of the direction."""
        return Linear.of(self.coef) if self.direction is None else Linear.of(self.coef, self.direction)

    def block_parts(self, block: Block) -> BlockParts:
        """Return the parts of a prepared block by name, those with columns marked."""
        at_rows = self.at_rows(block, self.rows.products(block, self.linear))
        pulled = block.features.transpose_dots(
            at_rows.slope, at_rows.pulled_bend, n_features=self.rows.n_features, cross=self.cross
        )
        return self.parts_of(block, at_rows, *pulled)

    @classmethod
    def parts_together(cls, queries: Sequence[LineQuery]) -> Callable[[Block], list[BlockParts]]:
        """See `ColumnQuery.parts_together`."""
        swept = [_Swept(tuple(some)) for some in _few(queries)]

        def parts(block: Block) -> list[BlockParts]:
            if not block.features.columns_apart:
                return [query.block_parts(block) for query in queries]
            return [one for some in swept for one in some.parts(block)]

        return parts

    def at_rows(self, block: Block, products: Floats) -> AtRows:
        """Return what is known of each row by its products with point and direction, (n_rows, K)."""
        spec, loss = self.rows, self.rows.loss
        targets = spec.targets(block)
        u = spec.weights(block, targets)
        n = products.shape[1] if self.direction is None else products.shape[1] // 2
        of_coef = products[:, :n]
        z = with_offsets(block, of_coef)
        along = None if self.direction is None else products[:, n:]

        def at(step: float, z: Floats = z) -> Floats:
            return z if along is None or step == 0 else z + step * along

        # mostly no row weighs more than another
        unequal = None if (u == 1).all() else u
        loss_sums = np.array([_loss_sum(loss.value(at(step), targets), unequal) for step in self.steps])
        chosen = at(self.steps[self.chosen])
        slope, second = loss.derivatives(chosen, targets)
        slope, second = slope * u[:, None], second * u[:, None]
        own = chosen if z is of_coef else at(self.steps[self.chosen], of_coef)
        return AtRows(targets, u, along, own, chosen, loss_sums, slope, second, second if self.curvature else None)

    def parts_of(
        self, block: Block, at: AtRows, gradient: Floats, curvature: Floats | None, cross: Floats | None
    ) -> BlockParts:
        """Return the parts, with X' slope, (X o X)' bend and X' bend, (n_features, n_outputs)."""
        features, loss, d = block.features, self.rows.loss, self.rows.n_features
        slope, second = at.slope, at.bend
        # many times as fast as numpy's sum along short rows
        ones = np.ones(len(at.weights))
        parts: dict[str, Part | ByColumn] = {
            "weight_sum": Sum(at.weights.sum()),
            "loss_sums": Sum(at.loss_sums),
            "gradient_sum": ByColumn(Sum(_with_intercept(gradient, slope))),
            "slope_sum": Sum(ones @ np.abs(slope)),
            "bend_sum": Sum(ones @ second),
        }
        if curvature is not None:
            parts["curvature_sum"] = ByColumn(Sum(_with_intercept(curvature, second)))
        if self.leads:
            parts["leads"] = Minimum(_leads(loss, (at.own_margins, at.margins), at.along, at.targets, at.weights > 0))
        if cross is not None and self.cross:
            parts["cross_sum"] = ByColumn(Sum(_with_intercept(cross, second)))
        if self.hessian:
            second_derivatives = loss.second_derivatives(at.margins, at.targets, at.weights)
            parts["hessian_sum"] = Sum(output_gram(features, second_derivatives, d))
        if self.factor:
            parts["factor"] = Triangle.of(_factor_rows(features, slope, second, d))
        return parts

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""
        meta = {"rows": self.rows.to_json(), "steps": list(self.steps), "chosen": self.chosen}
        meta.update(curvature=self.curvature, cross=self.cross, hessian=self.hessian, leads=self.leads)
        if self.factor:
            meta["factor"] = True
        arrays = {"coef": self.coef}
        if self.direction is not None:
            arrays["direction"] = self.direction
        return meta, arrays

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> LineQuery:
        """Undo `to_parts`."""
        return cls(
            rows=RowSpec.from_json(meta["rows"]),
            coef=arrays["coef"],
            direction=arrays.get("direction"),
            steps=tuple(meta["steps"]),
            chosen=meta["chosen"],
            curvature=meta.get("curvature", True),
            cross=meta["cross"],
            hessian=meta["hessian"],
            factor=meta.get("factor", False),
            leads=meta.get("leads", False),
        )


@dataclass(frozen=True, eq=False)
class AtRows:
    """What a query finds out about each row of a block; the last three times the weights."""

    targets: Floats
    weights: Floats
    along: Floats | None
    # without offsets
    own_margins: Floats
    margins: Floats
    loss_sums: Floats
    slope: Floats
    bend: Floats
    # where the gradient's own pass over the entries is to give the curvature too
    pulled_bend: Floats | None


@dataclass(frozen=True, eq=False)
class _Swept:
    """Queries about the same columns, for which the entries of sparse rows are read together."""

    queries: tuple[LineQuery, ...]

    @cached_property
    def _linear(self) -> Linear:
        return Linear.beside([query.linear for query in self.queries])

    @cached_property
    def _ends(self) -> Array:
        return np.cumsum([query.linear.n_functions for query in self.queries])[:-1]

    def parts(self, block: Block) -> list[BlockParts]:
        """Read the entries once for all margins, and once for all gradients."""
        queries, rows = self.queries, self.queries[0].rows
        products = rows.products(block, self._linear)
        # a column of several is not adjacent
        own = (np.ascontiguousarray(part) for part in np.split(products, self._ends, axis=1))
        at_rows = [query.at_rows(block, part) for query, part in zip(queries, own, strict=True)]
        pulled: dict[int, tuple[Floats, Floats | None, Floats | None]] = {}
        for bends in (False, True):
            some = [k for k, at in enumerate(at_rows) if (at.pulled_bend is not None) is bends]
            if not some:
                continue
            slopes = np.concatenate([at_rows[k].slope for k in some], axis=1)
            second = np.concatenate([at_rows[k].bend for k in some], axis=1) if bends else None
            cross = bends and any(queries[k].cross for k in some)
            gradients, *seconds = block.features.transpose_dots(slopes, second, n_features=rows.n_features, cross=cross)
            at = 0
            for k in some:
                mine = slice(at, at + queries[k].rows.n_outputs)
                curvature, crossed = (None if sums is None else sums[:, mine] for sums in seconds)
                pulled[k] = gradients[:, mine], curvature, crossed
                at = mine.stop
        return [query.parts_of(block, at_rows[k], *pulled[k]) for k, query in enumerate(queries)]


def _few(queries: Sequence[LineQuery]) -> Iterator[Sequence[LineQuery]]:
    """Yield some queries at a time, of about as many functions as the fastest caches hold for many features."""
    some: list[LineQuery] = []
    for query in queries:
        if some and sum(one.rows.n_outputs for one in (*some, query)) > _OUTPUTS_TOGETHER:
            yield some
            some = []
        some.append(query)
    yield some


@dataclass(frozen=True, eq=False)
class LineSums:
    """The result of a `LineQuery`; arrays are put together when they are read, since they may be huge."""

    total: Statistic

    @property
    def n_rows(self) -> int:
        """How many rows there are, those of weight 0 included."""
        return self.total.n_rows

    @property
    def weight_sum(self) -> float:
        """Sum of the weights."""
        return float(self.total.sum("weight_sum"))

    @property
    def loss_sums(self) -> Floats:
        """Losses at each of the steps, (n_steps,)."""
        return self.total.sum("loss_sums")

    @property
    def gradient_sum(self) -> Floats:
        """(n_outputs, n_features + 1)."""
        return self.total.sum("gradient_sum")

    @property
    def curvature_sum(self) -> Floats:
        """Diagonal of the Hessian, (n_outputs, n_features + 1); if it was asked for."""
        return self.total.sum("curvature_sum")

    @property
    def cross_sum(self) -> Floats:
        """The Hessian's columns of the intercept, (n_outputs, n_features + 1); if they were asked for."""
        return self.total.sum("cross_sum")

    @property
    def hessian_sum(self) -> Floats:
        """(n, n), n = n_outputs (n_features + 1); if it was asked for."""
        return self.total.sum("hessian_sum")

    @property
    def factor(self) -> Floats:
        """R, (n_features + 2, n_features + 2) or of fewer rows where there are not so many; if it was asked for."""
        return self.total.part_of("factor", Triangle).r

    @property
    def slope_sums(self) -> Floats:
        """Absolute first derivatives in each margin, (n_outputs,)."""
        return self.total.sum("slope_sum")

    @property
    def second_derivative_sums(self) -> Floats:
        """Second derivatives in each margin, (n_outputs,)."""
        return self.total.sum("bend_sum")

    @property
    def leads(self) -> Floats:
        """Minima over rows, (4,), as `LineQuery` says; if they were asked for."""
        return self.total.part_of("leads", Minimum).value


def _loss_sum(losses: Floats, weights: Floats | None) -> float:
    if weights is None:
        return float(losses.sum())
    total = float((weights * losses).sum())
    # an infinite loss of a row of weight 0 is no loss
    return float((weights * losses)[weights > 0].sum()) if np.isnan(total) else total


def output_gram(features: Features, second: Mapping[tuple[int, int], Floats], n_features: int) -> Floats:
    """Return the blocks (j, k) of X1' diag(second_jk) X1 with X1 = (X, 1), for j <= k, put together; symmetric."""
    size = n_features + 1
    n_outputs = max(k for _, k in second) + 1
    whole = np.empty((n_outputs, size, n_outputs, size))
    for (j, k), diagonal in second.items():
        block = np.empty((size, size))
        block[:-1, :-1], sums = features.gram(diagonal, n_features=n_features)
        block[:-1, -1] = block[-1, :-1] = sums
        block[-1, -1] = diagonal.sum()
        whole[j, :, k, :] = whole[k, :, j, :] = block
    return whole.reshape(n_outputs * size, n_outputs * size)


def _factor_rows(features: Features, slope: Floats, second: Floats, n_features: int) -> Floats:
    """Return the rows of `factor`, (n_rows, n_features + 2), of weighted derivatives (n_rows, 1); of weight 0 none."""
    counted = np.flatnonzero(second[:, 0])
    root = np.sqrt(second[counted])
    rows = np.empty((len(counted), n_features + 2))
    rows[:, :1] = root
    np.multiply(features.rows(counted).toarray(n_features=n_features), root, out=rows[:, 1:-1])
    rows[:, -1:] = -slope[counted] / root
    return rows


def _leads(
    loss: Loss, margins: tuple[Floats, Floats], along: Floats | None, targets: Floats, counted: NDArray[np.bool_]
) -> Floats:
    """Return leads as `LineQuery` says, of margins without and with offsets; (4,), infinite where there is nothing."""
    leads = np.full(4, np.inf)
    for k, (of_least, of_most) in enumerate([margins] if along is None else [margins, (along, along)]):
        least, most = loss.lead(of_least, targets)
        if of_most is not of_least:
            _, most = loss.lead(of_most, targets)
        leads[2 * k] = least.min(where=counted, initial=np.inf)
        leads[2 * k + 1] = -most.max(where=counted, initial=-np.inf)
    return leads


def _with_intercept(columns: Floats, rows: Floats) -> Floats:
    """Return (K, n_features + 1) of (n_features, K) and (n_rows, K), the rows' sum in the intercept's place."""
    return np.concatenate([columns, rows.sum(axis=0, keepdims=True)]).T
