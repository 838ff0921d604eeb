"""What the features of a split are like: means, variances and extremes, as packing found them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import Store
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset, StoredFile
from mr_ml.data import stored
from mr_ml.data.npz import check_arrays, from_npz, to_npz
from mr_ml.errors import BadDataError
from mr_ml.sums.slices import are_few

Array = NDArray[Any]
Floats = NDArray[np.float64]


def checked_features(ids: Array, n_features: int, *, where: str) -> NDArray[np.int32]:
    """Which features a file's numbers are of, as the file has it.

    Raises
    ------
    BadDataError
        If these are not some of the features in order.
    """
    if ids.ndim != 1 or ids.dtype.kind != "i":
        raise BadDataError(f"{where}: expected a row of features, found {ids.dtype} of shape {ids.shape}")
    if len(ids) and not (ids[0] >= 0 and ids[-1] < n_features and (np.diff(ids) > 0).all()):
        raise BadDataError(
            f"{where}: expected features from 0 to {n_features - 1} in order, found others; {stored.REMEDY}"
        )
    return ids.astype(np.int32)


_COLUMNS = ("mean", "variance", "minimum", "maximum", "nonzero")
_WEIGHTED = "weighted_variance"


@dataclass(frozen=True, eq=False)
class FeatureMoments:
    """Moments over the rows of one split; all but `weighted_variance` ignore weights.

    Attributes
    ----------
    count, label_mean, label_variance
        (). NaN for datasets of earlier releases, which did not store them.
    mean, variance, minimum, maximum, nonzero
        (n_features,), or (n,) if there are `features`.
    features : int32 (n,), or None
        Which features these are, counted from 0 and ascending; all others are zero in every row. None for all.
    weighted_variance : (n_features,) or (n,), or None
        Variance of rows by their weights, about the weighted mean. None where rows have no weights, or an earlier
        release packed them.
    """

    count: int
    mean: Array
    variance: Array
    minimum: Array
    maximum: Array
    nonzero: Array
    label_mean: float = math.nan
    label_variance: float = math.nan
    features: Array | None = None
    weighted_variance: Array | None = None

    @property
    def n_features(self) -> int:
        """Number of features that have moments here."""
        return len(self.mean)

    @property
    def deviation(self) -> Floats:
        """Standard deviations: zero of constant columns, whatever rounding has left there, and of no others."""
        spread = self.maximum - self.minimum
        # of n numbers it is no smaller, also where squares are too small to be told from zero
        least = spread / np.sqrt(2 * max(self.count, 1))
        return np.where(spread > 0, np.maximum(np.sqrt(self.variance), least), 0.0)

    @property
    def weighted_deviation(self) -> Floats | None:
        """Standard deviations by row weights, None if there are none.

        Those of rows where the weights leave a feature no deviation, or one whose square is too small for a number.
        """
        weighted, of_rows = self.weighted_variance, self.deviation
        if weighted is None:
            return None
        return np.where((weighted > 0) & (of_rows > 0), np.sqrt(weighted), of_rows)

    def feature(self, k: int) -> int:
        """Which feature, counted from 0, the moments at k are of."""
        return k if self.features is None else int(self.features[k])

    def compact(self, n_features: int) -> FeatureMoments:
        """Return the same: over the features that occur where these are few of `n_features`, else over all."""
        occur = np.flatnonzero(self.nonzero)
        if are_few(len(occur), n_features):
            if self.features is not None and len(occur) == len(self.features):
                return self
            ids = occur if self.features is None else self.features[occur]
            return self._each(lambda array: array[occur], ids.astype(np.int32))
        if self.features is None:
            return self

        def spread(array: Array) -> Array:
            whole = np.zeros(n_features, array.dtype)
            whole[self.features] = array
            return whole

        return self._each(spread, None)

    def _each(self, change: Callable[[Array], Array], features: Array | None) -> FeatureMoments:
        """Return the same with every column changed."""
        given = {name: getattr(self, name) for name in (*_COLUMNS, _WEIGHTED)}
        columns: dict[str, Any] = {name: change(array) for name, array in given.items() if array is not None}
        return replace(self, features=features, **columns)

    def save(self, store: Store, path: str) -> StoredFile:
        """Write the moments to a file of the store."""
        given = {name: np.asarray(value) for name, value in vars(self).items() if value is not None}
        if self.features is not None:
            given["features"] = self.features.astype(np.int64)
        data = to_npz(given)
        store.write(path, data)
        return StoredFile(path, hashlib.sha256(data).hexdigest())

    @classmethod
    def load(cls, store: Store, dataset: Dataset, split: str) -> FeatureMoments:
        """Those of a split, over the features that occur where these are few.

        Raises
        ------
        BadDataError
            If the file is not the one that was written, or does not fit the dataset.
        StorageError
            If it cannot be read.
        """
        file, n_rows, d = dataset.moments[split], dataset.n_rows(split), dataset.schema.n_features
        where = store.uri(file.path)
        arrays = from_npz(file.read(store), where=where)
        features = checked_features(arrays.pop("features"), d, where=where) if "features" in arrays else None
        n = d if features is None else len(features)
        # earlier releases wrote none of labels
        numbers = ["count", *(arrays.keys() & {"label_mean", "label_variance"})]
        shapes = {**dict.fromkeys(_COLUMNS, (n,)), **dict.fromkeys(numbers, ())}
        if _WEIGHTED in arrays:
            shapes[_WEIGHTED] = (n,)
        check_arrays(arrays, shapes, whole=("count", "nonzero"), where=where)
        count, variance, nonzero = arrays.pop("count"), arrays["variance"], arrays["nonzero"]
        least = min(variance.min(initial=0), arrays.get(_WEIGHTED, variance).min(initial=0))
        # what overflowed is infinite or not a number; the caller decides what to do
        if count != n_rows or least < 0 or (nonzero < 0).any() or (nonzero > n_rows).any():
            raise BadDataError(
                f"{where}: expected moments of {n_rows} rows, variances of at least 0 and no more values of a feature "
                f"than rows, found count {count}, variances from {least:g} and nonzero from "
                f"{nonzero.min(initial=0):g} to {nonzero.max(initial=0):g}; {stored.REMEDY}"
            )
        if np.isinf(arrays.get("label_mean", 0.0)) or arrays.get("label_variance", 0.0) < 0:
            raise BadDataError(f"{where}: expected labels of finite mean, found others; fix labels that are too large")
        values: dict[str, Any] = {name: array if array.ndim else array.item() for name, array in arrays.items()}
        return cls(count=n_rows, features=features, **values).compact(d)
