"""Ctrl-C, SIGTERM and SIGHUP to the whole group of processes, at any instant: the exit code of the signal, a sentence,
no traceback of anybody, nothing half-written, nothing left anywhere, and the next command goes on as if
nothing had been.

MR_ML_TEST_SIGNALS=N tries N instants of each command on each runner instead of a few.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from aftermath import INLINE, LOCAL, mend, wait_for_the_end_of
from commands import Commands, environment

DRIVER = str(Path(__file__).with_name("signalled.py"))
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
PACK, TRAIN, EVALUATE, PREDICT = "pack", "train", "evaluate", "predict"
COMMANDS = {
    PACK: ("pack", "{text}", "--to", "new", "--split", "train=0.7,test=0.3"),
    TRAIN: ("train", "rows", "--model", "m", "--l2", "0.01", "--max-passes", "4"),
    EVALUATE: ("evaluate", "ready", "rows", "--split", "train"),
    PREDICT: ("predict", "ready", "{text}", "--to", "{out}/predictions"),
}
_CHANCE = random.Random(20261127)
_ALL = [(name, runner) for name in COMMANDS for runner in (INLINE, LOCAL)]
_WANTED = os.environ.get("MR_ML_TEST_SIGNALS")
# of a few, most while processes are started: the first third of a command's time
INSTANTS = [
    (name, runner, SIGNALS[k % 3], _CHANCE.random() ** (1 if _WANTED or k % 2 else 3))
    for k, (name, runner) in enumerate(_ALL * int(_WANTED) if _WANTED else [*_ALL, *_ALL[1::2], *_ALL[1::2]])
]


@dataclass(frozen=True)
class Place:
    """A root with a dataset and a model, text to pack and to predict, and folders that should be empty afterwards."""

    commands: Commands
    folder: Path

    def prepare(self) -> None:
        for name in ("out", "tmp"):
            (self.folder / name).mkdir()

    def arguments(self, name: str, runner: tuple[str, ...]) -> list[str]:
        places = {"text": self.folder / "text", "out": self.folder / "out"}
        return self.commands.arguments(*(word.format(**places) for word in COMMANDS[name]), *runner)

    def run(self, name: str, runner: tuple[str, ...], *, instant: int, number: str) -> tuple[int, str, str, int]:
        """Exit code, output, messages, and how many instants there were."""
        done = subprocess.run(
            [sys.executable, DRIVER, str(instant), number, str(self.folder / "counts"), *self.arguments(name, runner)],
            env={**environment(), "TMPDIR": str(self.folder / "tmp")},
            capture_output=True, text=True, timeout=240, start_new_session=True,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr, int((self.folder / "counts").read_text())


@pytest.fixture(scope="module")
def ready(pristine: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every test here starts from."""
    folder = tmp_path_factory.mktemp("ready")
    shutil.copytree(pristine.root, folder / "root")
    commands = Commands(folder / "root")
    commands("train", "rows", "--model", "ready", "--l2", "1", *INLINE)
    shutil.rmtree(folder / "root" / "runs")
    (folder / "text").write_text("".join(f"{k % 2} 1:{k} 2:{k * k % 97}\n" for k in range(400)))
    return folder


def copy(ready: Path, folder: Path) -> Place:
    shutil.copytree(ready, folder, dirs_exist_ok=True)
    place = Place(Commands(folder / "root"), folder)
    place.prepare()
    return place


@pytest.fixture(scope="module")
def how_many(ready: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """The number of instants of a command."""

    @cache
    def count(name: str, runner: tuple[str, ...]) -> int:
        place = copy(ready, tmp_path_factory.mktemp("undisturbed"))
        code, _, errors, found = place.run(name, runner, instant=0, number="SIGINT")
        assert code == 0, errors
        return found

    return count


@pytest.mark.parametrize(
    ("name", "runner", "number", "share"), INSTANTS, ids=[f"{n}-{r[1]}-{s}-{at:.4f}" for n, r, s, at in INSTANTS]
)
def test_a_signal_at_any_instant(  # type: ignore[no-untyped-def]
    ready: Path, how_many, tmp_path: Path, marked: str, name: str, runner: tuple[str, ...], number: str, share: float
) -> None:
    place = copy(ready, tmp_path)
    instant = 1 + int(share * how_many(name, runner))
    code, out, errors, _ = place.run(name, runner, instant=instant, number=number)
    wait_for_the_end_of(marked)
    # what was about to be published is, and says so
    assert code == (128 + signal.Signals[number] if not out else 0), errors
    assert not out or share > 0.5, "the signal was not heard"
    told = ("run ", "solver: ", "warning: stopped: ", "mr-ml: go on with: mr-ml ", "mr-ml: stops after this pass; ")
    assert [line for line in errors.splitlines() if line and not line.startswith(told)] == (
        [] if out else [f"mr-ml: {SENTENCES[number]}; nothing half-written is visible"]
    )
    assert list((tmp_path / "tmp").iterdir()) == []
    assert [path.name for path in (tmp_path / "out").iterdir()] == (["predictions"] if out and name == PREDICT else [])
    assert [path for path in place.commands.root.rglob(".*") if path.is_file()] == []
    data = [path.name for path in place.commands.root.glob("datasets/new/data/*")]
    assert len(data) == (1 if out and name == PACK else 0)
    if name == TRAIN:
        (model,) = (m for m in place.commands("models", "list")["models"] if m["model"] == "ready")
        shutil.rmtree(place.commands.root / "models" / model["model"])
        mend(place.commands, expected_coef(ready))
    else:
        shutil.rmtree(tmp_path / "out")
        (tmp_path / "out").mkdir()
        assert place.commands.run(*place.arguments(name, runner)[:-4], *runner).code == 0


SENTENCES = {
    "SIGINT": "interrupted",
    "SIGTERM": "ended by SIGTERM",
    "SIGHUP": "ended by SIGHUP, as when a terminal is closed",
}


@cache
def expected_coef(ready: Path) -> str:
    """sha256 of the coefficients of an undisturbed training."""
    folder = ready.with_name("undisturbed-training")
    shutil.copytree(ready / "root", folder)
    commands = Commands(folder)
    commands(*COMMANDS[TRAIN], *INLINE)
    return commands.coef("m").sha256


@pytest.mark.parametrize("number", SIGNALS)
def test_what_was_ignored_from_the_start_stays_so(ready: Path, tmp_path: Path, number: str) -> None:
    """As after nohup, and for SIGINT in the background of a shell."""
    place = copy(ready, tmp_path)
    program = (
        f"import os, signal, sys; signal.signal(signal.{number}, signal.SIG_IGN); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, DRIVER, "1000", number, "", *place.arguments(EVALUATE, LOCAL)],
        env=environment(), capture_output=True, text=True, timeout=240, start_new_session=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
