"""Estimators for scikit-learn, trained as all models here: by passes over blocks that add up to the same bits.

Names and parameters are those of scikit-learn's estimators of the same losses, and so is what is minimised, but that
the intercept is never penalised. They take arrays, scipy sparse matrices and data frames of numbers; or, in place of
both x and y, a packed dataset, which jobs of any runner read. Needs scikit-learn (``pip install 'mr_ml[sklearn]'``).

>>> from mr_ml.sklearn import LogisticRegression
>>> model = LogisticRegression(C=10.0).fit(x, y)
>>> model.predict_proba(x)
>>> LogisticRegression(root="data", runner="local").fit("ctr@3").predict_proba(frame)
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from mr_ml.errors import MissingPackageError

try:
    from sklearn.metrics import d2_tweedie_score

    # the youngest of what is needed of it
    from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: F401
except ImportError as error:
    raise MissingPackageError(
        f"mr_ml.sklearn needs scikit-learn 1.6 or later, which cannot be imported ({error}): "
        "pip install 'mr_ml[sklearn]'"
    ) from error

from mr_ml.models.linear.losses import loss_from_text
from mr_ml.sklearn.base import Classifier, Floats, Regressor, checked
from mr_ml.sklearn.loading import from_file, from_model

__all__ = [
    "GammaRegressor",
    "LinearRegression",
    "LinearSVC",
    "LogisticRegression",
    "PoissonRegressor",
    "Ridge",
    "TweedieRegressor",
    "from_file",
    "from_model",
]


class LogisticRegression(Classifier):
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
    warm_start
        Whether a fit begins where the last one ended: fewer passes, the same optimum. Features go by the names of
        columns where both fits have them, else by their order. The last fit may be that of another program, given to
        the estimator as `coef_`, `intercept_` and `classes_`.
    root, runner
        For datasets: where they are kept, and where jobs run. A `mr_ml.DatasetRef` can say both, and more.
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


class LinearSVC(Classifier):
    """A linear support vector machine of two classes, with the squared hinge loss.

    Minimises ``C * sum of losses + |w|^2 / 2``; unlike scikit-learn's it does not penalise the intercept.

    Parameters
    ----------
    C, fit_intercept, class_weight, tol, max_iter, warm_start, root, runner
        As of `LogisticRegression`.
    """

    def _loss(self) -> str:
        return "squared_hinge"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class LinearRegression(Regressor):
    """Least squares.

    Parameters
    ----------
    fit_intercept
        Whether there is an intercept.
    tol, max_iter, warm_start, root, runner
        As of `LogisticRegression`.
    """

    def __init__(
        self, *, fit_intercept: bool = True, tol: float = 1e-6, max_iter: int = 500,
        warm_start: bool = False, root: Any = None, runner: str = "inline",
    ) -> None:  # fmt: skip
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.root = root
        self.runner = runner

    def _loss(self) -> str:
        return "squared"

    def _l2(self, weight_sum: float) -> float:
        return 0.0


class _Penalised(Regressor):
    """A model of numbers with a penalty."""

    def __init__(
        self, alpha: float = 1.0, *, fit_intercept: bool = True, tol: float = 1e-6, max_iter: int = 500,
        warm_start: bool = False, root: Any = None, runner: str = "inline",
    ) -> None:  # fmt: skip
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.root = root
        self.runner = runner


class Ridge(_Penalised):
    """Least squares with an L2 penalty: minimises ``sum of squared errors + alpha * |w|^2``.

    Parameters
    ----------
    alpha
        Strength of the penalty.
    fit_intercept, tol, max_iter, warm_start, root, runner
        As of `LinearRegression`.
    """

    def _loss(self) -> str:
        return "squared"

    def _l2(self, weight_sum: float) -> float:
        return checked(self.alpha, "alpha") / weight_sum


class _Glm(_Penalised):
    """A generalised linear model: minimises ``mean of half the deviances + alpha / 2 * |w|^2``."""

    @abstractmethod
    def _variance_power(self) -> float:
        """Return the power of the mean to which the variance is proportional."""

    def _l2(self, weight_sum: float) -> float:
        return checked(self.alpha, "alpha")

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
    fit_intercept, tol, max_iter, warm_start, root, runner
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
    alpha, fit_intercept, tol, max_iter, warm_start, root, runner
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
    alpha, fit_intercept, tol, max_iter, warm_start, root, runner
        As of `PoissonRegressor`.
    """

    def __init__(
        self, *, power: float = 1.5, alpha: float = 1.0, fit_intercept: bool = True, tol: float = 1e-6,
        max_iter: int = 500, warm_start: bool = False, root: Any = None, runner: str = "inline",
    ) -> None:  # fmt: skip
        super().__init__(
            alpha, fit_intercept=fit_intercept, tol=tol, max_iter=max_iter, warm_start=warm_start, root=root,
            runner=runner,
        )  # fmt: skip
        self.power = power

    def _loss(self) -> str:
        return f"tweedie:power={self.power!r}"

    def _variance_power(self) -> float:
        return self.power
