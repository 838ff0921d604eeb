"""Answers to small problems in as many digits as it takes: logistic regression in 50, least squares in fractions.

Doubles are taken for what they are. With theta = (w, b), a_i = (x_i, 1) and p_i = 1 / (1 + exp(-a_i . theta)):

    sum_i u_i (p_i - y_i) a_i / sum_i u_i + l2 (w, 0) = 0             logistic
    sum_i u_i (a_i . theta - y_i) a_i / sum_i u_i + l2 (w, 0) = 0     squared
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from problems import Problem

Floats = NDArray[np.float64]

_DIGITS = 50


def answer(problem: Problem) -> tuple[Floats, Floats]:
    """coef (n_features + 1,), intercept last, and margins (n_rows,), both rounded once."""
    return _logistic(problem) if problem.loss == "logistic" else _squared(problem)


def _logistic(problem: Problem) -> tuple[Floats, Floats]:
    with mpmath.workdps(_DIGITS):
        # the mean taken off: otherwise the first steps from zero are of no use; put back at the end, exactly enough
        columns = [[mpmath.mpf(v) for v in column.tolist()] for column in problem.x.T]
        means = [mpmath.fsum(column) / len(column) for column in columns]
        rows = mpmath.matrix(
            [[v - m for v, m in zip(row, means, strict=True)] + [1] for row in zip(*columns, strict=True)]
        )
        total = mpmath.fsum(problem.u.tolist())
        u, y = [mpmath.mpf(w) / total for w in problem.u.tolist()], problem.y.tolist()
        size = len(columns) + 1

        def objective(theta: Any) -> Any:
            losses = [
                w * mpmath.log1p(mpmath.exp(z if not one else -z)) for w, one, z in zip(u, y, rows * theta, strict=True)
            ]
            return mpmath.fsum(losses) + problem.l2 * mpmath.fsum(v * v for v in theta[: size - 1]) / 2

        rate = mpmath.fsum(w for w, one in zip(u, y, strict=True) if one)
        theta = mpmath.matrix(size, 1)
        theta[size - 1] = mpmath.log(rate / (1 - rate))
        value = objective(theta)
        for _ in range(200):
            p = [1 / (1 + mpmath.exp(-z)) for z in rows * theta]
            g = rows.T * mpmath.matrix([w * (a - b) for w, a, b in zip(u, p, y, strict=True)])
            h = rows.T * mpmath.diag([w * a * (1 - a) for w, a in zip(u, p, strict=True)]) * rows
            for j in range(size - 1):
                g[j] += problem.l2 * theta[j]
                h[j, j] += problem.l2
            step = mpmath.lu_solve(h, -g)
            length = mpmath.mpf(1)
            while (new := objective(theta + length * step)) > value and length > 1e-9:
                length /= 2
            theta, value = theta + length * step, new
            if max(abs(z) for z in rows * step) < mpmath.mpf(10) ** (-_DIGITS // 2):
                break
        else:
            raise AssertionError("expected an optimum")
        z = rows * theta
        theta[size - 1] -= mpmath.fsum(theta[j] * means[j] for j in range(size - 1))
        return np.array([float(v) for v in theta]), np.array([float(v) for v in z])


def _squared(problem: Problem) -> tuple[Floats, Floats]:
    rows = [[*map(Fraction, row), Fraction(1)] for row in problem.x.tolist()]
    y, u = [*map(Fraction, problem.y.tolist())], [*map(Fraction, problem.u.tolist())]
    size, total = len(rows[0]), _exact_sum(u)
    h = [
        [_exact_sum(w * r[j] * r[k] for w, r in zip(u, rows, strict=True)) / total for k in range(size)]
        for j in range(size)
    ]
    g = [_exact_sum(w * r[j] * t for w, r, t in zip(u, rows, y, strict=True)) / total for j in range(size)]
    for j in range(size - 1):
        h[j][j] += Fraction(problem.l2)
    theta = _solve(h, g)
    return np.array([*map(float, theta)]), np.array(
        [float(sum(a * b for a, b in zip(r, theta, strict=True))) for r in rows]
    )


def _exact_sum(terms: Iterable[Fraction]) -> Fraction:
    return sum(terms, Fraction(0))


def _solve(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """By elimination: of a positive definite matrix no pivot is zero."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for k in range(len(rows)):
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for i, row in enumerate(rows):
            if i != k and row[k]:
                rows[i] = [a - row[k] * b for a, b in zip(row, rows[k], strict=True)]
    return [row[-1] for row in rows]
