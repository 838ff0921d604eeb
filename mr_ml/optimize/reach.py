"""How far a step moves the derivatives of a mean loss at most, by what is known of its rows before any is looked at.

For the logistic loss |l'''| <= l'', so a step that changes no margin by more than a multiplies each row's slope and
second derivative by e^-a at least and e^a at most (Bach 2010, "Self-concordant analysis for logistic regression"); for
the softmax loss a is the largest difference of the changes of two margins of a row, since its third derivatives are
third moments of what is as far apart as that. Changes of margins are bounded feature by feature.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reach:
    """Bounds how far steps reach.

    Attributes
    ----------
    per
        (n_inputs,) by how much the margin of a row changes at most with a unit of each coefficient of its output.
    """

    per: Floats

    def of(self, direction: Floats) -> float:
        """Return a, so that no slope or curvature of the loss changes by more than e^a along a direction (n,), flat."""
        by_output = direction.reshape(-1, len(self.per))
        # one output is one margin, of several the differences count
        n_margins = min(len(by_output), 2)
        return n_margins * float((np.abs(by_output) @ self.per).max(initial=0.0))
