"""Many searches as one: each has a state of its own, a pass tells all of them, and those that have ended drop out.

Searches are members of teams: those of one team are for the same candidate on other rows. Where a search ends, its
point is judged, in the pass that the others make next: by rows that it was not told of. With `Halving` all are judged
after some passes, and the worse teams dropped.

No member depends on which others there are, or on how many go on at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.optimize.base import Ask, Cost, Evaluation, Floats, Optimizer, SearchProgress, Stop, Stored, stacked


@dataclass(frozen=True, kw_only=True)
class Halving:
    """When teams are dropped: after `first` passes, then after `factor` times as many each time; 1 of `factor` stay."""

    first: int
    factor: int


@dataclass(frozen=True, eq=False)
class FleetAsk:
    """What one pass is to compute: evaluations, and judgements of points, by the numbers of members."""

    searches: Mapping[int, Ask]
    judged: Mapping[int, Floats]


@dataclass(frozen=True)
class Judgement:
    """How good a point is.

    Attributes
    ----------
    loss
        The lower the better; infinite where it is good for nothing.
    metrics
        Numbers by name.
    """

    loss: float
    metrics: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FleetEvaluation:
    """What a pass found, by the numbers of members."""

    evaluations: Mapping[int, Evaluation]
    judgements: Mapping[int, Judgement]


@dataclass(frozen=True, eq=False)
class Ended:
    """The end of a search; the point goes when it is judged."""

    point: Floats | None
    stop: Stop
    passes: int
    value: float


@dataclass(frozen=True, eq=False)
class Member:
    """How far one search has come.

    Attributes
    ----------
    state
        Of the search; None before its first pass, and when it is over.
    ended
        If it has ended of itself.
    judgement, rung
        The last one, and the rung at which it was made.
    dropped
        The rung at which its team was.
    """

    state: Any | None = None
    ended: Ended | None = None
    judgement: Judgement | None = None
    rung: int | None = None
    dropped: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is asked about it."""
        return self.dropped is not None or (self.ended is not None and self.ended.point is None)


@dataclass(frozen=True, eq=False)
class FleetState:
    """All that the fleet knows after some passes, the last `rung` rungs behind it."""

    members: tuple[Member, ...]
    passes: int = 0
    rung: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Fleet(Optimizer[FleetState, FleetAsk, FleetEvaluation]):
    """Searches side by side.

    Attributes
    ----------
    searches, sizes
        The optimizer of each member, and how many coefficients it is about.
    begin
        Makes the state of a member before its first pass.
    teams
        The number of each member's team, from 0 on.
    at_once
        How many go on in one pass; others wait until these have ended.
    judges_apart
        Whether judging takes a pass of its own, so that points wait until no search goes on.
    stretch
        Called with a member and its state after each pass; see `Optimizer.tell_sample`.
    """

    searches: tuple[Optimizer[Any, Ask, Evaluation], ...]
    sizes: tuple[int, ...]
    teams: tuple[int, ...]
    begin: Callable[[int], Any]
    at_once: int
    halving: Halving | None = None
    judges_apart: bool = False
    stretch: Callable[[int, Any], Any] = lambda number, state: state

    @property
    def name(self) -> str:
        """As stored with states."""
        return "fleet"

    def init(self, point: Floats) -> FleetState:
        """Make the state before the first pass; members know where they begin."""
        return FleetState(tuple(Member() for _ in self.searches))

    def ask(self, state: FleetState) -> FleetAsk | None:
        """Ask for what those need that go on, and for judgements of those that have ended, or are at a rung."""
        going, judged = self._going(state), self._ended(state)
        if not going and self._paused(state):
            judged = self._due(state)
            # what is dropped has made one pass in vain, which the others make anyway
            going = self._paused(state) if len(judged) <= self.at_once and not self.judges_apart else []
        elif going and self.judges_apart:
            judged = []
        if not going and not judged:
            return None
        asks = {k: self.searches[k].ask(self._of(state, k)) for k in going[: self.at_once]}
        points = {k: self._point(state, k) for k in judged[: self.at_once]}
        return FleetAsk({k: ask for k, ask in asks.items() if ask is not None}, points)

    def tell(self, state: FleetState, evaluation: FleetEvaluation) -> FleetState:
        """Tell each member, and drop teams at a rung."""
        members = list(state.members)
        for k, found in evaluation.evaluations.items():
            members[k] = self._told(k, state, found)
        for k, judgement in evaluation.judgements.items():
            ended = members[k].ended
            # one that was at a rung may have ended in this pass, elsewhere
            if ended is not None and state.members[k].ended is not None:
                members[k] = replace(members[k], ended=replace(ended, point=None))
            members[k] = replace(members[k], judgement=judgement, rung=state.rung)
        after = FleetState(tuple(members), state.passes + 1, state.rung)
        at_rung = not self._going(state) and self._paused(state)
        return self._halved(state, after) if at_rung else after

    def team_losses(self, state: FleetState) -> dict[int, float]:
        """Return the mean loss of each team as its members were last judged; infinite where one was not."""
        losses: dict[int, list[float]] = {}
        for team, member in zip(self.teams, state.members, strict=True):
            losses.setdefault(team, []).append(math.inf if member.judgement is None else member.judgement.loss)
        return {team: float(np.mean(of_team)) for team, of_team in losses.items()}

    def progress(self, state: FleetState) -> SearchProgress:
        """Report the mean objective, and the largest gradient of those that go on."""
        done = [self.searches[k].progress(m.state) for k, m in enumerate(state.members) if m.state is not None]
        values = [one.value for one in done] + [m.ended.value for m in state.members if m.ended is not None]
        norms = [one.gradient_norm for one in done]
        mean = float(np.mean(values)) if values else math.inf
        return SearchProgress(state.passes, mean, max(norms, default=0.0), 0.0)

    def result(self, state: FleetState) -> Any:
        """Say nothing: each member has a result of its own."""
        raise NotImplementedError("the results of a fleet are those of its members")

    def cost(self, size: int) -> Cost:
        """Add up what those take that go on at once."""
        costs = [search.cost(n) for search, n in zip(self.searches, self.sizes, strict=True)][: self.at_once]
        return Cost(
            pass_bytes=sum(cost.pass_bytes for cost in costs),
            state_bytes=sum(cost.state_bytes for cost in costs),
            history_bytes=sum(cost.history_bytes for cost in costs),
        )

    def encode(self, state: FleetState) -> tuple[dict[str, Any], dict[str, Stored]]:
        """Turn the state of each member into JSON and arrays, named by its number."""
        metas, arrays = [], dict[str, Stored]()
        for k, member in enumerate(state.members):
            meta: dict[str, Any] = {"rung": member.rung, "dropped": member.dropped}
            if member.state is not None:
                meta["state"], mine = self.searches[k].encode(member.state)
                arrays.update({f"{k}:{name}": array for name, array in stacked(mine, self.sizes[k]).items()})
            if member.ended is not None:
                meta["ended"] = {"stop": member.ended.stop.name, "passes": member.ended.passes}
                # as an array: infinity has no JSON
                arrays[f"{k}/value"] = np.array([member.ended.value])
                if member.ended.point is not None:
                    arrays[f"{k}/point"] = member.ended.point
            if member.judgement is not None:
                arrays[f"{k}/loss"] = np.array([member.judgement.loss])
                meta["judged"] = dict(member.judgement.metrics)
            metas.append(meta)
        return {"passes": state.passes, "rung": state.rung, "members": metas}, arrays

    def decode(self, meta: Mapping[str, Any], arrays: Mapping[str, Stored], *, size: int) -> FleetState:
        """Undo `encode`; `size` is of no use, since members have their own."""
        if len(meta["members"]) != len(self.searches):
            raise ValueError(f"{len(meta['members'])} members, not {len(self.searches)}")
        members = tuple(self._decoded(k, mine, arrays) for k, mine in enumerate(meta["members"]))
        if not all(type(meta[name]) is int and meta[name] >= 0 for name in ("passes", "rung")):
            raise ValueError(f"passes {meta['passes']!r}, rung {meta['rung']!r}")
        return FleetState(members, meta["passes"], meta["rung"])

    def _decoded(self, k: int, meta: Mapping[str, Any], arrays: Mapping[str, Stored]) -> Member:
        state = ended = judgement = None
        if "state" in meta:
            prefix = f"{k}:"
            mine = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            state = self.searches[k].decode(meta["state"], mine, size=self.sizes[k])
        if "ended" in meta:
            (value,) = np.asarray(arrays[f"{k}/value"]).tolist()
            point = np.asarray(arrays[f"{k}/point"]) if f"{k}/point" in arrays else None
            if point is not None and (point.shape != (self.sizes[k],) or point.dtype != np.float64):
                raise ValueError(f"a point of {point.dtype} and shape {point.shape}")
            ended = Ended(point, Stop[meta["ended"]["stop"]], meta["ended"]["passes"], value)
        if "judged" in meta:
            (loss,) = np.asarray(arrays[f"{k}/loss"]).tolist()
            judgement = Judgement(loss, dict(meta["judged"]))
        return Member(state, ended, judgement, meta["rung"], meta["dropped"])

    # --- who goes on --------------------------------------------------------------------------------------------------

    def _budget(self, state: FleetState) -> float:
        """Return how many passes a search may make before the next rung."""
        open_teams = {team for team, m in zip(self.teams, state.members, strict=True) if m.dropped is None}
        if self.halving is None or len(open_teams) <= 1:
            return math.inf
        return float(self.halving.first * self.halving.factor**state.rung)

    def _searching(self, state: FleetState) -> list[int]:
        return [k for k, m in enumerate(state.members) if m.ended is None and m.dropped is None]

    def _passes(self, state: FleetState, k: int) -> int:
        of = state.members[k].state
        return 0 if of is None else self.searches[k].progress(of).passes

    def _going(self, state: FleetState) -> list[int]:
        """Return those that are below their budget."""
        budget = self._budget(state)
        return [k for k in self._searching(state) if self._passes(state, k) < budget]

    def _paused(self, state: FleetState) -> list[int]:
        """Return those that have used up their budget and wait for the rung."""
        budget = self._budget(state)
        return [k for k in self._searching(state) if self._passes(state, k) >= budget]

    def _ended(self, state: FleetState) -> list[int]:
        """Return those that have ended and were not judged there."""
        return [k for k, m in enumerate(state.members) if m.ended is not None and not m.is_over]

    def _due(self, state: FleetState) -> list[int]:
        """Return those that are to be judged at the rung."""
        paused = [k for k in self._paused(state) if state.members[k].rung != state.rung]
        return self._ended(state) + paused

    # --- one member ---------------------------------------------------------------------------------------------------

    def _of(self, state: FleetState, k: int) -> Any:
        of = state.members[k].state
        return self.begin(k) if of is None else of

    def _point(self, state: FleetState, k: int) -> Floats:
        member = state.members[k]
        if member.ended is None:
            return self.searches[k].point(member.state)
        assert member.ended.point is not None
        return member.ended.point

    def _told(self, k: int, state: FleetState, found: Evaluation) -> Member:
        search, member = self.searches[k], state.members[k]
        told = self.stretch(k, search.tell(self._of(state, k), found))
        if search.ask(told) is not None:
            return replace(member, state=told)
        result = search.result(told)
        done = result.progress
        return replace(member, state=None, ended=Ended(result.point, result.stop, done.passes, done.value))

    # --- rungs --------------------------------------------------------------------------------------------------------

    def _halved(self, before: FleetState, after: FleetState) -> FleetState:
        """Drop the worse teams, if all that were due at the rung are judged."""
        assert self.halving is not None
        left = [k for k in self._due(before) if after.members[k].rung != before.rung]
        if left:
            return after
        losses = self.team_losses(after)
        teams = [team for team in losses if after.members[self.teams.index(team)].dropped is None]
        kept = set(sorted(teams, key=lambda team: (losses[team], team))[: -(-len(teams) // self.halving.factor)])
        members: Sequence[Member] = [
            m if m.dropped is not None or team in kept else replace(m, state=None, dropped=before.rung)
            for team, m in zip(self.teams, after.members, strict=True)
        ]
        return FleetState(tuple(members), after.passes, before.rung + 1)
