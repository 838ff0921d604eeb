"""How a query reads a block's rows: targets, weights and margins.

u_i = weight_i * class_weight(y_i)            z_i = X_i W' + b + offset_i

X, y and the weights are what `read` gives: as they are stored, less the shift, and times a power of two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.losses.base import Loss
from mr_ml.models.linear.shift import NO_SHIFT, Shift
from mr_ml.sums.query import Query, check_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mr_ml.data.folds import FoldRows

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Linear:
    """K linear functions of a row, laid out for products with many blocks.

    Attributes
    ----------
    weights
        (n_features, K); the K numbers of a feature are adjacent.
    intercepts
        (K,)
    """

    weights: Floats
    intercepts: Floats

    @classmethod
    def of(cls, *coefs: Floats) -> Linear:
        """Of coefficients (n_outputs, n_features + 1) each, intercept last."""
        whole = coefs[0] if len(coefs) == 1 else np.concatenate(coefs)
        return cls(np.ascontiguousarray(whole[:, :-1].T), whole[:, -1])

    @classmethod
    def beside(cls, linears: Sequence[Linear]) -> Linear:
        """Return the functions of all, in their order."""
        if len(linears) == 1:
            return linears[0]
        weights = np.concatenate([linear.weights for linear in linears], axis=1)
        return cls(weights, np.concatenate([linear.intercepts for linear in linears]))

    @property
    def n_functions(self) -> int:
        """K."""
        return len(self.intercepts)


@dataclass(frozen=True)
class RowSpec:
    """What does not change from pass to pass.

    Attributes
    ----------
    loss
        What a row costs at its margins.
    n_features
        Columns of X.
    classes
        Label values of classes 0, 1, ... in the dataset's coding; empty for regression.
    class_weights
        One factor per class, or None.
    row_weights
        Whether the rows' own weights count.
    shift
        What is taken off features and targets.
    counted
        The rows of a split that count, if not all do: the others have weight 0.
    weight_exponent
        That of the power of two, which keeps sums of tiny and of huge weights in the range of numbers, and changes no
        bit of what is divided by the sum of weights.
    """

    loss: Loss
    n_features: int
    classes: tuple[float, ...] = ()
    class_weights: tuple[float, ...] | None = None
    row_weights: bool = True
    shift: Shift = NO_SHIFT
    weight_exponent: int = 0
    counted: FoldRows | None = None

    @property
    def reading(self) -> str:
        """What `read` depends on."""
        how = self._reading()
        return json.dumps(how) if how else ""

    def _reading(self) -> dict[str, Any]:
        shift = {"shift": self.shift.to_json()} if self.shift else {}
        folds = {"folds": self.counted.folds.to_json()} if self.counted else {}
        return {**shift, **({"weight_exponent": self.weight_exponent} if self.weight_exponent else {}), **folds}

    def read(self, block: Block) -> Block:
        """Return the block as all other methods want it, the same in every pass."""
        if self.counted is not None:
            # of rows as they are stored
            block = replace(block, folds=self.counted.folds.of(block))
        if self.weight_exponent and block.weights is not None:
            block = replace(block, weights=np.ldexp(block.weights, self.weight_exponent))
        return self.shift.read(block)

    @property
    def n_outputs(self) -> int:
        """Coefficient vectors that a model of these rows has."""
        return self.loss.n_outputs(len(self.classes))

    def targets(self, block: Block) -> Floats:
        """Return what the loss takes for labels, class numbers or the labels themselves; (n_rows,).

        Raises
        ------
        BadDataError
            If a label is none of the classes, or a number that the loss does not take.
        """
        return self.loss.label_domain.targets(block.labels, self.classes)

    def weights(self, block: Block, targets: Floats) -> Floats:
        """Return the weights u, (n_rows,)."""
        given = block.weights if self.row_weights and block.weights is not None else np.ones(block.n_rows)
        if self.counted is not None:
            given = np.where(self.counted.chosen(block), given, 0.0)
        if self.class_weights is None:
            return given
        return np.asarray(given * np.array(self.class_weights)[targets.astype(np.int64)])

    def margins(self, block: Block, linear: Linear) -> Floats:
        """Return z, (n_rows, n_outputs), or (n_rows, K) for K functions."""
        return with_offsets(block, self.products(block, linear))

    def products(self, block: Block, linear: Linear) -> Floats:
        """Return X W' + b, (n_rows, K) for K functions."""
        check_width(block, self.n_features)
        return block.features.dot(linear.weights) + linear.intercepts

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        return {
            "loss": self.loss.to_json(),
            "n_features": self.n_features,
            "classes": list(self.classes),
            "class_weights": None if self.class_weights is None else list(self.class_weights),
            "row_weights": self.row_weights,
            **self._reading(),
            **({"counted": self.counted.to_json()} if self.counted else {}),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RowSpec:
        """Undo `to_json`."""
        factors = data["class_weights"]
        return cls(
            loss=loss_from_json(data["loss"]),
            n_features=data["n_features"],
            classes=tuple(data["classes"]),
            class_weights=None if factors is None else tuple(factors),
            row_weights=data["row_weights"],
            shift=Shift.from_json(data["shift"]) if "shift" in data else NO_SHIFT,
            weight_exponent=data.get("weight_exponent", 0),
            counted=_rows_of(data["counted"]) if "counted" in data else None,
        )


def _rows_of(data: dict[str, Any]) -> FoldRows:
    # few passes are over folds
    from mr_ml.data.folds import FoldRows

    return FoldRows.from_json(data)


def with_offsets(block: Block, products: Floats) -> Floats:
    """Return the margins that X W' + b gives, (n_rows, n_outputs) like these."""
    return products if block.offsets is None else products + block.offsets[:, None]


class RowQuery(Query):
    """Base of the queries that read rows as a `RowSpec` says."""

    rows: RowSpec

    @property
    def reading(self) -> str:
        """What `prepare` depends on, as text."""
        return self.rows.reading

    def prepare(self, block: Block) -> Block:
        """Return a stored block as `map` wants it."""
        return self.rows.read(block)
