"""Time to a gap: each program's knob is set once to the least that reaches each gap, then all are timed in turns."""

from __future__ import annotations

import json
import math
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
from generate import Problem
from measure import Cost
from optimum import Optimum
from ours import Ours
from peers import PEERS, Peer

GAPS = (1e-2, 1e-3, 1e-4)
PASSES = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 24, 28, 34, 40, 60, 90, 140)
# A program is set no finer once a run took longer.
PATIENCE_SECONDS = 100.0
HERE = Path(__file__).resolve().parent
Say = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """Something that trains: `train(stop)` runs it whole, `gap()` evaluates what it saved last."""

    name: str
    version: str
    stops: tuple[float, ...]
    line: Callable[[float], str]
    train: Callable[[float], Cost]
    gap: Callable[[], float]


def programs(problem: Problem, optimum: Optimum, work: Path, only: Sequence[str], say: Say) -> Iterator[Program]:
    """Ours, cold and from the packed dataset, and every peer that is installed."""
    kind = problem.name.partition("-")[0]
    for peer in PEERS:
        if kind in peer.kinds and (not only or peer.name in only):
            if peer.missing:
                say(f"{peer.name}: left out, {peer.missing}")
            else:
                yield _peer(peer, problem, optimum, work)
    packed, cold = Ours(work / "packed"), Ours(work / "cold")
    shutil.rmtree(packed.root, ignore_errors=True)
    measure.run(packed.pack(problem.text, kind), folder=work)

    def from_text(stop: float) -> Cost:
        shutil.rmtree(cold.root, ignore_errors=True)
        measure.warm(problem.text)
        pack = measure.run(cold.pack(problem.text, kind), folder=work)
        return measure.added(pack, measure.run(cold.train(kind, kind, problem.l2, *_passes(stop)), folder=work))

    def from_blocks(stop: float) -> Cost:
        measure.warm(packed.root)
        return measure.run(packed.train(kind, kind, problem.l2, *_passes(stop)), folder=work)

    def line(stop: float) -> str:
        return _shown(["mr-ml", *packed.train(kind, kind, problem.l2, *_passes(stop))[3:]], problem, work)

    pack_line = _shown(["mr-ml", *packed.pack(problem.text, kind)[3:]], problem, work)
    stops = tuple(map(float, PASSES))
    yield Program("mr-ml, packed", "this version", stops, line, from_blocks, lambda: optimum.gap(*packed.coef(kind)))
    yield Program(
        "mr-ml, cold", "this version", stops, lambda stop: f"{pack_line}\n{line(stop)}", from_text,
        lambda: optimum.gap(*cold.coef(kind)),
    )  # fmt: skip


def _shown(command: Sequence[str], problem: Problem, work: Path) -> str:
    """A command as one would type it beside the data, in a folder that holds a checkout."""
    line = shlex.join(command)
    places = {
        str(work): "work",
        str(problem.folder): problem.name,
        str(HERE): "scripts/bench",
        sys.executable: "python",
    }
    for path, name in places.items():
        line = line.replace(path, name)
    return line


def _passes(stop: float) -> list[str]:
    return ["--max-passes", f"{stop:g}", "--tolerance", "0"]


def _peer(peer: Peer, problem: Problem, optimum: Optimum, work: Path) -> Program:
    model = work / f"{peer.name}.npz"

    def train(stop: float) -> Cost:
        for left in work.glob(f"{model.name}*"):
            left.unlink()
        measure.warm(peer.text(problem))
        return measure.run(peer.command(problem, model, stop), folder=work)

    return Program(
        peer.name, peer.version, peer.stops,
        lambda stop: _shown(peer.command(problem, model, stop), problem, work), train,
        lambda: optimum.gap(*peer.coef(problem, model)),
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
                actions[f"{program.name} {stop:g}"] = _checked(program, stop, gaps)
    costs = measure.interleaved(actions, rounds=rounds)
    rows = [_row(program, gap, tuned, costs, gaps) for program, gap, tuned in wanted]
    return {
        "problem": {k: v for k, v in vars(problem).items() if k != "folder"},
        "optimum": {"value": optimum.value, "scipy": optimum.scipy_value, "left": optimum.decrement},
        "rows": rows,
        "ratios": list(_ratios(rows, costs)),
    }


def _checked(program: Program, stop: float, gaps: dict[str, float]) -> Callable[[], Cost]:
    def action() -> Cost:
        cost = program.train(stop)
        key = f"{program.name} {stop:g}"
        gaps[key] = max(gaps.get(key, 0.0), program.gap())
        return cost

    return action


def _row(
    program: Program, gap: str, tuned: Tuned, costs: dict[str, list[Cost]], gaps: dict[str, float]
) -> dict[str, Any]:
    stop = tuned.stops.get(gap)
    row: dict[str, Any] = {"program": program.name, "version": program.version, "gap": gap, "stop": stop}
    if stop is None:
        row.update(wall=tuned.last_seconds, reached=tuned.least_gap)
    else:
        key = f"{program.name} {stop:g}"
        middle = measure.median(costs[key])
        row.update(key=key, wall=middle.wall, cpu=middle.cpu, peak_bytes=middle.peak_bytes, reached=gaps[key])
        row.update(command=program.line(stop), walls=[c.wall for c in costs[key]])
    return row


def _ratios(rows: Sequence[dict[str, Any]], costs: dict[str, list[Cost]]) -> Iterator[dict[str, Any]]:
    for gap in (f"{g:g}" for g in GAPS):
        reached = [
            row for row in rows if row["gap"] == gap and row["stop"] is not None and row["reached"] <= float(gap)
        ]
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
