"""The parameters of a model for people: in an order that says what matters, with all that is known of each.

A coefficient w_j alone says little: its unit is one over that of the feature. |w_j| s_j, s_j the feature's standard
deviation in the rows of the training, compares them: by so much a typical change of the feature moves the margin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.models.inference import INTERCEPT, Errors, Inference

Floats = NDArray[np.float64]

Sort = Literal["size", "name", "raw", "order"]


@dataclass(frozen=True, eq=False, kw_only=True)
class CoefficientTests:
    """What standard errors say of some of the parameters.

    Attributes
    ----------
    inference, errors
        Whose they are, and of which kind.
    places
        (output, feature) -> place in the inference, of parameters that are in it as they are in the model; those of
        categories that are compared with a base, and of the intercept then, are not.
    """

    inference: Inference
    errors: Errors
    places: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, inference: Inference) -> CoefficientTests:
        """Return those of all parameters that are no contrasts."""
        contrasts = inference.contrasts
        compared = {name for column in contrasts.columns for name in column.others}
        n = len(inference.features)
        others = [k for k in range(n) if k not in contrasts.at_bases and inference.features[k] not in compared]
        places = {
            (output, inference.features[k]): n * at + k for at, output in enumerate(inference.outputs) for k in others
        }
        return cls(inference=inference, errors=inference.errors, places=places)

    def columns(self) -> dict[str, Floats]:
        """Return standard errors, test statistics and p values by the names of their columns."""
        inference = self.inference
        return {
            "std_error": inference.std_errors(self.errors),
            inference.statistic: inference.test_statistics(self.errors),
            "p": inference.p_values(self.errors),
        }

    def intervals(self, level: float) -> dict[tuple[str, str], tuple[float, float]]:
        """Return confidence intervals, by output and feature."""
        ends = self.inference.intervals(level, self.errors).tolist()
        return {name: (ends[at][0], ends[at][1]) for name, at in self.places.items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class Parameters:
    """Coefficients of each output.

    Attributes
    ----------
    outputs
        What each row of coefficients is of.
    coef
        (n_outputs, n), of features.
    intercepts
        (n_outputs,)
    name_of
        Of the feature at a place.
    deviations
        (n,) standard deviations of the features; None if they are not known.
    ratio
        What e^coefficient is; None where it is nothing.
    tests
        None if no standard errors are kept, or none are of these coefficients.
    n_absent
        Features besides, which no row had, and whose coefficients are 0.
    notes
        Sentences of what standard errors found, as that rows do not determine some of the coefficients.
    """

    outputs: tuple[str, ...]
    coef: Floats
    intercepts: Floats
    name_of: Callable[[int], str]
    deviations: Floats | None
    ratio: str | None
    tests: CoefficientTests | None
    n_absent: int = 0
    notes: tuple[str, ...] = ()

    @property
    def n_features(self) -> int:
        """Features that have a coefficient."""
        return int(self.coef.shape[1])

    def sizes(self, output: int) -> Floats:
        """Return |coefficient| x standard deviation, (n,); |coefficient| where that is not known."""
        size = np.abs(self.coef[output])
        return size if self.deviations is None else np.asarray(size * self.deviations)

    def ordered(self, output: int, sort: Sort) -> NDArray[np.int64]:
        """Return the places of the features of an output in an order; equal ones stay in that of the features."""
        if sort == "size":
            return np.argsort(-self.sizes(output), kind="stable")
        if sort == "raw":
            return np.argsort(-np.abs(self.coef[output]), kind="stable")
        places = np.arange(self.n_features)
        return places if sort == "order" else np.array(sorted(places.tolist(), key=self.name_of), np.int64)

    def columns(self) -> list[str]:
        """Return the keys of what `rows` yields."""
        ratio = [] if self.ratio is None else [self.ratio.replace(" ", "_")]
        tests = [] if self.tests is None else list(self.tests.columns())
        return ["output", "feature", "coef", "standardized", *ratio, *tests]

    def rows(self, *, sort: Sort = "size", most: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the intercept of each output, then `most` of its coefficients (None for all), keys as in `columns`.

        What is not known of one is None.
        """
        tests = {} if self.tests is None else self.tests.columns()
        places = {} if self.tests is None else self.tests.places
        ratio = None if self.ratio is None else self.ratio.replace(" ", "_")
        for k, output in enumerate(self.outputs):
            for j in (None, *self.ordered(k, sort)[:most].tolist()):
                name, value = (INTERCEPT, self.intercepts[k]) if j is None else (self.name_of(j), self.coef[k, j])
                row: dict[str, Any] = {"output": output, "feature": name, "coef": float(value), "standardized": None}
                if j is not None and self.deviations is not None:
                    row["standardized"] = float(value * self.deviations[j])
                if ratio is not None:
                    with np.errstate(over="ignore"):
                        row[ratio] = None if j is None else float(np.exp(value))
                at = places.get((output, name))
                yield row | {column: None if at is None else float(of[at]) for column, of in tests.items()}
