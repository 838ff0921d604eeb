"""Which combinations of a linear model's coefficients rows determine where columns of categories are one-hot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.models.contrasts import NO_CONTRASTS, Contrast, Contrasts
from mr_ml.models.inference import INTERCEPT
from mr_ml.models.linear.kind.collinear import columns_of_categories
from mr_ml.readers.schema import Schema

if TYPE_CHECKING:
    from scipy import sparse

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Combinations:
    """What is told of the coefficients of an output.

    Attributes
    ----------
    names
        Of what is told: features, and the intercept, which is last.
    contrasts
        What they are compared with.
    matrix
        (n_told, n_coefficients), sparse, by which the coefficients are multiplied.
    """

    names: tuple[str, ...]
    contrasts: Contrasts
    matrix: sparse.csr_array

    @classmethod
    def of(cls, schema: Schema, moments: FeatureMoments, *, intercept: bool) -> Combinations:
        """Return what is told of features that have these moments.

        A column of categories is compared with the first of them that rows have, if each row has one of them.
        """
        held = np.arange(moments.n_features) if moments.features is None else moments.features
        names = [*(schema.name_of(int(j)) for j in held), *([INTERCEPT] if intercept else [])]
        complete = list[tuple[str, list[int], int]]()
        for column, first, last, is_complete in columns_of_categories(schema, moments):
            if is_complete:
                base = first + int(np.flatnonzero(moments.nonzero[first:last])[0])
                complete.append((column, list(range(first, last)), base))
        at_bases = [len(names) - 1] if intercept else []
        if not intercept and complete:
            (_, at_bases, _), *complete = complete
        bases = [base for _, _, base in complete]
        if not bases:
            return cls(tuple(names), NO_CONTRASTS, _matrix([{k: 1.0} for k in range(len(names))], len(names)))
        rows: list[dict[int, float]] = [{k: 1.0} for k in range(len(names))]
        for _, levels, base in complete:
            for k in levels:
                rows[k][base] = -1.0
        for k in at_bases:
            rows[k].update(dict.fromkeys(bases, 1.0))
        told = sorted(set(range(len(names))) - set(bases))
        columns = [
            Contrast(column=column, features=tuple(names[k] for k in levels), base=names[base])
            for column, levels, base in complete
        ]
        return cls(
            tuple(names[k] for k in told),
            Contrasts(columns=tuple(columns), at_bases=tuple(np.searchsorted(told, at_bases).tolist())),
            _matrix([rows[k] for k in told], len(names)),
        )

    def __matmul__(self, coefficients: Floats) -> Floats:
        """Return what is told of coefficients (n_outputs n_coefficients, k), output by output."""
        if not self.contrasts:
            return coefficients
        by_output = coefficients.reshape(-1, self.matrix.shape[1], coefficients.shape[1])
        return np.concatenate([self.matrix @ of_one for of_one in by_output])


def _matrix(rows: Sequence[dict[int, float]], n_columns: int) -> sparse.csr_array:
    from scipy import sparse

    starts = np.cumsum([0, *map(len, rows)])
    columns = [k for row in rows for k in sorted(row)]
    values = [row[k] for row in rows for k in sorted(row)]
    arrays: Any = (np.array(values), np.array(columns), starts)
    return sparse.csr_array(arrays, shape=(len(rows), n_columns))
