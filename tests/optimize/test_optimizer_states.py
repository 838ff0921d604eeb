"""Stops, steps and stored states of the line-search methods; what every optimizer promises is in tests/contract."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from builders import make_engine, make_objective, minimise, same_arrays
from functions import METHODS, ROSENBROCK, Function, barrier, fitted, logistic_rows, run
from golden_frames import STATE, golden

from mr_ml.data import frame
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.reading import RowSpec
from mr_ml.optimize.base import Evaluation, Stop, stacked
from mr_ml.optimize.lbfgs import Lbfgs, lbfgs
from mr_ml.optimize.line_search import SETTLED_STEPS, STEPS, LineMethod
from mr_ml.optimize.line_state import LineState

# --- stop reasons -----------------------------------------------------------------------------------------------------

SENTENCES = {
    Stop.GRADIENT: r"^converged: the largest gradient component is below the tolerance",
    Stop.ROUNDING: r"^converged as far as floating point goes.*the tolerance asks for more than",
    Stop.LINE_SEARCH: r"^stopped: no step lowers the objective although.*mr-ml describe.*raise --l2",
    Stop.SEPARABLE: r"^stopped: there is no finite optimum.*give --l2 or a larger one",
    Stop.FLAT: r"^stopped: the data does not determine the fit in double precision.*give --l2",
    Stop.PASSES: r"^stopped: the budget of passes is used up; raise --max-passes, loosen --tolerance or raise --l2",
    Stop.DIVERGED: r"^stopped: the objective is not finite at the starting point; look for huge feature values",
}


def gradient_stop(method: type[LineMethod]) -> LineState:
    return run(ROSENBROCK, method(tolerance=1e-6), [0.0, 0.0])[-1]


def rounding_stop(method: type[LineMethod]) -> LineState:
    x, y = logistic_rows()
    return fitted(x, y, method(tolerance=0.0))


def line_search_stop(method: type[LineMethod]) -> LineState:
    """A gradient that is not that of the values: every step goes up."""
    wrong = Function(lambda x: float(np.abs(x).sum()), lambda x: -np.ones_like(x), lambda x: np.eye(len(x)))
    return run(wrong, method(), [1.0, 2.0])[-1]


def separable_stop(method: type[LineMethod]) -> LineState:
    x, _ = logistic_rows()
    return fitted(x, (x[:, 0] > x[:, 1]).astype(float), method(), l2=0.0)


def flat_stop(method: type[LineMethod]) -> LineState:
    """Powers of a number of which each is almost a sum of the others, beyond double precision."""
    t = np.linspace(-9, -3, 80)
    x = t[:, None] ** np.arange(1, 20)
    y = np.sin(3 * t) + 0.001 * (np.arange(80) % 3)
    # as it is made for so few coefficients: what steps alone tell of flat directions depends on a processor's rounding
    made = lbfgs(size=20, tolerance=1e-6, max_passes=500) if method is Lbfgs else method()
    return fitted(x, y, made, l2=0.0, loss="squared", classes=(), centre=True)


def passes_stop(method: type[LineMethod]) -> LineState:
    return run(ROSENBROCK, method(max_passes=3), [-1.2, 1.0])[-1]


def diverged_stop(method: type[LineMethod]) -> LineState:
    return run(barrier(), method(), [-1.0])[-1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("reach", "stop"),
    [
        (gradient_stop, Stop.GRADIENT),
        (rounding_stop, Stop.ROUNDING),
        (line_search_stop, Stop.LINE_SEARCH),
        (passes_stop, Stop.PASSES),
        (diverged_stop, Stop.DIVERGED),
        (separable_stop, Stop.SEPARABLE),
        (flat_stop, Stop.FLAT),
    ],
)
def test_every_stop_is_reached_and_says_what_to_do(
    method: type[LineMethod], reach: Callable[[type[LineMethod]], LineState], stop: Stop
) -> None:
    last = reach(method)
    assert last.stop is stop
    assert method().ask(last) is None
    assert stop.converged == (stop in (Stop.GRADIENT, Stop.ROUNDING))
    assert re.search(SENTENCES[stop], stop.value)


def test_there_is_no_other_stop() -> None:
    assert set(Stop) == set(SENTENCES)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(2))
def test_a_tolerance_beyond_rounding_does_not_use_up_the_passes(method: type[LineMethod], seed: int) -> None:
    x, y = logistic_rows(seed=seed)
    softmax: dict[str, Any] = {"loss": "softmax", "classes": (0.0, 1.0, 2.0)}
    for labels, options in ((y, {}), (y + (x[:, 0] > 1), softmax)):
        soon = fitted(x, labels, method(tolerance=1e-9), **options)
        last = fitted(x, labels, method(tolerance=0.0), **options)
        assert last.stop is Stop.ROUNDING
        # how far values can tell better from worse depends on a processor's rounding: 1e-15 on most, 1e-11 on some
        assert last.gradient_norm <= 1e-10
        assert last.n_passes <= 2 * soon.n_passes + 10


@pytest.mark.parametrize("method", METHODS)
def test_features_that_overflow_are_not_left_out_in_silence(method: type[LineMethod]) -> None:
    x, y = logistic_rows()
    x[:, 3] *= 1e200
    with np.errstate(all="ignore"):
        last = fitted(x, y, method())
    assert last.stop is Stop.DIVERGED


# --- steps ------------------------------------------------------------------------------------------------------------


def settled_states() -> list[LineState]:
    """Those of a small model, up to the first that asks for few steps."""
    x, y = logistic_rows(n=200, d=6)
    states = [Lbfgs(tolerance=1e-12).init(np.zeros(7))]
    engine = make_engine(x, y)
    objective = make_objective(engine, RowSpec(loss_from_json("logistic"), 6, classes=(0.0, 1.0)), l2=1e-3)
    while states[-1].steps != SETTLED_STEPS:
        ask = Lbfgs(tolerance=1e-12).ask(states[-1])
        assert ask is not None
        states.append(Lbfgs(tolerance=1e-12).tell(states[-1], objective.finish(ask, engine.run(objective.query(ask)))))
    return states


def test_few_steps_are_tried_once_a_direction_was_taken_at_its_full_length() -> None:
    *before, last = settled_states()
    assert last.step == 1
    assert last.n_iterations >= 3
    assert all(set(state.steps) >= set(SETTLED_STEPS) for state in before[1:] if len(state.steps) > 1)


def test_all_steps_are_tried_where_none_of_the_few_will_do() -> None:
    state = settled_states()[-1]
    high = Evaluation(np.full(len(SETTLED_STEPS), state.value + 1), state.gradient)
    found = Lbfgs().tell(state, high)
    assert (found.steps, found.shrinks, found.stop) == (STEPS, 0, None)
    assert (found.direction == state.direction).all()
    shrunk = Lbfgs().tell(found, replace(high, values=np.full(len(STEPS), state.value + 1)))
    assert (max(shrunk.steps) < min(SETTLED_STEPS), shrunk.shrinks) == (True, 1)


# --- states -----------------------------------------------------------------------------------------------------------


def stored(method: LineMethod, state: LineState) -> LineState:
    size = len(state.point)

    def encoded(state: LineState) -> bytes:
        meta, arrays = method.encode(state)
        return frame.encode("state", meta, stacked(arrays, size))

    opened = frame.decode(encoded(state), kind="state", where="here")
    found = method.decode(opened.meta, opened.arrays, size=size)
    assert encoded(found) == encoded(state)
    return found


def same_state(one: LineState, other: LineState) -> bool:
    # pairs are sequences of vectors
    mine, theirs = ({**vars(s), "pairs_s": np.array(s.pairs_s), "pairs_y": np.array(s.pairs_y)} for s in (one, other))
    arrays, others = ({k: v for k, v in s.items() if isinstance(v, np.ndarray)} for s in (mine, theirs))
    scalars, other_scalars = ({k: repr(v) for k, v in s.items() if k not in arrays} for s in (mine, theirs))
    return same_arrays(arrays, others) and scalars == other_scalars


def test_a_failed_line_search_resumes_too() -> None:
    method = Lbfgs()
    wrong = Function(lambda x: float(np.abs(x).sum()), lambda x: -np.ones_like(x), lambda x: np.eye(len(x)))
    states = run(wrong, method, [1.0, 2.0])
    assert {s.shrinks for s in states} == {0, 1, 2, 3}
    for state in states:
        assert same_state(stored(method, state), state)


@pytest.mark.parametrize("method", METHODS)
def test_a_training_resumed_at_every_pass_ends_with_the_same_bits(method: type[LineMethod]) -> None:
    x, y = logistic_rows(n=120, d=4)
    engine = make_engine(x, y, block_rows=16, partitions=3)
    objective = make_objective(engine, RowSpec(loss_from_json("logistic"), 4, classes=(0.0, 1.0)), l2=0.01, centre=True)
    optimizer = method(tolerance=1e-9)
    undisturbed = minimise(engine, objective, optimizer)
    state = optimizer.init(np.zeros(objective.size))
    while (ask := optimizer.ask(state)) is not None:
        state = stored(optimizer, optimizer.tell(state, objective.finish(ask, engine.run(objective.query(ask)))))
    assert same_state(state, undisturbed)


def test_memory_bounds_the_pairs_and_the_oldest_go_first() -> None:
    states = run(ROSENBROCK, Lbfgs(memory=3, tolerance=1e-9), [-1.2, 1.0, 3.0, -1.0])
    sizes = [len(s.pairs_s) for s in states]
    assert max(sizes) == 3
    for earlier, later in pairwise(states):
        assert len(later.pairs_s) == len(later.pairs_y)
        if later.n_iterations > earlier.n_iterations and len(later.pairs_s) == 3 == len(earlier.pairs_s):
            kept, before = np.array(later.pairs_s)[:-1].tolist(), np.array(earlier.pairs_s).tolist()
            assert kept in (before[1:], before[:-1])
            np.testing.assert_allclose(later.pairs_s[-1], later.point - earlier.point, rtol=1e-15)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_format_is_read_as_ever(version: int) -> None:
    opened = frame.decode(golden(f"state-format-{version}.frame"), kind="state", where="golden")
    found = Lbfgs().decode(opened.meta, opened.arrays, size=2)
    # the first two said nothing of units, and the first one not where the curvature is from
    judged: dict[str, Any] = {
        "unit": np.ones(1),
        "fit_unit": 1.0,
        "start_unit": 1.0,
        "distance": np.inf,
        "separation": None,
    }
    older = replace(STATE, **judged, stalls=0, suspicions=0)
    oldest = replace(older, curvature_value=np.inf)
    assert same_state(found, {1: oldest, 2: older, 3: STATE}[version])
    assert not same_state(found, replace(STATE, n_passes=11))
