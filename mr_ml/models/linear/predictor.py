"""The predictor of linear models: margins of rows, and what the loss makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.losses.base import Loss
from mr_ml.models.linear.reading import Linear, RowSpec
from mr_ml.models.linear.shift import NO_SHIFT, Shift

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearPredictor:
    """See `mr_ml.models.predictor.Predictor`.

    Attributes
    ----------
    coef
        (n_outputs, n_features + 1), intercept last, of rows less the shift.
    shift
        What is taken off features and targets.
    features
        Which features the coefficients are of; None for all of the schema's.
    """

    kind: ClassVar[str] = "linear"

    loss: Loss
    coef: Floats
    shift: Shift = NO_SHIFT
    features: NDArray[np.int32] | None = None

    @cached_property
    def _linear(self) -> Linear:
        return Linear.of(self.coef)

    def values(self, block: Block) -> Floats:
        """Return probabilities of each class (n_rows, n_classes), or predicted values (n_rows, 1)."""
        return self.loss.inverse_link(self.margins(block))

    def margins(self, block: Block) -> Floats:
        """Return margins, (n_rows, n_outputs)."""
        spec = RowSpec(self.loss, self.coef.shape[1] - 1, shift=self.shift)
        if self.features is not None:
            block = replace(block, features=block.features.over(self.features))
        margins: Floats = spec.margins(spec.read(block), self._linear) + self.shift.target
        return margins

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return JSON and arrays from which `from_parts` makes the same predictor."""
        features = {} if self.features is None else {"features": self.features}
        return {"loss": self.loss.to_json(), "shift": self.shift.to_json()}, {"coef": self.coef, **features}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> LinearPredictor:
        """Undo `to_parts`."""
        return cls(loss_from_json(meta["loss"]), arrays["coef"], Shift.from_json(meta["shift"]), arrays.get("features"))
