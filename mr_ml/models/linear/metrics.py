"""The metrics of a model, as sums over rows; the label domain of its loss says which ones they are.

Rows of weight 0 count nowhere. Of others whose prediction or loss is not finite there are no metrics.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mr_ml.data.block import Block
from mr_ml.errors import BadDataError
from mr_ml.models.linear.measured import Measured, Metrics
from mr_ml.models.linear.reading import Linear, RowQuery, RowSpec
from mr_ml.models.paired import MeasuringQuery, RowMetrics
from mr_ml.sums.parts import Part, Sum
from mr_ml.sums.statistic import Statistic

Array = NDArray[Any]
Floats = NDArray[np.float64]

# metrics that are means of what each loss has for itself
_OF_THE_LOSS = frozenset({"mean_deviance", "mean_loss"})


@dataclass(frozen=True, eq=False)
class MetricsQuery(RowQuery, MeasuringQuery):
    """Sums from which all metrics of a model follow; coef as in `LineQuery`."""

    kind: ClassVar[str] = "metrics"

    rows: RowSpec
    coef: Floats

    @cached_property
    def _linear(self) -> Linear:
        return Linear.of(self.coef)

    def map(self, block: Block) -> Statistic:
        """Return the statistic of a prepared block, without receipts."""
        statistic, _ = self.map_rows(block)
        return statistic

    def map_rows(self, block: Block) -> tuple[Statistic, RowMetrics]:
        """Return the statistic of a prepared block, and the metrics of each row."""
        spec, loss = self.rows, self.rows.loss
        y = spec.targets(block)
        u = spec.weights(block, y)
        # BLAS may round equal rows differently by where they stand; CSR products give them equal bits, hence exact ties
        z = spec.margins(replace(block, features=block.features.as_sparse()), self._linear)
        p, losses = loss.inverse_link(z), loss.value(z, y)
        lost = (u > 0) & ~(np.isfinite(losses) & np.isfinite(p).all(axis=1))
        parts: dict[str, Part] = {
            "weight_sum": Sum(u.sum()),
            "loss_sum": Sum((u * losses)[u > 0].sum()),
            "lost": Sum(np.asarray(np.count_nonzero(lost), float)),
        }
        measured = Measured(margins=z, predictions=p, targets=y, weights=u)
        statistic = Statistic({**parts, **loss.metric_sums(measured)})
        values = loss.row_metrics(measured, losses)
        units = {name: json.dumps(loss.to_json()) for name in _OF_THE_LOSS & values.keys()}
        return statistic, RowMetrics(weights=u, values=values, units=units)

    def read(self, total: Statistic) -> Metrics:
        """Return the metrics of all rows.

        Raises
        ------
        BadDataError
            If the weights of all rows sum to zero, or a prediction or loss is not finite: there is nothing to measure.
        """
        weight, lost = float(total.sum("weight_sum")), int(total.sum("lost"))
        if not weight > 0:
            raise BadDataError(f"the weights of the {total.n_rows} rows sum to {weight}; expected a positive sum")
        if lost:
            raise BadDataError(
                f"expected finite predictions, found {lost} of {total.n_rows} rows where the prediction or its loss "
                "overflows, so that no mean would say anything; look for huge feature values, offsets or labels (mr-ml "
                "describe), such as those in other units than the model was trained in"
            )
        # in the unit in which weights were given
        exponent = -self.rows.weight_exponent if self.rows.row_weights else 0
        return self.rows.loss.metrics(total, weight_exponent=exponent)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""
        return {"rows": self.rows.to_json()}, {"coef": self.coef}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> MetricsQuery:
        """Undo `to_parts`."""
        return cls(rows=RowSpec.from_json(meta["rows"]), coef=arrays["coef"])
