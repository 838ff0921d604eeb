"""The squared loss: l = 1/2 (z - y)^2, l' = z - y, l'' = 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.models.formula import Response
from mr_ml.models.linear.labels import NUMBERS, LabelDomain
from mr_ml.models.linear.losses.base import Floats, Loss

if TYPE_CHECKING:
    from mr_ml.models.linear.losses.likelihood import Likelihood


@dataclass(frozen=True)
class SquaredLoss(Loss):
    """Half the square of the residual."""

    name: ClassVar[str] = "squared"
    label_domain: ClassVar[LabelDomain] = NUMBERS
    follows_labels: ClassVar[bool] = True
    quadratic: ClassVar[bool] = True

    @property
    def likelihood(self) -> Likelihood:
        """What it is as a likelihood."""
        from mr_ml.models.linear.losses.likelihood import NormalLikelihood

        return NormalLikelihood()

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        residual = margins[:, 0] - labels
        return np.asarray(0.5 * residual * residual)

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""
        return margins - labels[:, None], np.ones_like(margins)

    @property
    def response(self) -> Response | None:
        """What `inverse_link` does, for exports."""
        return Response.IDENTITY

    def inverse_link(self, margins: Floats) -> Floats:
        """Return class probabilities (n_rows, n_classes), or the predicted value (n_rows, 1)."""
        return margins
