"""Time to a gap: each program's knob is set once to the least that reaches each gap, then all are timed in turns."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
from environments import LeftOutError
from generate import Problem, write_csv
from measure import Cost
from optimum import Optimum
from ours import Ours
from peers import PEERS, Peer

GAPS = (1e-3, 1e-4, 1e-6)
DEFAULTS = "defaults"
PASSES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 24, 28, 34, 40, 60, 90, 140)
# A program is set no finer once a run took longer.
PATIENCE_SECONDS = 100.0
HERE = Path(__file__).resolve().parent
Say = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """Something that trains: `train(stop)` runs it whole, `gap()` evaluates what it saved last.

    A stop of None leaves it to the program's defaults, if it `has_defaults`.
    """

    name: str
    version: str
    stops: tuple[float, ...]
    line: Callable[[float | None], str]
    train: Callable[[float | None], Cost]
    gap: Callable[[], float]
    has_defaults: bool = True


def programs(problem: Problem, optimum: Optimum, work: Path, only: Sequence[str], say: Say) -> Iterator[Program]:
    """Ours, cold and from the packed dataset, and every peer that is installed. Ours reads dense rows as CSV."""
    kind = problem.kind
    for peer in PEERS:
        if kind in peer.kinds and (not only or peer.name in only):
            try:
                ready = peer.prepared(problem.folder.parent / "environments")
            except LeftOutError as error:
                say(f"{peer.name}: left out, {error}")
            else:
                yield _peer(ready, problem, optimum, work)
    text = write_csv(problem) if problem.dense else problem.text
    packed, cold = Ours(work / "packed"), Ours(work / "cold")
    shutil.rmtree(packed.root, ignore_errors=True)
    measure.run(packed.pack(text, kind), folder=work)

    def from_text(stop: float | None) -> Cost:
        shutil.rmtree(cold.root, ignore_errors=True)
        measure.warm(text)
        return measure.run(cold.from_text(text, kind, problem.l2, *_passes(stop)), folder=work)

    def from_blocks(stop: float | None) -> Cost:
        measure.warm(packed.root)
        return measure.run(packed.train(kind, kind, problem.l2, *_passes(stop)), folder=work)

    def line(command: Sequence[str]) -> str:
        return _shown(["mr-ml", *command[3:]], problem, work)

    stops = tuple(map(float, PASSES))
    yield Program(
        "mr-ml, packed", "this version", stops, lambda stop: line(packed.train(kind, kind, problem.l2, *_passes(stop))),
        from_blocks, lambda: optimum.gap(*packed.coef(kind)),
    )  # fmt: skip
    yield Program(
        "mr-ml, cold", "this version", stops, lambda stop: line(cold.from_text(text, kind, problem.l2, *_passes(stop))),
        from_text, lambda: optimum.gap(*cold.coef(kind)),
    )  # fmt: skip


def _shown(command: Sequence[str], problem: Problem, work: Path) -> str:
    """A command as one would type it beside the data, in a folder that holds a checkout."""
    line = shlex.join(command)
    places = {str(work): "work", str(problem.folder): problem.name, str(HERE): "scripts/bench"}
    for path, name in places.items():
        line = line.replace(path, name)
    return line


def _passes(stop: float | None) -> list[str]:
    return [] if stop is None else ["--max-passes", f"{stop:g}", "--tolerance", "0"]


def _peer(peer: Peer, problem: Problem, optimum: Optimum, work: Path) -> Program:
    model = work / f"{peer.name}.npz"

    def train(stop: float | None) -> Cost:
        for left in work.glob(f"{model.name}*"):
            left.unlink()
        measure.warm(peer.text(problem))
        return measure.run(peer.command(problem, model, stop), folder=work, environment=peer.variables)

    return Program(
        peer.name, peer.version, peer.stops,
        lambda stop: _shown(["python", *peer.command(problem, model, stop)[1:]], problem, work), train,
        lambda: optimum.gap(*peer.coef(problem, model)), peer.has_defaults,
    )  # fmt: skip


@dataclass(frozen=True)
class Tuned:
    """Attributes
    ----------
    stops
        For each gap that the program reaches the first of its stops that does.
    last_seconds
        Of the last run tried.
    least_gap
        Of all runs tried.
    """

    stops: dict[str, float]
    last_seconds: float
    least_gap: float


def tune(program: Program, problem: Problem, say: Say) -> Tuned:
    """Try the program's stops from rough to fine; kept beside the data, one file a program and version."""
    name = "mr-ml" if program.name.startswith("mr-ml") else program.name
    path = problem.folder / f"tuned-{name}.json"
    identity = [problem.sha256, program.version, list(program.stops), PATIENCE_SECONDS]
    # ours changes while its version does not
    if path.is_file() and (program.name == "mr-ml, cold" or name != "mr-ml"):
        known = json.loads(path.read_text())
        if known.pop("identity") == identity:
            return Tuned(**known)
    stops: dict[str, float] = {}
    seconds, least = 0.0, math.inf
    for stop in program.stops:
        seconds, gap = program.train(stop).wall, program.gap()
        least = min(least, gap)
        say(f"{problem.name}: {program.name} at {stop:g}: gap {gap:.1e} in {seconds:.1f} s")
        stops.update({f"{g:g}": stop for g in GAPS if gap <= g and f"{g:g}" not in stops})
        if len(stops) == len(GAPS) or seconds > PATIENCE_SECONDS:
            break
    tuned = Tuned(stops, seconds, least)
    path.write_text(json.dumps({"identity": identity, **vars(tuned)}))
    return tuned


def time_to_gap(problem: Problem, optimum: Optimum, work: Path, *, rounds: int, only: Sequence[str], say: Say) -> Any:
    """Rows of program, gap, costs; and for each gap our ratios to the fastest peer that reaches it."""
    actions: dict[str, Callable[[], Cost]] = {}
    gaps: dict[str, float] = {}
    wanted: list[tuple[Program, str, Tuned]] = []
    for program in programs(problem, optimum, work, only, say):
        tuned = tune(program, problem, say)
        for gap in (f"{g:g}" for g in GAPS):
            wanted.append((program, gap, tuned))
            if gap in tuned.stops:
                stop = tuned.stops[gap]
                actions[_key(program, stop)] = _checked(program, stop, gaps)
        if program.has_defaults:
            wanted.append((program, DEFAULTS, tuned))
            actions[_key(program, None)] = _checked(program, None, gaps)
    costs = measure.interleaved(actions, rounds=rounds)
    rows = [_row(program, gap, tuned, costs, gaps) for program, gap, tuned in wanted]
    return {
        "problem": {k: v for k, v in vars(problem).items() if k != "folder"},
        "optimum": {"value": optimum.value, "scipy": optimum.scipy_value, "left": optimum.decrement},
        "rows": rows,
        "ratios": list(_ratios(rows, costs)),
        "ratios_by_defaults": list(_ratios_by_defaults(rows, costs)),
    }


def _key(program: Program, stop: float | None) -> str:
    return f"{program.name} {DEFAULTS if stop is None else f'{stop:g}'}"


def _checked(program: Program, stop: float | None, gaps: dict[str, float]) -> Callable[[], Cost]:
    def action() -> Cost:
        cost = program.train(stop)
        key = _key(program, stop)
        gaps[key] = max(gaps.get(key, 0.0), program.gap())
        return cost

    return action


def _row(
    program: Program, gap: str, tuned: Tuned, costs: dict[str, list[Cost]], gaps: dict[str, float]
) -> dict[str, Any]:
    stop = tuned.stops.get(gap)
    row: dict[str, Any] = {"program": program.name, "version": program.version, "gap": gap, "stop": stop}
    if stop is None and gap != DEFAULTS:
        row.update(wall=tuned.last_seconds, reached=tuned.least_gap)
    else:
        key = _key(program, stop)
        middle = measure.median(costs[key])
        row.update(key=key, wall=middle.wall, cpu=middle.cpu, peak_bytes=middle.peak_bytes, reached=gaps[key])
        row.update(command=program.line(stop), walls=[c.wall for c in costs[key]])
    return row


def _ratios(rows: Sequence[dict[str, Any]], costs: dict[str, list[Cost]]) -> Iterator[dict[str, Any]]:
    for gap in (f"{g:g}" for g in GAPS):
        reached = [row for row in rows if row["gap"] == gap and "key" in row and row["reached"] <= float(gap)]
        peers = [row for row in reached if not row["program"].startswith("mr-ml")]
        if not peers:
            continue
        fastest, thriftiest = min(peers, key=lambda row: row["wall"]), min(peers, key=lambda row: row["cpu"])
        for row in reached:
            if row["program"].startswith("mr-ml"):
                yield {
                    "program": row["program"],
                    "gap": gap,
                    "peer": fastest["program"],
                    "ratio": measure.ratio(costs[row["key"]], costs[fastest["key"]]),
                    "cpu_peer": thriftiest["program"],
                    "cpu_ratio": row["cpu"] / thriftiest["cpu"],
                }


def _ratios_by_defaults(rows: Sequence[dict[str, Any]], costs: dict[str, list[Cost]]) -> Iterator[dict[str, Any]]:
    """Of ours to each peer, each as it comes."""
    ran = [row for row in rows if row["gap"] == DEFAULTS]
    for row in ran:
        for peer in ran:
            if row["program"].startswith("mr-ml") and not peer["program"].startswith("mr-ml"):
                yield {
                    "program": row["program"], "reached": row["reached"], "peer": peer["program"],
                    "peer_reached": peer["reached"], "ratio": measure.ratio(costs[row["key"]], costs[peer["key"]]),
                    "cpu_ratio": row["cpu"] / peer["cpu"],
                }  # fmt: skip
