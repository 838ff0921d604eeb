"""Estimators for scikit-learn, trained as all models here: by passes over blocks that add up to the same bits.

Names and parameters are those of scikit-learn's estimators of the same losses, and so is what is minimised, but that
the intercept is never penalised. They take arrays, scipy sparse matrices and data frames of numbers. Needs scikit-learn
(``pip install 'mr_ml[sklearn]'``).

>>> from mr_ml.sklearn import LogisticRegression
>>> model = LogisticRegression(C=10.0).fit(x, y)
>>> model.predict_proba(x)
"""

from __future__ import annotations

import tempfile
import warnings
from abc import ABC, abstractmethod
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_tweedie_score
from sklearn.utils import get_tags
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from hdfs_layout import open_root
from mr_ml.errors import MrMlError
from mr_ml.ids import unique_id
from mr_ml.models.base import UNNAMED_KIND
from mr_ml.models.linear.losses import loss_from_text
from mr_ml.session import Session

Floats = NDArray[np.float64]

__all__ = [
    "GammaRegressor",
    "LinearRegression",
    "LinearSVC",
    "LogisticRegression",
    "PoissonRegressor",
    "Ridge",
    "TweedieRegressor",
]


class _Linear(BaseEstimator, ABC):
    """What the estimators have in common.

    Attributes
    ----------
    coef_, intercept_
        In the space of the features as they are.
    n_iter_
        Passes over the data.
    stop_
        Why the search ended, as ``mr-ml train`` says it.
    """

    fit_intercept: bool
    tol: float
    max_iter: int

    @abstractmethod
    def _loss(self) -> str:
        """Return the loss, as ``mr-ml train`` takes it."""

    @abstractmethod
    def _l2(self, weight_sum: float) -> float:
        """Return the penalty relative to the mean loss."""

    def _fit(self, x: Any, y: Floats, weights: Floats | None) -> Floats:
        """Fit; return the coefficients, (n_outputs, n_features + 1), intercepts last."""
        from mr_ml.packing.arrays import pack_rows, rows_of, schema_of

        names = vars(self).get("feature_names_in_")
        names = [f"x{k}" for k in range(x.shape[1])] if names is None else list(map(str, names))
        try:
            rows = rows_of(x, y, weights=weights)
            weight_sum = float(rows.n_rows if weights is None else weights.sum())
            if not weight_sum > 0:
                raise ValueError("expected weights with a positive sum, found none")
            options = {
                "loss": self._loss(), "l2": self._l2(weight_sum), "intercept": self.fit_intercept,
                "tolerance": self.tol, "max_passes": self.max_iter,
            }  # fmt: skip
            with tempfile.TemporaryDirectory(prefix="mr_ml-fit-") as folder:
                root = open_root(folder)
                dataset = pack_rows(rows, schema_of(rows, names, n_features=x.shape[1]), root=root, name="rows")
                with Session.open(root, runner="inline") as session:
                    spec = session.spec(UNNAMED_KIND, dataset.reference, "model", "train", options)
                    fitted = session.fit(spec, run=unique_id())
        except MrMlError as error:
            raise ValueError(str(error)) from error
        training = fitted.training
        self.n_iter_, self.stop_ = training["passes"], training["stop"]
        if not training["converged"]:
            warnings.warn(f"{type(self).__name__}: {self.stop_}", ConvergenceWarning, stacklevel=3)
        model: Any = fitted.model
        coef = np.zeros((len(model.coef), x.shape[1] + 1))
        coef[:, [*model.held.tolist(), -1]] = model.coef
        return coef

    def _margins(self, x: Any) -> Floats:
        check_is_fitted(self)
        x = validate_data(self, x, accept_sparse="csr", dtype=np.float64, reset=False)
        return np.asarray(x @ np.atleast_2d(self.coef_).T + self.intercept_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Regressor(RegressorMixin, _Linear):
    """A model of numbers."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit.

        Parameters
        ----------
        X
            (n_rows, n_features).
        y, sample_weight
            (n_rows,); weights may be None.

        Raises
        ------
        ValueError
            If these are not such numbers, or the loss does not take such labels.
        """
        x, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64, y_numeric=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, x, dtype=np.float64)
        coef = self._fit(x, np.asarray(y, np.float64), weights)
        self.coef_, self.intercept_ = coef[0, :-1], float(coef[0, -1])
        return self

    def predict(self, X: Any) -> Floats:
        """Return the mean of each row, (n_rows,)."""
        return loss_from_text(self._loss()).inverse_link(self._margins(X))[:, 0]


class _Classifier(ClassifierMixin, _Linear):
    """A model of classes, the labels of which are sorted in `classes_`; ``C * sum of losses + |w|^2 / 2``."""

    def __init__(
        self, C: float = 1.0, *, fit_intercept: bool = True, class_weight: Any = None, tol: float = 1e-6,
        max_iter: int = 500,
    ) -> None:  # fmt: skip
        self.C = C
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter

    def _l2(self, weight_sum: float) -> float:
        return 1 / (_checked(self.C, "C", above_zero=True) * weight_sum)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit.

        Parameters
        ----------
        X
            (n_rows, n_features).
        y, sample_weight
            (n_rows,); weights may be None.

        Raises
        ------
        ValueError
            If these are not such rows, or there are fewer or more classes than the loss takes.
        """
        x, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) > 2 and not get_tags(self).classifier_tags.multi_class:
            raise ValueError(f"Only binary classification is supported. Found {len(self.classes_)} classes")
        if len(self.classes_) < 2:
            raise ValueError(f"expected rows of two classes at least, found one class: {str(self.classes_[0])!r}")
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, x, dtype=np.float64)
        if self.class_weight is not None:
            of_class = self._class_weights(y, codes, weights)
            weights = of_class if weights is None else weights * of_class
        coef = self._fit(x, codes.astype(np.float64), weights)
        self.coef_, self.intercept_ = coef[:, :-1], coef[:, -1]
        return self

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


class LogisticRegression(_Classifier):
    """Logistic regression; softmax (multinomial) where there are more than two classes.

    Minimises ``C * sum of losses + |w|^2 / 2``, as scikit-learn does.

    Parameters
    ----------
    C
        Inverse of the strength of the penalty; ``numpy.inf`` for none.
    fit_intercept
        Whether there is an intercept, which is not penalised.
    class_weight
        "balanced", or class -> factor.
    tol
        Largest component of the gradient, in units of the mean absolute slope: ``--tolerance`` of ``mr-ml train``.
    max_iter
        Most passes over the data.
    """

    def _loss(self) -> str:
        return "softmax" if len(self.classes_) > 2 else "logistic"

    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each class, (n_rows, n_classes)."""
        check_is_fitted(self)
        return loss_from_text(self._loss()).inverse_link(self._margins(X))

    def predict_log_proba(self, X: Any) -> Floats:
        """Return the logarithm of `predict_proba`."""
        return np.log(self.predict_proba(X))


class LinearSVC(_Classifier):
    """A linear support vector machine of two classes, with the squared hinge loss.

    Minimises ``C * sum of losses + |w|^2 / 2``; unlike scikit-learn's it does not penalise the intercept.

    Parameters
    ----------
    C, fit_intercept, class_weight, tol, max_iter
        As of `LogisticRegression`.
    """

    def _loss(self) -> str:
        return "squared_hinge"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class LinearRegression(_Regressor):
    """Least squares.

    Parameters
    ----------
    fit_intercept
        Whether there is an intercept.
    tol, max_iter
        As of `LogisticRegression`.
    """

    def __init__(self, *, fit_intercept: bool = True, tol: float = 1e-6, max_iter: int = 500) -> None:
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter

    def _loss(self) -> str:
        return "squared"

    def _l2(self, weight_sum: float) -> float:
        return 0.0


class _Penalised(_Regressor):
    """A model of numbers with a penalty."""

    def __init__(
        self, alpha: float = 1.0, *, fit_intercept: bool = True, tol: float = 1e-6, max_iter: int = 500
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter


class Ridge(_Penalised):
    """Least squares with an L2 penalty: minimises ``sum of squared errors + alpha * |w|^2``.

    Parameters
    ----------
    alpha
        Strength of the penalty.
    fit_intercept, tol, max_iter
        As of `LinearRegression`.
    """

    def _loss(self) -> str:
        return "squared"

    def _l2(self, weight_sum: float) -> float:
        return _checked(self.alpha, "alpha") / weight_sum


class _Glm(_Penalised):
    """A generalised linear model: minimises ``mean of half the deviances + alpha / 2 * |w|^2``."""

    @abstractmethod
    def _variance_power(self) -> float:
        """Return the power of the mean to which the variance is proportional."""

    def _l2(self, weight_sum: float) -> float:
        return _checked(self.alpha, "alpha")

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return D2, the share of the deviance that the model explains."""
        return float(d2_tweedie_score(y, self.predict(X), sample_weight=sample_weight, power=self._variance_power()))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags


class PoissonRegressor(_Glm):
    """Poisson regression of counts or rates, with the link log.

    Parameters
    ----------
    alpha
        Strength of the penalty.
    fit_intercept, tol, max_iter
        As of `LinearRegression`.
    """

    def _loss(self) -> str:
        return "poisson"

    def _variance_power(self) -> float:
        return 1.0


class GammaRegressor(_Glm):
    """Gamma regression of positive numbers, with the link log.

    Parameters
    ----------
    alpha, fit_intercept, tol, max_iter
        As of `PoissonRegressor`.
    """

    def _loss(self) -> str:
        return "gamma"

    def _variance_power(self) -> float:
        return 2.0


class TweedieRegressor(_Glm):
    """Tweedie regression with the link log, such as of claims that are often zero.

    Parameters
    ----------
    power
        Of the mean, to which the variance is proportional; between 1 and 2.
    alpha, fit_intercept, tol, max_iter
        As of `PoissonRegressor`.
    """

    def __init__(
        self, *, power: float = 1.5, alpha: float = 1.0, fit_intercept: bool = True, tol: float = 1e-6,
        max_iter: int = 500,
    ) -> None:  # fmt: skip
        super().__init__(alpha, fit_intercept=fit_intercept, tol=tol, max_iter=max_iter)
        self.power = power

    def _loss(self) -> str:
        return f"tweedie:power={self.power!r}"

    def _variance_power(self) -> float:
        return self.power


def _checked(value: Any, name: str, *, above_zero: bool = False) -> float:
    """Return the strength of a penalty; raises ValueError, in the words of the parameter, if it is none."""
    number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    if not (number and (value > 0 if above_zero else value >= 0)):
        raise ValueError(f"{name}: expected a number {'above' if above_zero else 'of at least'} 0, found {value!r}")
    return float(value)
