"""What the estimators have in common."""

from __future__ import annotations

import math
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from hdfs_layout import open_root
from mr_ml.catalog.dataset import Dataset
from mr_ml.dataset_ref import DatasetRef, classes_of, dataset_ref_of, fit_rows, weight_sum
from mr_ml.errors import MrMlError
from mr_ml.ids import unique_id
from mr_ml.models.base import UNNAMED_KIND
from mr_ml.models.linear.losses import loss_from_text
from mr_ml.readers.frames import frame_of
from mr_ml.session import Session
from mr_ml.sklearn.last_fit import LastFit

if TYPE_CHECKING:
    from mr_ml.training.train import Fitted

Floats = NDArray[np.float64]


class Linear(BaseEstimator, ABC):
    """What the estimators have in common.

    Attributes
    ----------
    coef_, intercept_
        In the space of the features as they are.
    n_iter_
        Passes over the data.
    stop_
        Why the search ended, as ``mr-ml train`` says it.
    model_
        After a fit to a dataset: the `mr_ml.Model`, by which data frames are predicted by the names of columns.
    """

    fit_intercept: bool
    tol: float
    max_iter: int
    warm_start: bool
    root: Any
    runner: str

    @abstractmethod
    def _loss(self) -> str:
        """Return the loss, as ``mr-ml train`` takes it."""

    @abstractmethod
    def _l2(self, weight_sum: float) -> float:
        """Return the penalty relative to the mean loss."""

    def _fit(self, x: Any, y: Floats, weights: Floats | None, last: LastFit | None) -> Floats:
        """Fit; return the coefficients, (n_outputs, n_features + 1), intercepts last."""
        from mr_ml.packing.arrays import pack_rows, rows_of, schema_of

        named = vars(self).get("feature_names_in_")
        names = [f"x{k}" for k in range(x.shape[1])] if named is None else list(map(str, named))
        begins = {} if last is None else last.for_rows(names, named=named, classes=vars(self).get("classes_"))
        try:
            rows = rows_of(x, y, weights=weights)
            weight_sum = float(rows.n_rows if weights is None else weights.sum())
            if not weight_sum > 0:
                raise ValueError("expected weights with a positive sum, found none")
            options = self._options(self._l2(weight_sum)) | begins
            with tempfile.TemporaryDirectory(prefix="mr_ml-fit-") as folder:
                root = open_root(folder)
                dataset = pack_rows(rows, schema_of(rows, names, n_features=x.shape[1]), root=root, name="rows")
                with Session.open(root, runner="inline") as session:
                    spec = session.spec(UNNAMED_KIND, dataset.reference, "model", "train", options)
                    fitted = session.fit(spec, run=unique_id())
        except MrMlError as error:
            raise ValueError(_spelled(error)) from error
        self.__dict__.pop("model_", None)
        return self._coef_of(fitted)

    def _fit_dataset(self, ref: DatasetRef, last: LastFit | None, *others: Any) -> Floats:
        """Fit to a dataset; return as `_fit`."""
        if any(other is not None for other in others):
            raise ValueError("expected a dataset alone, found y or sample_weight beside it; it has its own")
        begins = {} if last is None else last.for_dataset()
        try:
            fitted = fit_rows(ref, lambda dataset: self._dataset_options(dataset, ref.split) | begins)
        except MrMlError as error:
            raise ValueError(_spelled(error)) from error
        self.model_ = fitted.model
        self.n_features_in_ = fitted.model.n_features
        self.__dict__.pop("feature_names_in_", None)
        return self._coef_of(fitted)

    def _options(self, l2: float) -> dict[str, Any]:
        return {
            "loss": self._loss(), "l2": l2, "intercept": self.fit_intercept, "tolerance": self.tol,
            "max_passes": self.max_iter,
        }  # fmt: skip

    def _dataset_options(self, dataset: Dataset, split: str) -> dict[str, Any]:
        """Return the options of a training on a dataset."""
        return self._options(self._l2_of(lambda: weight_sum(dataset, split)))

    def _l2_of(self, weigh: Callable[[], float]) -> float:
        """Return the penalty relative to the mean loss; what rows weigh is asked for only if it depends on that."""
        l2 = self._l2(math.nan)
        return self._l2(weigh()) if math.isnan(l2) else l2

    def _coef_of(self, fitted: Fitted) -> Floats:
        training = fitted.training
        self.n_iter_, self.stop_ = training["passes"], training["stop"]
        if not training["converged"]:
            warnings.warn(f"{type(self).__name__}: {self.stop_}", ConvergenceWarning, stacklevel=4)
        model: Any = fitted.model
        coef = np.zeros((len(model.coef), model.n_features + 1))
        coef[:, [*model.held.tolist(), -1]] = model.coef
        return coef

    def _margins(self, x: Any) -> Floats:
        check_is_fitted(self)
        model = vars(self).get("model_")
        if model is not None and frame_of(x) is not None:
            try:
                margins = np.asarray(model.decision_function(x))
            except MrMlError as error:
                raise ValueError(str(error)) from error
            return margins.reshape(len(margins), -1)
        x = validate_data(self, x, accept_sparse="csr", dtype=np.float64, reset=False)
        return np.asarray(x @ np.atleast_2d(self.coef_).T + self.intercept_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class Regressor(RegressorMixin, Linear):
    """A model of numbers."""

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit.

        Parameters
        ----------
        X
            (n_rows, n_features); or a dataset, by name or as a `mr_ml.DatasetRef`.
        y, sample_weight
            (n_rows,); weights may be None. None beside a dataset, which has its own.

        Raises
        ------
        ValueError
            If these are not such numbers, or the loss does not take such labels.
        """
        last = LastFit.of(self)
        ref = dataset_ref_of(X, root=self.root, runner=self.runner)
        if ref is not None:
            coef = self._fit_dataset(ref, last, y, sample_weight)
            self.coef_, self.intercept_ = coef[0, :-1], float(coef[0, -1])
            return self
        x, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64, y_numeric=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, x, dtype=np.float64)
        coef = self._fit(x, np.asarray(y, np.float64), weights, last)
        self.coef_, self.intercept_ = coef[0, :-1], float(coef[0, -1])
        return self

    def predict(self, X: Any) -> Floats:
        """Return the mean of each row, (n_rows,)."""
        return loss_from_text(self._loss()).inverse_link(self._margins(X))[:, 0]


class Classifier(ClassifierMixin, Linear):
    """A model of classes, the labels of which are sorted in `classes_`; ``C * sum of losses + |w|^2 / 2``."""

    def __init__(
        self, C: float = 1.0, *, fit_intercept: bool = True, class_weight: Any = None, tol: float = 1e-6,
        max_iter: int = 500, warm_start: bool = False, root: Any = None, runner: str = "inline",
    ) -> None:  # fmt: skip
        self.C = C
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.root = root
        self.runner = runner

    def _l2(self, weight_sum: float) -> float:
        return 1 / (checked(self.C, "C", above_zero=True) * weight_sum)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit.

        Parameters
        ----------
        X
            (n_rows, n_features); or a dataset, by name or as a `mr_ml.DatasetRef`.
        y, sample_weight
            (n_rows,); weights may be None. None beside a dataset, which has its own.

        Raises
        ------
        ValueError
            If these are not such rows, or there are fewer or more classes than the loss takes.
        """
        last = LastFit.of(self)
        ref = dataset_ref_of(X, root=self.root, runner=self.runner)
        if ref is not None:
            coef = self._fit_dataset(ref, last, y, sample_weight)
            self.coef_, self.intercept_ = coef[:, :-1], coef[:, -1]
            return self
        x, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._check_classes()
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, x, dtype=np.float64)
        if self.class_weight is not None:
            of_class = self._class_weights(y, codes, weights)
            weights = of_class if weights is None else weights * of_class
        coef = self._fit(x, codes.astype(np.float64), weights, last)
        self.coef_, self.intercept_ = coef[:, :-1], coef[:, -1]
        return self

    def _check_classes(self) -> None:
        if len(self.classes_) > 2 and not get_tags(self).classifier_tags.multi_class:
            raise ValueError(f"Only binary classification is supported. Found {len(self.classes_)} classes")
        if len(self.classes_) < 2:
            raise ValueError(f"expected rows of two classes at least, found one class: {str(self.classes_[0])!r}")

    def _dataset_options(self, dataset: Dataset, split: str) -> dict[str, Any]:
        texts, self.classes_ = classes_of(dataset, split)
        self._check_classes()
        if self.class_weight is None:
            return super()._dataset_options(dataset, split)
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            return super()._dataset_options(dataset, split) | {"class_weights": "balanced"}
        of_class = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_).tolist()
        factors = dict(zip(texts, of_class, strict=True))
        l2 = self._l2_of(lambda: weight_sum(dataset, split, factors))
        return self._options(l2) | {"class_weights": ",".join(f"{text}={of!r}" for text, of in factors.items())}

    def _class_weights(self, y: Any, codes: NDArray[np.int64], weights: Floats | None) -> Floats:
        """Return the factor of each row's class, (n_rows,); what is balanced are weights, as in scikit-learn 1.9."""
        if not isinstance(self.class_weight, str) or self.class_weight != "balanced":
            return np.asarray(compute_sample_weight(self.class_weight, y))
        of_class = np.bincount(codes, weights)
        if not of_class.all():
            raise ValueError("class_weight: expected rows of positive weight of each class, found none of some")
        return np.asarray(of_class.sum() / (len(of_class) * of_class))[codes]

    def decision_function(self, X: Any) -> Floats:
        """Return the margins: (n_rows,) of the second of two classes, else (n_rows, n_classes)."""
        margins = self._margins(X)
        return margins[:, 0] if margins.shape[1] == 1 else margins

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row, (n_rows,)."""
        margins = self.decision_function(X)
        chosen = (margins > 0).astype(np.intp) if margins.ndim == 1 else margins.argmax(axis=1)
        return np.asarray(self.classes_[chosen])


def _spelled(error: MrMlError) -> str:
    """Return what is wrong in the words of the parameters."""
    return str(error).replace("`warm_start_from`", "warm_start")


def checked(value: Any, name: str, *, above_zero: bool = False) -> float:
    """Return the strength of a penalty; raises ValueError, in the words of the parameter, if it is none."""
    number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    if not (number and (value > 0 if above_zero else value >= 0)):
        raise ValueError(f"{name}: expected a number {'above' if above_zero else 'of at least'} 0, found {value!r}")
    return float(value)
