"""What can be checked on any machine however busy: counts instead of seconds.

    passes         to converge on fixed sets
    bytes a value  of the partition files, per non-zero
    processes      Python processes that a command starts, its own included
    read, written  bytes through system calls per byte of text: how often the input is read, and what is written of
                   it, temporary files and pipes included. A slope: the same command on a third of the rows is
                   subtracted, and with it modules, queries and sums.

Each has a budget, the most that is right today; a change that needs less lowers it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import measure
from generate import Problem, generate
from measure import Cost
from ours import Ours, answer

SPARSE, DENSE, FEWER = 0.002, 0.009, 0.003
TOLERANCE = 1e-3

BUDGET: Mapping[str, float] = {
    "sparse: passes": 34,
    "dense: passes": 7,
    "sparse: bytes a value": 8.2,
    "dense: bytes a value": 5.5,
    "help: processes": 1,
    "pack: processes": 5,
    "train: processes": 5,
    "train from text: processes": 5,  # the same ones pack and train
    "train from text: text read": 2.1,
    "train from text: text written": 1.0,
    "predict: processes": 5,  # a text of some megabytes is for both workers
    "pack: text read": 1.5,  # the text once, and once what is shuffled of it
    "pack: text written": 0.9,
    "train: text read": 0.6,
    "train: text written": 0.08,  # more blocks, more sums of the tree; a copy of the input would be 0.9
    "predict: text read": 1.2,
    "predict: text written": 0.1,
}


def count(work: Path) -> dict[str, float]:
    """All counts, by the names of `BUDGET`, in a folder that is made anew."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    sparse, many, few = generate("sparse", SPARSE, work), generate("dense", DENSE, work), generate("dense", FEWER, work)
    # of a new checkout the first commands write compiled modules, which are no bytes of theirs
    (work / "first").mkdir()
    _commands(Ours(work / "first" / "root"), few)
    ours = Ours(work / "root")
    costs, fewer = _commands(ours, many), _commands(ours, few)
    packed = answer(_run(ours, ours.pack(sparse.text, "sparse")))
    trained = {
        name: answer(_run(ours, ours.train(name, "model", sparse.l2, "--tolerance", TOLERANCE)))
        for name in ("sparse", few.name)
    }
    dense = answer(costs["pack"])
    found: dict[str, float] = {
        "sparse: passes": trained["sparse"]["passes"],
        "dense: passes": trained[few.name]["passes"],
        "sparse: bytes a value": packed["bytes"] / packed["nnz"],
        "dense: bytes a value": dense["bytes"] / dense["nnz"],
        "help: processes": _run(ours, [*ours.command()[:3], "--help"]).processes,
    }
    text = many.text_bytes - few.text_bytes
    for name, cost in costs.items():
        found[f"{name}: processes"] = cost.processes
        found[f"{name}: text read"] = (cost.read_bytes - fewer[name].read_bytes) / text
        found[f"{name}: text written"] = (cost.written_bytes - fewer[name].written_bytes) / text
    return found


def _commands(ours: Ours, problem: Problem) -> dict[str, Cost]:
    name = problem.name
    # as many passes whatever the rows
    two = ("--max-passes", 2, "--tolerance", 0)
    return {
        "pack": _run(ours, ours.pack(problem.text, name)),
        "train": _run(ours, ours.train(name, name, problem.l2, *two)),
        "train from text": _run(ours, ours.from_text(problem.text, name, problem.l2, *two)),
        "predict": _run(ours, ours.predict(name, problem.text, ours.root.parent / f"{name}.out")),
    }


def _run(ours: Ours, command: list[str]) -> Cost:
    return measure.run(command, folder=ours.root.parent, counting=True)


def exceeded(found: Mapping[str, float], budget: Mapping[str, float] = BUDGET) -> list[str]:
    """A sentence for each count that is over its budget or was not taken."""
    missing = [f"{name}: not counted" for name in budget if name not in found]
    over = [
        f"{name}: expected at most {budget[name]:g}, found {value:g}"
        for name, value in found.items()
        if name in budget and value > budget[name]
    ]
    return missing + over


def to_json(found: Mapping[str, float]) -> str:
    """One line."""
    return json.dumps({name: round(value, 3) for name, value in found.items()})
