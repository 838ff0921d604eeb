"""The queries of inference: what standard errors are made of, at the coefficients of a trained model.

With margins z_i = X_i W' + b + offset_i, row weights u_i and J the Hessian of a row's loss in its margins:

    observed   sum_i u_i J_i (x) (x_i, 1)(x_i, 1)'          J of the labels that there are
    expected   the same with the mean of J over labels      (where that is another, and there is a likelihood)
    meat       sum_i u_i^2 l'_i l'_i' (x) (x_i, 1)(x_i, 1)'  of the sandwich (Huber 1967; White 1980)

Where margins are not determined by predictions the first output is left out: it is what the others are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.data.features import Features
from mr_ml.models.linear.line_query import output_gram
from mr_ml.models.linear.reading import Linear, RowQuery, RowSpec
from mr_ml.sums.parts import Part, Sum, Triangle
from mr_ml.sums.statistic import Statistic

Array = NDArray[Any]
Floats = NDArray[np.float64]

Diagonals = Mapping[tuple[int, int], Floats]


@dataclass(frozen=True, eq=False)
class InferenceQuery(RowQuery):
    """Information, meat and likelihood at the coefficients of a model.

    observed, expected, meat
        (n, n), n = K (n_features + 1), of `n_compared` outputs K; or, if `factor`, R of the rows whose Gram matrices
        these are, with columns (1, x), which has twice the digits: of one output.
    gradient_sum
        sum_i u_i l'_i (x_i, 1), (K, n_features + 1)
    weight_sum, log_weight_sum, loss_sum, counted
        Of u, log u, u l, and the number of rows of positive weight.
    pearson_sum, term_sums
        As of `mr_ml.models.linear.losses.likelihood`, where there is a likelihood.

    Attributes
    ----------
    rows
        How rows are read.
    coef
        (n_outputs, n_features + 1), intercept last.
    factor
        Whether rows are factored.
    """

    kind: ClassVar[str] = "inference"

    rows: RowSpec
    coef: Floats
    factor: bool = False

    @property
    def n_compared(self) -> int:
        """Outputs that have coefficients of their own."""
        return self.rows.n_outputs - self._first

    @property
    def _first(self) -> int:
        return 0 if self.rows.loss.identifiable else 1

    @cached_property
    def _linear(self) -> Linear:
        return Linear.of(self.coef)

    def map(self, block: Block) -> Statistic:
        """Return the statistic of a prepared block, without receipts."""
        spec, loss, first = self.rows, self.rows.loss, self._first
        targets = spec.targets(block)
        weights = spec.weights(block, targets)
        counted = np.flatnonzero(weights > 0)
        features, y, u = block.features.rows(counted), targets[counted], weights[counted]
        z = spec.margins(block, self._linear)[counted]
        slope = (loss.derivatives(z, y)[0] * u[:, None])[:, first:]
        gradient = features.transpose_dot(slope, n_features=spec.n_features)
        parts: dict[str, Part] = {
            "counted": Sum(np.array(len(u))),
            "weight_sum": Sum(u.sum()),
            "log_weight_sum": Sum(np.log(u).sum()),
            "loss_sum": Sum((u * loss.value(z, y)).sum()),
            "gradient_sum": Sum(np.concatenate([gradient, slope.sum(axis=0, keepdims=True)]).T),
            "observed": self._information(features, loss.observed_information(z, y, u)),
            "meat": self._meat(features, slope),
        }
        expected = loss.expected_information(z, u)
        if expected is not None:
            parts["expected"] = self._information(features, expected)
        likelihood = loss.likelihood
        if likelihood is not None:
            parts["pearson_sum"] = Sum((u * likelihood.pearson(loss.inverse_link(z), y)).sum())
            parts["term_sums"] = Sum(u @ likelihood.terms(y, len(spec.classes)))
        return Statistic(parts)

    def _information(self, features: Features, diagonals: Diagonals) -> Part:
        if self.factor:
            return Triangle.of(self._factored(features, np.sqrt(diagonals[0, 0])))
        first = self._first
        kept = {(j - first, k - first): diagonal for (j, k), diagonal in diagonals.items() if j >= first}
        return Sum(output_gram(features, kept, self.rows.n_features))

    def _meat(self, features: Features, slope: Floats) -> Part:
        if self.factor:
            return Triangle.of(self._factored(features, slope[:, 0]))
        outputs = range(slope.shape[1])
        products = {(j, k): slope[:, j] * slope[:, k] for j in outputs for k in outputs if j <= k}
        return Sum(output_gram(features, products, self.rows.n_features))

    def _factored(self, features: Features, factors: Floats) -> Floats:
        """Return rows (1, x), times a number each; (n_rows, n_features + 1)."""
        rows = np.empty((len(factors), self.rows.n_features + 1))
        rows[:, 0] = factors
        np.multiply(features.toarray(n_features=self.rows.n_features), factors[:, None], out=rows[:, 1:])
        return rows

    def read(self, total: Statistic) -> InferenceSums:
        """Return the sums by name."""
        return InferenceSums(total, self.factor)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""
        return {"rows": self.rows.to_json(), "factor": self.factor}, {"coef": self.coef}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> InferenceQuery:
        """Undo `to_parts`."""
        return cls(rows=RowSpec.from_json(meta["rows"]), coef=arrays["coef"], factor=meta["factor"])


@dataclass(frozen=True, eq=False)
class InferenceSums:
    """The result of an `InferenceQuery`, and whether it factored rows."""

    total: Statistic
    factor: bool

    def number(self, name: str) -> float:
        """Return a sum that is one number."""
        return float(self.total.sum(name))

    @property
    def has_expected(self) -> bool:
        """Whether the expected information is not the observed one."""
        return "expected" in self.total

    def matrix(self, name: str) -> Floats:
        """Return "observed", "expected" or "meat", or the R of one."""
        return self.total.part_of(name, Triangle).r if self.factor else self.total.sum(name)


@dataclass(frozen=True, eq=False)
class NullQuery(RowQuery):
    """The loss of models that have nothing but an intercept and the rows' offsets, and its derivatives.

    With z_i = intercepts[k] + offset_i, the same for all outputs, l' and l'' of the first:

        sum_i u_i l(z_i, y_i), of l' and of l'';  (3, n_intercepts)

    Attributes
    ----------
    rows
        How rows are read; their features count for nothing.
    intercepts
        (n_intercepts,)
    """

    kind: ClassVar[str] = "null"

    rows: RowSpec
    intercepts: Floats

    def map(self, block: Block) -> Statistic:
        """Return the statistic of a prepared block, without receipts."""
        spec, loss = self.rows, self.rows.loss
        targets = spec.targets(block)
        weights = spec.weights(block, targets)
        counted = np.flatnonzero(weights > 0)
        y, u = targets[counted], weights[counted]
        offsets = np.zeros(len(u)) if block.offsets is None else block.offsets[counted]
        sums = np.empty((3, len(self.intercepts)))
        for k, intercept in enumerate(self.intercepts.tolist()):
            z = np.repeat((offsets + intercept)[:, None], spec.n_outputs, axis=1)
            slope, second = loss.derivatives(z, y)
            sums[:, k] = (u * loss.value(z, y)).sum(), (u * slope[:, 0]).sum(), (u * second[:, 0]).sum()
        return Statistic({"null": Sum(sums)})

    def read(self, total: Statistic) -> Floats:
        """Return (3, n_intercepts)."""
        return total.sum("null")

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""
        return {"rows": self.rows.to_json()}, {"intercepts": self.intercepts}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> NullQuery:
        """Undo `to_parts`."""
        return cls(rows=RowSpec.from_json(meta["rows"]), intercepts=arrays["intercepts"])
