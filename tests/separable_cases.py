"""Random problems that may have no finite optimum, whether they have, and searches over them by any solver.

The oracle is linear programming: with a_i the rows, signed so that larger a_i . d is further on the row's right side,

    maximise sum_i t_i    such that    a_i . d >= t_i,  0 <= t_i <= 1   (and b_i . d = 0 for rows that are to stay)

(d within bounds) is 0 exactly where no direction d lowers some row's loss for ever and raises no other one's. Features
are small whole numbers, so that rows on a plane are on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from builders import engine_of, make_blocks, make_objective
from numpy.typing import NDArray
from scipy.optimize import linprog

from mr_ml.models.linear.losses import loss_from_text
from mr_ml.models.linear.objective import Objective
from mr_ml.models.linear.penalty import FeaturePenalty
from mr_ml.models.linear.reading import RowSpec
from mr_ml.optimize.base import Result
from mr_ml.optimize.choose import choose
from mr_ml.passes.in_memory import InMemoryEngine

Floats = NDArray[np.float64]


COUNTS = ("poisson", "tweedie:power=1.5", "negative_binomial:theta=2")
TWO_CLASSES = ("logistic", "probit", "cloglog")
LOSSES = (*TWO_CLASSES, "softmax", *COUNTS)


@dataclass(frozen=True, eq=False)
class Case:
    """Rows (n_rows, n_features) and labels; weights and offsets (n_rows,), or None; and whether coefficients >= 0."""

    loss: str
    x: Floats
    y: Floats
    weights: Floats | None = None
    offsets: Floats | None = None
    bounded: bool = False

    @property
    def classes(self) -> tuple[float, ...]:
        """Those of a classifier."""
        return () if self.loss in COUNTS else tuple(np.unique(self.y).tolist())


def random_case(loss: str, seed: int, *, bounded: bool = False) -> Case:
    """Make rows that a plane divides by several features, wholly or but for those on it; or almost."""
    random = np.random.default_rng([seed, LOSSES.index(loss)])
    n, d = int(random.integers(12, 80)), int(random.integers(2, 6))
    x = 2 * random.integers(-4, 5, (n, d)).astype(np.float64)
    if tail := int(random.integers(3)):
        # a few rows far out
        x[:, 0] = 6 * np.round(np.exp(tail * random.normal(size=n)) * random.choice([-1, 1], n))
    plane = random.choice([-2.0, -1.0, 1.0, 2.0], d)
    if bounded and random.random() < 0.7:
        plane = np.abs(plane)
    side = x @ plane - 2.0 * float(random.integers(-2, 3))
    on_it = np.abs(side) <= random.choice([0, 0, 2, 6])
    if loss in COUNTS and random.random() < 0.7:
        on_it |= side > 0
    x[on_it, -1] -= side[on_it] / plane[-1]
    side[on_it] = 0
    if loss in COUNTS:
        # any counts on the plane, zeros elsewhere: a direction lowers them if all are on one side
        y = np.where(on_it, random.poisson(2.0, n), 0).astype(np.float64)
        y[0] = max(y[0], 1.0)
        changed = 5.0
    else:
        n_classes = 3 if loss == "softmax" else 2
        y = np.where(on_it, random.integers(0, n_classes, n), np.where(side > 0, n_classes - 1, 0)).astype(np.float64)
        if n_classes == 3:
            y = np.where(y == 0, random.integers(0, 2, n), y)
        if len(np.unique(y)) < n_classes:
            y[:n_classes] = np.arange(n_classes)
        changed = float(random.integers(n_classes))
    if random.random() < 0.6:
        y[int(random.integers(n))] = changed
    weights: Floats | None = random.choice(np.array([0.5, 1.0, 3.0]), n) if random.random() < 0.2 else None
    offsets = random.normal(size=n) if random.random() < 0.2 and loss != "softmax" else None
    return Case(loss, x, y, weights, offsets, bounded)


def has_no_optimum(case: Case) -> bool:
    """Decide by linear programming."""
    a = np.column_stack([case.x, np.ones(len(case.y))])
    stays = np.zeros((0, a.shape[1]))
    if case.loss in COUNTS:
        signed, stays = -a[case.y == 0], a[case.y > 0]
    elif case.loss in TWO_CLASSES:
        signed = a * (2 * case.y - 1)[:, None]
    else:
        k, n = len(case.classes), a.shape[1]
        rows = []
        for row, label in zip(a, case.y.astype(int), strict=True):
            for other in range(k):
                if other != label:
                    one = np.zeros((k, n))
                    one[label], one[other] = row, -row
                    rows.append(one.ravel())
        signed = np.array(rows)
    m, n = signed.shape
    if not m:
        return False
    found = linprog(
        np.concatenate([np.zeros(n), -np.ones(m)]), A_ub=np.hstack([-signed, np.eye(m)]), b_ub=np.zeros(m),
        A_eq=np.hstack([stays, np.zeros((len(stays), m))]) if len(stays) else None,
        b_eq=np.zeros(len(stays)) if len(stays) else None,
        bounds=_bounds(case) + [(0, 1)] * m, method="highs",
    )  # fmt: skip
    assert found.status == 0, found.message
    assert -found.fun < 1e-6 or -found.fun > 0.5, found.fun
    return bool(-found.fun > 0.5)


def _bounds(case: Case) -> list[tuple[int | None, None]]:
    """Those of directions: a coefficient that must not fall below 0 may only rise for ever."""
    of_features = [(0 if case.bounded else None, None)] * case.x.shape[1]
    return [*of_features, (None, None)] * (len(case.classes) if case.loss == "softmax" else 1)


def searched(case: Case, solver: str, *, tolerance: float = 1e-6, max_passes: int = 300) -> Result:
    """Search as a training does, with a sample of the rows for those that ask for one."""
    return ended(case, solver, tolerance=tolerance, max_passes=max_passes)[0]


def ended(
    case: Case, solver: str, *, tolerance: float = 1e-6, max_passes: int = 300
) -> tuple[Result, Objective, InMemoryEngine]:
    """Search, and return what was searched with besides."""
    blocks = make_blocks(case.x, case.y, weights=case.weights, offsets=case.offsets, form="dense", block_rows=4096)
    engine = engine_of(blocks)
    spec = RowSpec(loss_from_text(case.loss), case.x.shape[1], classes=case.classes)
    objective = make_objective(engine, spec, l2=0.0)
    if case.bounded:
        objective = replace(objective, penalty=FeaturePenalty(lower=np.zeros(case.x.shape[1])))
    optimizer = choose(solver, size=objective.size, tolerance=tolerance, max_passes=max_passes, smooth=not case.bounded)
    sample = objective.sample((stored.block for stored in blocks), n_rows=len(case.y))
    state: Any = optimizer.init(objective.start())
    with np.errstate(all="ignore"):
        while (ask := optimizer.ask(state)) is not None:
            state = optimizer.tell(state, objective.finish(ask, engine.run(objective.query(ask))))
            point = optimizer.ask_sampled(state)
            if point is not None and sample is not None:
                state = optimizer.tell_sampled(state, sample.at(point))
    return optimizer.result(state), objective, engine
