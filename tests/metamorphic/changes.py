"""Changes of a problem whose effect on the answer is known without solving either.

A change makes another problem and says what the margins of its rows must be, given those of the first. What is another
number afterwards is due to how it was computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from problems import Floats, Problem, has_positive_margins


@dataclass(frozen=True, eq=False)
class Changed:
    """The changed problem, and its rows' margins (n_rows, n_outputs) from those of the first."""

    problem: Problem
    margins: Callable[[Floats], Floats] = lambda z: z


def _has_raw_penalty(problem: Problem) -> bool:
    return problem.l2 > 0 and problem.space == "raw"


def scale_each(problem: Problem) -> Changed | None:
    """Each feature in a unit of its own, by 10^±12: a raw penalty has a unit, then it is another problem."""
    if _has_raw_penalty(problem):
        return None
    factors = np.resize([1e12, 1e-12, 1.0, 1e-5], problem.x.shape[1])
    return Changed(replace(problem, x=problem.x * factors))


def _scale_all(factor: float) -> Callable[[Problem], Changed | None]:
    def change(problem: Problem) -> Changed | None:
        """All features in another unit, and the raw penalty with them."""
        if not _has_raw_penalty(problem):
            return None
        return Changed(replace(problem, x=problem.x * factor, l2=problem.l2 * factor**2))

    return change


def parameter(loss: str, name: str) -> float:
    return float(loss.partition(f"{name}=")[2].partition(",")[0])


def with_parameter(loss: str, name: str, value: float) -> str:
    before, _, after = loss.partition(f"{name}=")
    return f"{before}{name}={value!r}{''.join(after.partition(',')[1:])}"


def variance_power(loss: str) -> float:
    """Of the mean, to which the variance of such labels is proportional."""
    return {"poisson": 1.0, "gamma": 2.0}.get(loss.partition(":")[0]) or parameter(loss, "power")


def _scale_target(factor: float) -> Callable[[Problem], Changed | None]:
    def change(problem: Problem) -> Changed | None:
        """Labels c y: of l(z, y) becomes c^a l, at margins that are c^b as large, or log c larger."""
        loss, c, offsets = problem.loss, factor, problem.offsets
        name = loss.partition(":")[0]
        if name in ("squared", "huber", "quantile", "inverse_gaussian") or loss == "gamma:link=inverse":
            a, b = {"squared": (2, 1), "huber": (2, 1), "quantile": (1, 1), "inverse_gaussian": (-1, -2)}.get(
                name, (0, -1)
            )
            if name in ("huber", "quantile"):
                unit = "delta" if name == "huber" else "width"
                loss = with_parameter(loss, unit, parameter(loss, unit) * c)
            # |w|^2 is c^2b as large, and the penalty is to be c^a as large
            changed = replace(
                problem, loss=loss, y=problem.y * c, l2=problem.l2 * c**a / c ** (2 * b),
                offsets=None if offsets is None else offsets * c**b,
            )  # fmt: skip
            return Changed(changed, lambda z: z * c**b)
        if name in ("poisson", "gamma", "tweedie") and problem.intercept:
            power = variance_power(loss)
            changed = replace(problem, y=problem.y * c, l2=problem.l2 * c ** (2 - power))
            return Changed(changed, lambda z: z + np.log(c))
        return None

    return change


def negate_target(problem: Problem) -> Changed | None:
    """The other way up; the quantile from the other end."""
    name = problem.loss.partition(":")[0]
    if name not in ("squared", "huber", "quantile"):
        return None
    loss = problem.loss
    if name == "quantile":
        loss = with_parameter(loss, "level", 1 - parameter(loss, "level"))
    offsets = None if problem.offsets is None else -problem.offsets
    return Changed(replace(problem, loss=loss, y=0.0 - problem.y, offsets=offsets), lambda z: -z)


def move_offsets(problem: Problem) -> Changed | None:
    """A number added to all offsets is taken off the intercept."""
    if not problem.intercept or problem.loss == "softmax" or has_positive_margins(problem.loss):
        return None
    return Changed(replace(problem, offsets=problem.o + 3.0))


def feature_in_offsets(problem: Problem) -> Changed | None:
    """A feature added to the offsets is taken off its coefficient, where that is free."""
    if problem.l2 or problem.loss == "softmax" or has_positive_margins(problem.loss):
        return None
    return Changed(replace(problem, offsets=problem.o + 0.5 * problem.x[:, 0]))


def rates(problem: Problem) -> Changed | None:
    """With the link log, counts of an exposure e^o are rates y e^-o that weigh e^((2 - p) o), p being the variance's
    power of the mean."""
    name = problem.loss.partition(":")[0]
    if name not in ("poisson", "gamma", "tweedie") or has_positive_margins(problem.loss) or problem.offsets is None:
        return None
    if problem.l2 and problem.space == "scaled":
        return None
    power = variance_power(problem.loss)
    weights = problem.u * np.exp((2 - power) * problem.o)
    # the mean is by other weights
    l2 = problem.l2 * problem.u.sum() / weights.sum()
    changed = replace(problem, y=problem.y * np.exp(-problem.o), weights=weights, offsets=None, l2=l2)
    return Changed(changed, lambda z: z - problem.o[:, None])


def wide_huber(problem: Problem) -> Changed | None:
    """All residuals within delta: half their squares."""
    return Changed(replace(problem, loss="huber:delta=1e6")) if problem.loss == "squared" else None


def _shift(by: float) -> Callable[[Problem], Changed | None]:
    def change(problem: Problem) -> Changed | None:
        """Features far from zero: the intercept is free and takes it up. Only columns that are full are moved."""
        if not problem.intercept:
            return None
        full = (problem.x != 0).all(axis=0)
        moved = np.where(full, np.resize([by, -3 * by / 4], full.shape), 0.0)
        return Changed(replace(problem, x=problem.x + moved))

    return change


def shift_target(problem: Problem) -> Changed | None:
    """A target far from zero."""
    if problem.loss.partition(":")[0] not in ("squared", "huber", "quantile") or not problem.intercept:
        return None
    return Changed(replace(problem, y=problem.y + 2.0**30), lambda z: z + 2.0**30)


def repeat_rows(problem: Problem) -> Changed | None:
    """A row of weight 3 is three rows."""
    if problem.weights is None:
        return None
    at = np.repeat(np.arange(len(problem.y)), problem.weights.astype(int))
    offsets = None if problem.offsets is None else problem.offsets[at]
    changed = replace(problem, x=problem.x[at], y=problem.y[at], weights=None, offsets=offsets)
    return Changed(changed, lambda z: z[at])


def split_weights(problem: Problem) -> Changed | None:
    """A row is two rows that share its weight."""
    if problem.weights is None:
        return None
    at = np.tile(np.arange(len(problem.y)), 2)
    share = np.repeat([0.25, 0.75], len(problem.y))
    offsets = None if problem.offsets is None else problem.offsets[at]
    changed = replace(problem, x=problem.x[at], y=problem.y[at], weights=problem.weights[at] * share, offsets=offsets)
    return Changed(changed, lambda z: z[at])


def weightless_rows(problem: Problem) -> Changed | None:
    """Rows of weight 0 are none: here those with labels of other rows."""
    if problem.weights is None:
        return None
    n = len(problem.y)
    at = np.append(np.arange(n), np.arange(n)[::-1])
    offsets = None if problem.offsets is None else problem.offsets[at]
    y, weights = np.tile(problem.y, 2), np.append(problem.weights, np.zeros(n))
    return Changed(replace(problem, x=problem.x[at], y=y, weights=weights, offsets=offsets), lambda z: z[at])


def _scale_weights(factor: float) -> Callable[[Problem], Changed | None]:
    def change(problem: Problem) -> Changed | None:
        """Weights in another unit: the objective is a mean."""
        if problem.weights is None:
            return None
        return Changed(replace(problem, weights=problem.weights * factor))

    return change


def reverse_columns(problem: Problem) -> Changed:
    return Changed(replace(problem, x=problem.x[:, ::-1].copy()))


def reverse_rows(problem: Problem) -> Changed:
    weights = None if problem.weights is None else problem.weights[::-1]
    offsets = None if problem.offsets is None else problem.offsets[::-1]
    changed = replace(problem, x=problem.x[::-1], y=problem.y[::-1], weights=weights, offsets=offsets)
    return Changed(changed, lambda z: z[::-1])


def negate(problem: Problem) -> Changed:
    """Some features the other way round."""
    return Changed(replace(problem, x=problem.x * np.resize([-1.0, 1.0], problem.x.shape[1]) + 0.0))


def rename_classes(problem: Problem) -> Changed | None:
    """The two classes swapped turn the margins round, where these are alike; of several each keeps its own."""
    if problem.loss in ("logistic", "probit", "squared_hinge"):
        offsets = None if problem.offsets is None else -problem.offsets
        return Changed(replace(problem, y=1 - problem.y, offsets=offsets), lambda z: -z)
    if problem.loss == "softmax":
        return Changed(replace(problem, y=np.array([1.0, 2.0, 0.0])[problem.y.astype(int)]), lambda z: z[:, [2, 0, 1]])
    return None


def _constant(value: float) -> Callable[[Problem], Changed | None]:
    def change(problem: Problem) -> Changed | None:
        """A column that says nothing, beside an intercept that is free."""
        if not problem.intercept:
            return None
        column = np.full((len(problem.y), 1), value)
        return Changed(replace(problem, x=np.hstack([problem.x[:, :2], column, problem.x[:, 2:]])))

    return change


def intercept_as_column(problem: Problem) -> Changed | None:
    """A column of 1 is an intercept, where coefficients are free."""
    if not problem.intercept or problem.l2 or has_positive_margins(problem.loss):
        return None
    return Changed(replace(problem, x=np.hstack([problem.x, np.ones((len(problem.y), 1))]), intercept=False))


def twice(problem: Problem) -> Changed | None:
    """A feature as two columns of 3/5 and 4/5 of it: w becomes 3/5 w and 4/5 w, of the same length."""
    if problem.l2 and problem.space == "scaled":
        return None
    parts = problem.x[:, :1] * [0.6, 0.8]
    return Changed(replace(problem, x=np.hstack([parts, problem.x[:, 1:]])))


def _tiny(size: float) -> Callable[[Problem], Changed | None]:
    def change(problem: Problem) -> Changed | None:
        """One feature more, so small that the raw penalty leaves it no effect: w = -g / l2 is of its size, x w of the
        square of it."""
        if not _has_raw_penalty(problem):
            return None
        column = size * np.random.default_rng(7).normal(size=(len(problem.y), 1))
        if (problem.x == 0).any():
            column[5:] = 0
        return Changed(replace(problem, x=np.hstack([column, problem.x])))

    return change


def two_outputs(problem: Problem) -> Changed | None:
    """Two classes by the softmax loss: margins -z/2 and z/2, of which the squares of the coefficients are half."""
    if problem.loss != "logistic" or problem.offsets is not None:
        return None
    changed = replace(problem, loss="softmax", l2=2 * problem.l2)
    return Changed(changed, lambda z: np.hstack([-z / 2, z / 2]))


CHANGES: dict[str, Callable[[Problem], Changed | None]] = {
    "each feature in a unit of its own": scale_each,
    "features x 1e12": _scale_all(1e12),
    "features x 1e-12": _scale_all(1e-12),
    "target x 1e12": _scale_target(1e12),
    "target x 1e-12": _scale_target(1e-12),
    "target + 2^30": shift_target,
    "features + 2^20": _shift(2.0**20),
    "features + 2^40": _shift(2.0**40),
    "rows repeated": repeat_rows,
    "weights shared": split_weights,
    "rows of weight 0": weightless_rows,
    "weights x 1e12": _scale_weights(1e12),
    "weights x 1e-12": _scale_weights(1e-12),
    "columns reversed": reverse_columns,
    "rows reversed": reverse_rows,
    "features negated": negate,
    "classes renamed": rename_classes,
    "intercept as a column": intercept_as_column,
    "a column of 1e9": _constant(1e9),
    "a feature twice": twice,
    "a feature of 1e-8": _tiny(1e-8),
    "as softmax": two_outputs,
    "target negated": negate_target,
    "offsets + 3": move_offsets,
    "a feature in the offsets": feature_in_offsets,
    "rates of an exposure": rates,
    "as huber": wide_huber,
}
