"""Predictors: what a map task of a prediction does with the rows of a block, whatever the kind of model.

Nothing here loads numpy: the command line asks for the registry alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from hdfs_layout.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mr_ml.data.block import Block

    Floats = NDArray[np.float64]


class Predictor(Protocol):
    """A model as tasks need it: rows to output columns.

    Attributes
    ----------
    kind
        Its name in `PREDICTORS`.
    """

    kind: ClassVar[str]

    def values(self, block: Block) -> Floats:
        """Return probabilities of each class (n_rows, n_classes), or predicted values (n_rows, 1).

        Parameters
        ----------
        block
            Over the features of the model's schema; its labels mean nothing.
        """

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return JSON and arrays from which `from_parts` makes the same predictor."""

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `to_parts`."""


PREDICTORS: Registry[type[Predictor]] = Registry(
    "predictor", group="mr_ml.predictors", built_in={"linear": "mr_ml.models.linear.predictor:LinearPredictor"}
)
"""Name -> class; tasks find what is installed on their machine."""
