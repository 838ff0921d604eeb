"""Functions that optimizers are tested on: analytic ones, and small models fitted by the in-memory engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from builders import make_engine, make_objective, minimise
from scipy.optimize import rosen, rosen_der, rosen_hess

from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.reading import RowSpec
from mr_ml.optimize.base import Ask, Evaluation
from mr_ml.optimize.lbfgs import Lbfgs
from mr_ml.optimize.line_search import LineMethod
from mr_ml.optimize.line_state import LineState
from mr_ml.optimize.newton import Newton

METHODS: list[type[LineMethod]] = [Lbfgs, Newton]


@dataclass(frozen=True)
class Function:
    """What an engine and an objective are to an optimizer."""

    value: Callable[[Any], float]
    gradient: Callable[[Any], Any]
    hessian: Callable[[Any], Any]

    def __call__(self, ask: Ask) -> Evaluation:
        points = [ask.point if ask.direction is None else ask.point + t * ask.direction for t in ask.steps]
        at = points[ask.chosen]
        values = np.array([self.value(p) for p in points])
        hessian = self.hessian(at)
        curvature = np.diag(hessian).copy() if ask.curvature or ask.hessian else None
        return Evaluation(values, self.gradient(at), curvature, hessian if ask.hessian else None)


def run(function: Function, method: LineMethod, start: Any) -> list[LineState]:
    states = [method.init(np.asarray(start, float))]
    while (ask := method.ask(states[-1])) is not None:
        states.append(method.tell(states[-1], function(ask)))
    return states


ROSENBROCK = Function(rosen, rosen_der, rosen_hess)


def quadratic(scales: Any, *, centre: Any = 0.0) -> Function:
    a = np.asarray(scales, float)
    return Function(
        lambda x: float(0.5 * (a * (x - centre) ** 2).sum()), lambda x: a * (x - centre), lambda x: np.diag(a)
    )


def barrier() -> Function:
    """sum x - log x: infinite left of 0, and nothing at all that is known there."""

    def value(x: Any) -> float:
        return float((x - np.log(x)).sum()) if (x > 0).all() else np.inf

    return Function(value, lambda x: 1 - 1 / x, lambda x: np.diag(1 / x**2))


def logistic_rows(n: int = 150, d: int = 8, *, seed: int = 3) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ (np.eye(d) + 0.4 * rng.normal(size=(d, d)))
    y = (x @ rng.normal(size=d) + rng.logistic(size=n) * 2 > 0).astype(float)
    return x, y


def fitted(x: Any, y: Any, method: LineMethod, *, l2: float = 0.01, **options: Any) -> LineState:
    spec = RowSpec(
        loss_from_json(options.pop("loss", "logistic")), x.shape[1], classes=options.pop("classes", (0.0, 1.0))
    )
    engine = make_engine(x, y, form="stored", block_rows=options.pop("block_rows", 4096))
    state: LineState = minimise(engine, make_objective(engine, spec, l2=l2, **options), method)
    return state
