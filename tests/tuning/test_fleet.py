"""The fleet of searches: who goes on, who is judged, who is dropped, and that states are stored whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mr_ml.optimize.base import Ask, Evaluation
from mr_ml.optimize.choose import choose
from mr_ml.optimize.fleet import Fleet, FleetAsk, FleetEvaluation, FleetState, Halving, Judgement

# minima of a member's objective, sum_j c_j (x_j - m_j)^4 + (x_j - m_j)^2, which L-BFGS needs some passes for
N, SCALE = 6, np.array([1.0, 30.0, 200.0])


def target(k: int) -> np.ndarray[Any, Any]:
    return np.array([1.0 + k, -2.0, 0.5 * k])


def evaluate(k: int, ask: Ask) -> Evaluation:
    def at(step: float) -> Any:
        return (ask.point if ask.direction is None else ask.point + step * ask.direction) - target(k)

    values = np.array([(SCALE * at(t) ** 4 + at(t) ** 2).sum() for t in ask.steps])
    x = at(ask.steps[ask.chosen])
    return Evaluation(values, 4 * SCALE * x**3 + 2 * x, 12 * SCALE * x**2 + 2 if ask.curvature else None)


def fleet(*, at_once: int = N, halving: Halving | None = None, solver: str = "lbfgs") -> Fleet:
    search = choose(solver, size=3, tolerance=1e-9, max_passes=300)
    # L-BFGS asks for the Hessian at the end, which this objective does not say
    search = replace(search, checks_hessian=False)  # type: ignore[type-var]
    return Fleet(
        searches=(search,) * N, sizes=(3,) * N, teams=(0, 0, 1, 1, 2, 2), begin=lambda k: search.init(np.zeros(3)),
        at_once=at_once, halving=halving,
    )  # fmt: skip


def passed(ask: FleetAsk, losses: Mapping[int, float]) -> FleetEvaluation:
    return FleetEvaluation(
        {k: evaluate(k, one) for k, one in ask.searches.items()},
        {k: Judgement(losses[k], {"loss": losses[k]}) for k in ask.judged},
    )


def searched(of: Fleet, losses: Mapping[int, float], *, through_storage: bool = False) -> tuple[FleetState, list[Any]]:
    state, asked = of.init(np.empty(0)), []
    while (ask := of.ask(state)) is not None:
        asked.append((sorted(ask.searches), {k: point.tobytes() for k, point in ask.judged.items()}))
        state = of.tell(state, passed(ask, losses))
        if through_storage:
            meta, arrays = of.encode(state)
            state = of.decode(meta, arrays, size=0)
    return state, asked


LOSSES = dict(zip(range(N), (3.0, 1.0, 0.5, 0.7, 2.0, 9.0), strict=True))


def test_points_wait_where_judging_takes_a_pass_of_its_own() -> None:
    for halving, n_judging in ((None, 1), (Halving(first=3, factor=2), 3)):
        _, asked = searched(replace(fleet(halving=halving), judges_apart=True), LOSSES)
        judging = [members for members, points in asked if points]
        # rungs and the end
        assert judging == [[]] * n_judging


def test_each_search_is_as_it_is_alone_however_many_go_on_at_once() -> None:
    alone = {}
    search = fleet().searches[0]
    for k in range(N):
        state = search.init(np.zeros(3))
        while (ask := search.ask(state)) is not None:
            state = search.tell(state, evaluate(k, ask))
        alone[k] = search.result(state)
    ends = []
    for at_once in (N, 4, 1):
        state, asked = searched(fleet(at_once=at_once), LOSSES)
        judged = {k: point for _, points in asked for k, point in points.items()}
        assert judged == {k: result.point.tobytes() for k, result in alone.items()}
        assert [m.ended and m.ended.passes for m in state.members] == [r.progress.passes for r in alone.values()]
        assert all(len(members) <= at_once for members, _ in asked)
        assert fleet().team_losses(state) == {0: 2.0, 1: 0.6, 2: 5.5}
        ends.append(state.passes)
    # as many passes as the longest search, and one in which its end is judged
    assert ends[0] == max(r.progress.passes for r in alone.values()) + 1
    assert ends[-1] == sum(r.progress.passes for r in alone.values()) + 1


@pytest.mark.parametrize("halving", [None, Halving(first=3, factor=2)])
@pytest.mark.parametrize("at_once", [N, 4, 1])
def test_a_state_that_was_stored_goes_on_in_the_same_way(at_once: int, halving: Halving | None) -> None:
    of = fleet(at_once=at_once, halving=halving)
    assert searched(of, LOSSES)[1] == searched(of, LOSSES, through_storage=True)[1]


@pytest.mark.parametrize("at_once", [N, 4, 1])
def test_halving_drops_the_teams_that_are_worse_at_its_rungs(at_once: int) -> None:
    # means 2, 0.6 and 5.5: of three teams two stay after three passes, and one after six
    state, asked = searched(fleet(at_once=at_once, halving=Halving(first=3, factor=2)), LOSSES)
    assert [member.dropped for member in state.members] == [1, 1, None, None, 0, 0]
    assert all(member.ended is not None for member in state.members[2:4])
    times = {k: sum(k in members for members, _ in asked) for k in range(N)}
    whole, _ = searched(fleet(), LOSSES)
    # rungs are judged in passes that others make
    assert at_once < N or state.passes <= whole.passes
    # a pass more than the rung where it was told of in the one that judges
    assert all(3 <= times[k] <= 4 for k in (4, 5))
    assert all(6 <= times[k] <= 7 for k in (0, 1))
    assert all(whole.members[k].ended.passes == times[k] for k in (2, 3))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda meta, arrays: meta.update(members=meta["members"][1:]),
        lambda meta, arrays: meta.update(passes=-1),
        lambda meta, arrays: meta["members"][0].update(ended={"stop": "NOTHING", "passes": 3}),
        lambda meta, arrays: arrays.pop("0:point"),
        lambda meta, arrays: arrays.update({"0:point": np.zeros(4)}),
    ],
)
def test_a_state_that_is_none_is_refused(spoil: Any) -> None:
    of = fleet()
    state = of.init(np.empty(0))
    ask = of.ask(state)
    assert ask is not None
    meta, arrays = of.encode(of.tell(state, passed(ask, LOSSES)))
    spoil(meta, arrays)
    with pytest.raises((KeyError, TypeError, ValueError)):
        of.decode(meta, arrays, size=0)
