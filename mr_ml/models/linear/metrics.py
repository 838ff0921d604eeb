"""The metrics of a model, as sums over rows; the label domain of its loss says which ones they are.

Rows of weight 0 count nowhere. Of others whose prediction or loss is not finite there are no metrics.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.data.block import Block
from mr_ml.errors import BadDataError
from mr_ml.models.linear.measured import Asked, Measured, Metrics
from mr_ml.models.linear.reading import Linear, RowQuery, RowSpec
from mr_ml.models.metric_choices import NO_CHOICES, MetricChoices
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
    choices: MetricChoices = NO_CHOICES

    @cached_property
    def _linear(self) -> Linear:
        return Linear.of(self.coef)

    def map(self, block: Block) -> Statistic:
        """Return the statistic of a prepared block, without receipts."""
        return self._statistic(*self._measured(block))

    def map_rows(self, block: Block) -> tuple[Statistic, RowMetrics]:
        """Return the statistic of a prepared block, and the metrics of each row."""
        measured, losses = self._measured(block)
        values = self.rows.loss.row_metrics(measured, losses)
        units = {name: json.dumps(self.rows.loss.to_json()) for name in _OF_THE_LOSS & values.keys()}
        return self._statistic(measured, losses), RowMetrics(weights=measured.weights, values=values, units=units)

    def _measured(self, block: Block) -> tuple[Measured, Floats]:
        """Return what is predicted of the rows of a prepared block, and what they cost, (n_rows,)."""
        spec, loss = self.rows, self.rows.loss
        if spec.counted is not None:
            chosen = np.flatnonzero(spec.counted.chosen(block))
            # one that has weight 0 where there are none: sums of no rows may be of other types
            block = block.rows(chosen if len(chosen) else np.zeros(1, np.int64))
        y = spec.targets(block)
        # BLAS may round equal rows differently by where they stand; CSR products give them equal bits, hence exact ties
        z = spec.margins(replace(block, features=block.features.as_sparse()), self._linear)
        measured = Measured(
            margins=z, predictions=loss.inverse_link(z), targets=y, weights=spec.weights(block, y), choices=self.choices
        )
        return measured, loss.value(z, y)

    def _statistic(self, measured: Measured, losses: Floats) -> Statistic:
        u = measured.weights
        lost = (u > 0) & ~(np.isfinite(losses) & np.isfinite(measured.predictions).all(axis=1))
        parts: dict[str, Part] = {
            "weight_sum": Sum(u.sum()),
            "loss_sum": Sum((u * losses)[u > 0].sum()),
            "lost": Sum(np.asarray(np.count_nonzero(lost), float)),
        }
        return Statistic({**parts, **self.rows.loss.metric_sums(measured)})

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
        loss = self.rows.loss
        asked = Asked(
            weight_exponent=exponent,
            n_outputs=self.rows.n_outputs,
            inverse_link=loss.inverse_link,
            choices=self.choices,
        )
        return loss.metrics(total, asked=asked)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""
        return {"rows": self.rows.to_json(), "choices": self.choices.to_json()}, {"coef": self.coef}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> MetricsQuery:
        """Undo `to_parts`."""
        choices = stored.read(MetricChoices, meta["choices"], where="a query of metrics")
        return cls(rows=RowSpec.from_json(meta["rows"]), coef=arrays["coef"], choices=choices)
