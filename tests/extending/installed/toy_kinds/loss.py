"""The pseudo-Huber loss: l = delta^2 (s - 1) with r = z - y and s = (1 + (r / delta)^2)^1/2; l' = r / s, l'' = 1 / s^3.

Like the squared loss near zero, and like the absolute value further out (Hartley and Zisserman 2003, A6.8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from mr_ml.data import stored
from mr_ml.models.linear.labels import NUMBERS, LabelDomain
from mr_ml.models.linear.losses.base import Floats, Loss


@dataclass(frozen=True)
class PseudoHuberLoss(Loss):
    """Squared for small residuals, linear for large ones.

    Attributes
    ----------
    delta
        The residual at which it turns from one to the other, in the unit of the label.
    """

    name: ClassVar[str] = "pseudo-huber"
    label_domain: ClassVar[LabelDomain] = NUMBERS
    follows_labels: ClassVar[bool] = True
    # the command line names the loss alone
    may_lack: ClassVar[frozenset[str]] = frozenset({"delta"})

    delta: Annotated[float, stored.at_least(1e-300)] = 1.0

    def _residual(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        residual = margins[:, 0] - labels
        return residual, np.hypot(1.0, residual / self.delta)

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        residual, s = self._residual(margins, labels)
        # delta^2 (s - 1) without its cancellation
        return np.asarray(residual / (s + 1) * residual)

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""
        residual, s = self._residual(margins, labels)
        return (residual / s)[:, None], (s**-3)[:, None]

    def second_derivatives(self, margins: Floats, labels: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        """Return the weighted second derivatives in margins j <= k, (n_rows,) each, keyed (j, k)."""
        _, s = self._residual(margins, labels)
        return {(0, 0): weights * s**-3}

    def inverse_link(self, margins: Floats) -> Floats:
        """Return the predicted value (n_rows, 1)."""
        return margins
