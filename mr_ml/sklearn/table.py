"""The first step of a pipeline: what a model makes of the columns of a data frame, as mr_ml itself does it."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from mr_ml.models.rows_in_memory import block_of
from mr_ml.readers.frames import frame_of
from mr_ml.readers.schema import Schema


class TableFeatures(TransformerMixin, BaseEstimator):
    """Features of data frames, of pandas, polars or pyarrow, or of a dict, by the names of columns.

    Nothing is learnt: `fit` does nothing.

    Parameters
    ----------
    schema
        What was learnt when rows were packed, in JSON: what `mr_ml.readers.schema.Schema.to_json` gives.
    """

    def __init__(self, schema: str = "{}") -> None:
        self.schema = schema

    @cached_property
    def _read(self) -> Schema:
        return Schema.from_json(json.loads(self.schema))

    def fit(self, x: Any, y: Any = None) -> TableFeatures:
        """Return it as it is."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether it can transform: always."""
        return True

    def transform(self, x: Any) -> scipy.sparse.csr_matrix:
        """Return features, (n_rows, n_features).

        Raises
        ------
        TypeError
            If these rows do not name their columns.
        BadDataError
            If columns are lacking, or there are rows that ``mr-ml predict`` would refuse.
        """
        if frame_of(x) is None:
            raise TypeError(f"expected a data frame, whose columns have names; found {type(x).__name__}")
        sparse = block_of(self._read, x, offsets=None, unseen=None).features.as_sparse()
        arrays = sparse.values.astype(np.float64), sparse.indices, sparse.indptr
        return scipy.sparse.csr_matrix(arrays, shape=(sparse.n_rows, self._read.n_features))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the features."""
        return np.array(self._read.feature_names, object)
