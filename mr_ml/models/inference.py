"""Inference: how sure the parameters of a published model are, whatever its kind, and the file in which that is kept.

    z or t = estimate / std. error       p = P(|Z| >= |z|)       interval: estimate -+ quantile x std. error   (Wald)

Standard errors are roots of the diagonal of a covariance matrix: of the model, phi A^-1, which is right where its
likelihood is; or of the sandwich B^-1 M B^-1 (HC0; times n / (n - p) HC1), which needs no more than that rows are
independent (White 1980; MacKinnon & White 1985). With other bases of categories, estimates b become T b, and their
covariance C becomes T C T'.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import frame, stored
from mr_ml.data.npz import check_arrays
from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.contrasts import NO_CONTRASTS, Contrasts
from mr_ml.models.needs import Needs
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic

Floats = NDArray[np.float64]

KIND = "inference"
# 1 where nothing is compared with a base, which earlier releases read too
_FORMAT = 2

INTERCEPT = "(intercept)"
Errors = Literal["model", "HC0", "HC1"]


@dataclass(frozen=True, kw_only=True)
class FitStatistics:
    """How well a model fits the rows that it was trained on; None where something is not defined.

    Attributes
    ----------
    n_rows
        Of positive weight.
    rank
        Parameters that the rows determine.
    df_residual, df_null
        Rows less these; and less the intercept.
    dispersion
        Of the model's likelihood: 1 where it is known, else Pearson's statistic over `df_residual`; None where there
        is no likelihood.
    is_dispersion_estimated
        Whether it is not known, so that tests are by Student's t.
    pearson, deviance, null_deviance
        Of the model, and of the best one that has nothing but an intercept (where the model has one) and the offsets.
    log_likelihood, aic, bic
        As R's `logLik`, `AIC` and `BIC` of `glm`.
    distance
        From the optimum, in standard errors of what differs most.
    """

    n_rows: stored.Count
    rank: stored.Count
    df_residual: int
    df_null: int
    dispersion: float | None
    is_dispersion_estimated: bool
    pearson: float | None
    deviance: float | None
    null_deviance: float | None
    log_likelihood: float | None
    aic: float | None
    bic: float | None
    distance: float | None


@dataclass(frozen=True, kw_only=True)
class _Header:
    """What the file says beside its arrays."""

    format: stored.Positive
    model: stored.Versioned
    dataset: stored.Versioned
    split: stored.Name
    outputs: tuple[str, ...]
    features: tuple[str, ...]
    statistics: FitStatistics
    notes: tuple[str, ...]
    has_model_errors: bool
    contrasts: Contrasts = NO_CONTRASTS

    may_lack: ClassVar[frozenset[str]] = frozenset({"contrasts"})


@dataclass(frozen=True, eq=False, kw_only=True)
class Inference:
    """How sure the parameters of a model are.

    Attributes
    ----------
    model, dataset, split
        The version, and the rows that it was trained on.
    outputs
        What each set of parameters is of: a class, or "coef".
    features
        Names of the parameters of each output; the intercept's is "(intercept)", and is the last.
    estimates
        (n,), n = n_outputs x n_features: all of the first output, then those of the next.
    covariance
        (n, n) of the estimates as the model's likelihood has it; None if it has none. Not a number where the rows do
        not determine a parameter.
    robust_covariance
        (n, n) of the sandwich, HC0.
    statistics
        Of the fit.
    notes
        Sentences without which the numbers would mislead.
    contrasts
        Columns of categories that are compared with one of them, their base, which has no parameter; see `rebased`.
    """

    model: str
    dataset: str
    split: str
    outputs: tuple[str, ...]
    features: tuple[str, ...]
    estimates: Floats
    covariance: Floats | None
    robust_covariance: Floats
    statistics: FitStatistics
    notes: tuple[str, ...]
    contrasts: Contrasts = NO_CONTRASTS

    def __post_init__(self) -> None:
        n = len(self.outputs) * len(self.features)
        assert self.estimates.shape == (n,)
        assert self.robust_covariance.shape == (n, n)

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """Output and feature of each parameter, in their order."""
        return [(output, feature) for output in self.outputs for feature in self.features]

    @property
    def bases(self) -> tuple[str, ...]:
        """The features ``COLUMN=LEVEL`` that others of their columns are less."""
        return self.contrasts.bases

    def rebased(self, *bases: str) -> Inference:
        """Return the same with other categories to compare with.

        Parameters
        ----------
        *bases
            Features, ``COLUMN=LEVEL``; columns that are not named keep the base that they have.

        Raises
        ------
        UsageError
            If one is no category of a column that is compared with a base.
        """
        contrasts = self.contrasts.with_bases(bases)
        features, of_one = self.contrasts.change(self.features, contrasts)
        change = np.asarray(np.kron(np.eye(len(self.outputs)), of_one), np.float64)
        return replace(
            self, features=features, contrasts=contrasts, estimates=change @ self.estimates,
            covariance=None if self.covariance is None else _changed(self.covariance, change),
            robust_covariance=_changed(self.robust_covariance, change),
        )  # fmt: skip

    @property
    def errors(self) -> Errors:
        """Which standard errors tests are made with unless another choice is made: the model's, if it has some."""
        return "HC1" if self.covariance is None else "model"

    def covariance_of(self, errors: Errors | None = None) -> Floats:
        """Return the covariance matrix of the estimates, (n, n).

        Parameters
        ----------
        errors
            "model", of the likelihood; "HC0" or "HC1", of the sandwich; None for `errors`.

        Raises
        ------
        UsageError
            If there is none of the likelihood, or no such kind.
        """
        chosen = errors or self.errors
        if chosen == "model":
            if self.covariance is None:
                raise UsageError(f"{self.model} has no standard errors but robust ones: {' '.join(self.notes)}")
            return self.covariance
        if chosen == "HC0":
            return self.robust_covariance
        if chosen == "HC1":
            left = self.statistics.df_residual
            return self.robust_covariance * (self.statistics.n_rows / left if left > 0 else math.nan)
        raise UsageError(f"`errors`: expected model, HC0 or HC1, found {stored.shown(errors)}")

    def std_errors(self, errors: Errors | None = None) -> Floats:
        """Return the standard errors of the estimates, (n,); not a number where one is not determined."""
        return np.sqrt(np.diag(self.covariance_of(errors)))

    @property
    def statistic(self) -> Literal["z", "t"]:
        """What an estimate over its standard error is: normal, or Student's t with `df_residual` degrees of freedom."""
        return "t" if self.statistics.is_dispersion_estimated else "z"

    def test_statistics(self, errors: Errors | None = None) -> Floats:
        """Return estimates over their standard errors, (n,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.estimates / self.std_errors(errors)

    def p_values(self, errors: Errors | None = None) -> Floats:
        """Return two-sided p values of the hypothesis that a parameter is 0, (n,)."""
        from scipy import special

        size = -np.abs(self.test_statistics(errors))
        if self.statistic == "z":
            return np.asarray(2 * special.ndtr(size))
        return np.asarray(2 * special.stdtr(self.statistics.df_residual, size))

    def intervals(self, level: float = 0.95, errors: Errors | None = None) -> Floats:
        """Return Wald's confidence intervals, (n, 2).

        Raises
        ------
        UsageError
            If the level is not between 0 and 1.
        """
        from scipy import special

        if not 0 < level < 1:
            raise UsageError(f"`level`: expected a number above 0 and below 1, found {stored.shown(level)}")
        upper = (1 + level) / 2
        left = self.statistics.df_residual
        quantile = special.ndtri(upper) if self.statistic == "z" else special.stdtrit(left, upper)
        reach = quantile * self.std_errors(errors)
        return np.stack([self.estimates - reach, self.estimates + reach], axis=1)

    def rows(self, level: float = 0.95, errors: Errors | None = None) -> Iterator[dict[str, Any]]:
        """Yield what is known of each parameter by name, as ``mr-ml models show --table --csv`` has it."""
        nothing = np.full(len(self.estimates), math.nan)
        columns = {
            "estimate": self.estimates,
            "std_error": nothing if self.covariance is None else self.std_errors("model"),
            "robust_std_error": self.std_errors("HC1"),
            self.statistic: self.test_statistics(errors),
            "p": self.p_values(errors),
            "low": self.intervals(level, errors)[:, 0],
            "high": self.intervals(level, errors)[:, 1],
        }
        for k, (output, feature) in enumerate(self.parameters):
            yield {"output": output, "feature": feature, **{name: float(of[k]) for name, of in columns.items()}}

    def to_json(self, level: float = 0.95, errors: Errors | None = None) -> dict[str, Any]:
        """Return what is known of the fit and of each parameter; covariances are in the file alone."""
        return {
            "model": self.model,
            "dataset": self.dataset,
            "split": self.split,
            "errors": errors or self.errors,
            "level": level,
            "bases": list(self.bases),
            "parameters": list(self.rows(level, errors)),
            **asdict(self.statistics),
            "notes": list(self.notes),
        }

    def encode(self) -> bytes:
        """Return the frame of its file."""
        meta: dict[str, Any] = {
            "format": _FORMAT if self.contrasts else 1,
            "model": self.model,
            "dataset": self.dataset,
            "split": self.split,
            "outputs": list(self.outputs),
            "features": list(self.features),
            "statistics": asdict(self.statistics),
            "notes": list(self.notes),
            "has_model_errors": self.covariance is not None,
        }
        if self.contrasts:
            meta["contrasts"] = asdict(self.contrasts)
        arrays = {"estimates": self.estimates, "robust_covariance": self.robust_covariance}
        if self.covariance is not None:
            arrays["covariance"] = self.covariance
        return frame.encode(KIND, meta, arrays)

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> Inference:
        """Undo `encode`.

        Raises
        ------
        BadDataError
            If it is damaged, or of a newer mr_ml.
        """
        opened = frame.decode(data, kind=KIND, where=where)
        number = opened.meta.get("format")
        if isinstance(number, int) and number > _FORMAT:
            raise BadDataError(
                f"{where}: expected an inference of format {_FORMAT} at most, found {number}; upgrade mr_ml"
            )
        header = stored.read(_Header, opened.meta, where=where)
        n = len(header.outputs) * len(header.features)
        shapes: dict[str, tuple[int, ...]] = {"estimates": (n,), "robust_covariance": (n, n)}
        if header.has_model_errors:
            shapes["covariance"] = (n, n)
        check_arrays(opened.arrays, shapes, where=where)
        return cls(
            model=header.model,
            dataset=header.dataset,
            split=header.split,
            outputs=header.outputs,
            features=header.features,
            estimates=opened.arrays["estimates"],
            covariance=opened.arrays.get("covariance"),
            robust_covariance=opened.arrays["robust_covariance"],
            statistics=header.statistics,
            notes=header.notes,
            contrasts=header.contrasts,
        )


def _changed(covariance: Floats, change: Floats) -> Floats:
    """Return T C T', not a number for what one is combined of whose variance is none."""
    known = ~np.isnan(np.diag(covariance))
    found = np.asarray(change @ np.where(np.isnan(covariance), 0.0, covariance) @ change.T)
    unknown = (change[:, ~known] != 0).any(axis=1)
    found[unknown] = math.nan
    found[:, unknown] = math.nan
    return found


class Inferring(Protocol):
    """How it is found how sure the parameters of a model are: one pass over its rows, or a few."""

    @property
    def columns(self) -> NDArray[np.int32] | None:
        """The features of the dataset that queries are about; None for all."""

    def needs(self) -> Needs:
        """Return what a pass holds besides blocks."""

    def run(self, run_pass: Callable[[Query], Statistic]) -> Inference:
        """Run the passes and return what they say.

        Raises
        ------
        NoModelError
            If no rows count.
        """


def check_asked(reason: str | None) -> None:
    """Refuse standard errors of a model that has none, for a reason; UsageError.

    Parameters
    ----------
    reason
        `mr_ml.models.base.TrainSpec.no_inference`, if they are asked for.
    """
    if reason is not None:
        raise UsageError(f"`inference`: {reason}")
