"""What must be so after a command was ended in its middle, however that was."""

from __future__ import annotations

import os
import select
from pathlib import Path

from commands import Commands, read_coef

INLINE, LOCAL = ("-r", "inline"), ("-r", "local", "--workers", "2")
TRAIN = ("train", "rows", "--model", "m", "--l2", "0.01", "--max-passes", "4")


def check_published(mr_ml: Commands, expected: str) -> list[int]:
    """What readers find of the model: versions that are whole and right, or none."""
    shown = mr_ml.run("models", "show", "m", "--json")
    if shown.code == 74:
        assert mr_ml("models", "list")["models"] == []
        return []
    assert shown.code == 0, shown.err
    assert read_coef(shown.result).sha256 == expected
    return [model["version"] for model in mr_ml("models", "list")["models"]]


def mend(mr_ml: Commands, expected: str) -> None:
    """Resume the run that was begun, or run again if there is none: one version, with the undisturbed bytes."""
    before = check_published(mr_ml, expected)
    assert before in ([], [1])
    runs = mr_ml("runs", "list")["runs"]
    assert len(runs) <= 1
    command = ("train", "--resume", runs[0]["run"]) if runs else TRAIN
    found = mr_ml(*command, *INLINE)
    assert found["version"] == 1
    assert check_published(mr_ml, expected) == [1]
    (run,) = mr_ml("runs", "list")["runs"]
    assert (run["status"], run["model"]) == ("done", "m@1")
    assert mr_ml("train", "--resume", run["run"], *INLINE)["version"] == 1
    assert check_published(mr_ml, expected) == [1]
    assert not list(mr_ml.root.rglob("v000002.json"))


def alive(mark: str) -> list[int]:
    """Process ids of those who carry the mark, ourselves left out."""
    found = []
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in place.read_bytes().split(b"\0") and int(place.parent.name) != os.getpid():
                found.append(int(place.parent.name))
        except OSError:  # gone, or somebody else's
            continue
    return found


def wait_for_the_end_of(mark: str) -> None:
    """Wait until no process carries the mark; a minute is for ever."""
    while pids := alive(mark):
        for pid in pids:
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            try:
                assert select.select([handle], [], [], 60)[0], f"process {pid} goes on without its driver"
            finally:
                os.close(handle)
