"""What whoever uses a model should know of it, besides why training stopped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mr_ml.dataset import Dataset
from mr_ml.model import label_texts
from mr_ml.objective import Objective
from mr_ml.optimize.base import Stop
from mr_ml.optimize.line import LineState

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# As many features or labels as a warning names.
_NAMED = 5


def warnings(objective: Objective, dataset: Dataset, split: str, state: LineState, telling: Ints) -> Iterator[str]:
    """What whoever uses the model should know of it, besides why training stopped.

    `telling` are features that are known to tell a class without fail.
    """
    lacking = sorted(dataset.label_counts[split].keys() - set(label_texts(dataset.schema, objective.rows.classes)))
    if objective.rows.classes and lacking:
        yield f"no row of split {split!r} has the label {', '.join(lacking[:_NAMED])}, of which the model knows nothing"
    if state.stop is Stop.SEPARABLE:
        assert state.leads is not None
        whole = state.leads.least > 0
        strongest = _strongest(objective, dataset, state.point if whole else state.direction)
        by = [dataset.schema.name_of(j) for j in telling[:_NAMED].tolist()] if len(telling) else strongest
        more = f" and {len(telling) - _NAMED} more features" if len(telling) > _NAMED else ""
        yield (
            f"{'all' if whole else 'some'} rows are told apart without fail by {', '.join(by)}{more}; the largest "
            f"margin has come to {-state.leads.minus_most:.3g} and would grow for ever"
        )
    if state.stop is Stop.FLAT:
        yield f"not determined are combinations of {', '.join(_strongest(objective, dataset, state.direction))}"
    n_rows, per_output = dataset.n_rows(split), objective.size // objective.rows.n_outputs
    if objective.l2 == 0 and per_output > n_rows:
        yield f"{per_output} coefficients are not determined by {n_rows} rows: others would fit as well; give --l2"


def _strongest(objective: Objective, dataset: Dataset, direction: Floats) -> list[str]:
    """Names of the features that change margins most along a direction."""
    n_features = dataset.schema.n_features
    size = np.abs(direction.reshape(objective.rows.n_outputs, -1)[:, :n_features]).max(axis=0)
    first = np.argsort(-size, kind="stable")[:_NAMED]
    return [dataset.schema.name_of(int(j)) for j in first if size[j] >= 0.01 * size[first[0]]] or ["the intercept"]
