"""Where a line search begins, and what its first pass asks for: at one point, or at a guess and at the point beside it.

A guess is an earlier model's point, or the optimum of a sample of the rows. The search begins at the point after all
where that, or half of the way, is better, or where the guess would hide what is seen from the point.
"""

from __future__ import annotations

import numpy as np

from mr_ml.optimize.base import Evaluation
from mr_ml.optimize.line_state import LineState

# The steps of the first evaluation, at one point; or along the line from there to a guess, which is tried first: by
# these a state knows what the guess is of.
AT_POINT = (0.0,)
AT_MODEL = (1.0, 0.0, 0.5)
AT_SAMPLE = (1.0, 0.5, 0.0)
# Besides, all that is found at the point: how columns go together is seen where all rows have curvature.
AT_BOTH = (1.0, 0.5)
AT_GUESS = (AT_MODEL, AT_SAMPLE, AT_BOTH)

NO_GUESS = (
    "starts from zero after all: the earlier model, or the optimum of a sample of the rows, is no better on this data, "
    "or is so sure of some rows that classes which can be separated would not be noticed (a larger `l2` rules that out)"
)


def is_start(state: LineState) -> bool:
    """Whether the objective was not evaluated yet where the search begins."""
    return state.steps in AT_GUESS or (state.steps == AT_POINT and state.curvature_value == np.inf)


def value_at_point(state: LineState, ev: Evaluation) -> float:
    """Return the objective at the point where the search begins if not at the guess."""
    if ev.beside is not None:
        return float(ev.beside.values[0])
    return float(ev.values[state.steps.index(0.0)])
