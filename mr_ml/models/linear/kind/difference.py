"""How two linear models differ: their coefficients side by side, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mr_ml.models.difference import Change, Difference

if TYPE_CHECKING:
    from mr_ml.models.linear.kind.model import LinearModel

Ints = NDArray[np.int64]


def difference(a: LinearModel, b: LinearModel, most: int) -> Difference:
    """Return how `b` differs from `a`; see `mr_ml.models.base.Model.difference`."""
    in_a, in_b = _common(a, b)
    outputs = [output for output in a.outputs if output in b.outputs]
    rows_a, rows_b = (np.array([m.outputs.index(output) for output in outputs], np.int64) for m in (a, b))
    coef_a, coef_b = a.coef[np.ix_(rows_a, in_a)], b.coef[np.ix_(rows_b, in_b)]
    size = np.abs(coef_b - coef_a).max(axis=0, initial=0.0)
    largest = [k for k in np.argsort(-size, kind="stable")[:most].tolist() if size[k]]
    only = tuple(_largest_without(model, columns, most) for model, columns in ((a, in_a), (b, in_b)))
    return Difference(
        n_only=(a.coef.shape[1] - 1 - len(in_a), b.coef.shape[1] - 1 - len(in_b)),
        only=(only[0], only[1]),
        outputs_only=(
            tuple(output for output in a.outputs if output not in outputs),
            tuple(output for output in b.outputs if output not in outputs),
        ),
        intercepts=tuple(
            Change(feature=None, output=output, values=(a.intercepts[output], b.intercepts[output]))
            for output in outputs
        ),
        coefficients=tuple(
            Change(feature=_name(a, int(in_a[k])), output=output, values=(float(coef_a[j, k]), float(coef_b[j, k])))
            for k in largest
            for j, output in enumerate(outputs)
        ),
    )


def _name(model: LinearModel, column: int) -> str:
    return model.schema.name_of(model.feature(column))


def _common(a: LinearModel, b: LinearModel) -> tuple[Ints, Ints]:
    """Return the columns of the features that both have, of each model, in the order of the first."""
    ids_a, ids_b = a.held, b.held
    if a.schema.feature_names is None and b.schema.feature_names is None:
        # ids in the text, of which there may be millions
        _, in_a, in_b = np.intersect1d(
            ids_a + a.schema.index_base, ids_b + b.schema.index_base, assume_unique=True, return_indices=True
        )
        return in_a.astype(np.int64), in_b.astype(np.int64)
    places = {b.schema.name_of(feature): k for k, feature in enumerate(ids_b.tolist())}
    names = map(a.schema.name_of, ids_a.tolist())
    both = np.array([(k, places[name]) for k, name in enumerate(names) if name in places], np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _largest_without(model: LinearModel, columns: Ints, most: int) -> tuple[str, ...]:
    """Return names of features that are not in these columns, by the size of their coefficients."""
    others = np.setdiff1d(np.arange(model.coef.shape[1] - 1), columns, assume_unique=True)
    size = np.abs(model.coef[:, others]).max(axis=0, initial=0.0)
    return tuple(_name(model, int(k)) for k in others[np.argsort(-size, kind="stable")[:most]])
