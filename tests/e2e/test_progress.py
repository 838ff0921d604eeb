"""What is told of work while it goes on: in lines, as bars in a real terminal, to a function, or not at all."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, environment, write_libsvm

import mr_ml as package
from mr_ml import progress, ticks
from mr_ml.cli.progress_bar import Bars
from mr_ml.progress import Listener, PassEnded, Stage
from mr_ml.progress_lines import PlainLines
from mr_ml.progress_text import left_text, pass_text, seconds_text, stage_text

INLINE = ("-r", "inline")
TRAIN = ("train", "rows", "--model", "m", "--l2", "0.1", "--solver", "lbfgs", "--max-passes", "3")
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ  ")


@pytest.fixture
def rows(mr_ml: Commands, tmp_path: Path) -> Commands:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    mr_ml(
        "pack", write_libsvm(tmp_path / "rows", x, (x.sum(axis=1) > rng.normal(size=300)).astype(int)), "--to", "rows"
    )
    return mr_ml


class Heard(Listener):
    """Remembers what it was told."""

    hears_stages = True

    def __init__(self) -> None:
        self.events: list[str] = []
        self.passes: list[PassEnded] = []
        self.done: dict[str, int] = {}

    def started(self, stage: Stage) -> None:
        self.events.append(f"+{stage.name}")

    def advanced(self, stage: Stage) -> None:
        self.done[stage.name] = stage.done

    def pass_ended(self, ended: PassEnded) -> None:
        self.events.append("pass")
        self.passes.append(ended)

    def finished(self, stage: Stage) -> None:
        self.events.append(f"-{stage.name}" if stage.is_whole else f"!{stage.name}")
        self.done[stage.name] = stage.done


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_what_a_listener_hears(tmp_path: Path, runner: str) -> None:
    """Bytes, tasks and passes are those that there are."""
    text = write_libsvm(tmp_path / "rows", np.arange(4000.0).reshape(2000, 2) / 4000, np.arange(2000) % 2)
    root, heard = tmp_path / "root", Heard()
    with progress.listening(heard):
        package.pack(root, [text], "rows", runner=runner, workers=None if runner == "inline" else 2)
        result = package.train(root, "rows", "m", l2=0.1, runner=runner, engine="mapreduce")
        package.evaluate(root, "m", "rows", split="train", runner=runner)
        package.predict(root, "m", [text], tmp_path / "out", runner=runner)
    outer = [event for event in heard.events if "tasks" not in event and event != "pass"]
    stages = ("scanning text", "packing text", "training m", "measuring", "scoring text")
    assert outer == [sign + name for name in stages for sign in "+-"]
    assert (heard.done["scanning text"], heard.done["scoring text"]) == (text.stat().st_size,) * 2
    assert [ended.number for ended in heard.passes] == list(range(1, result.passes + 1))
    assert heard.passes[-1].gradient_norm == result.gradient_norm
    assert {ended.tolerance for ended in heard.passes} == {1e-6}
    assert heard.events.count("+map tasks") >= result.passes
    assert heard.done["map tasks"] >= 1


def test_compressed_text_counts_as_it_lies_there(tmp_path: Path) -> None:
    import gzip

    text = write_libsvm(tmp_path / "rows", np.ones((500, 2)), np.arange(500) % 2)
    packed = tmp_path / "rows.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    heard = Heard()
    with progress.listening(heard):
        package.pack(tmp_path / "root", [packed], "rows")
    assert heard.done["scanning text"] == packed.stat().st_size
    assert ticks.VARIABLE not in os.environ


def test_a_stage_that_fails_is_finished(tmp_path: Path) -> None:
    heard = Heard()
    (tmp_path / "bad").write_text("nonsense here\n")
    with progress.listening(heard), pytest.raises(package.errors.BadDataError):
        package.pack(tmp_path / "root", [tmp_path / "bad"], "rows", format="libsvm")
    with pytest.raises(ZeroDivisionError), progress.listening(heard), progress.stage("mine", unit="steps"):
        raise ZeroDivisionError
    assert heard.events[-2:] == ["+mine", "!mine"]
    assert progress.current() is progress.NOBODY


def test_a_function_hears_of_each_pass_and_may_end_it(rows: Commands) -> None:
    told: list[PassEnded] = []
    result = package.train(rows.root, "rows", "m", l2=0.1, solver="lbfgs", on_pass=told.append)
    assert [ended.number for ended in told] == list(range(1, result.passes + 1))
    assert told[-1].objective == result.objective
    assert all(ended.seconds > 0 for ended in told)

    class Enough(Exception):
        pass

    def stop(ended: PassEnded) -> None:
        if ended.number == 2:
            raise Enough

    with pytest.raises(Enough):
        package.train(rows.root, "rows", "n", l2=0.1, solver="lbfgs", on_pass=stop)
    run = next(run for run in rows("runs", "list")["runs"] if run["model"] == "n")
    assert (run["passes"], run["status"], run["can_resume"]) == (2, "failed", True)
    told.clear()
    again = package.resume(rows.root, run["run"], on_pass=told.append)
    assert [ended.number for ended in told] == list(range(3, again.passes + 1))
    assert rows.coef("n").sha256 == rows.coef("m").sha256


def test_lines(rows: Commands) -> None:
    found = rows.run(*TRAIN, *INLINE, "--progress", "plain")
    lines = [line for line in found.err.splitlines() if TIME.match(line)]
    said = [TIME.sub("", line) for line in lines]
    assert said[0] == "training m ..."
    assert [line.split()[:2] for line in said[1:4]] == [["pass", n] for n in "123"]
    assert all("|gradient|" in line and "(to 1e-06)" in line for line in said[1:4])
    assert said[4].startswith("training m: done in ")
    assert len(lines) == 5


@pytest.mark.parametrize("options", [("--progress", "none"), ("--quiet",), ("--quiet", "--progress", "plain"), ()])
def test_silence(rows: Commands, options: tuple[str, ...]) -> None:
    """Without a terminal a short command says nothing of its progress by itself either."""
    assert not TIME.search(rows.run(*TRAIN, *INLINE, *options).err)


def test_half_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In logs there is a line when the time has passed, of the outermost and the innermost stage."""
    said: list[str] = []
    lines = PlainLines(said.append, each_pass=False, every=0.01)
    with (
        progress.listening(lines),
        progress.stage("outer", unit="bytes", total=2_000_000) as outer,
        progress.stage("between", unit="steps"),
        progress.stage("inner", unit="tasks", total=4) as inner,
    ):
        outer.advance(500_000)
        inner.tell("application_1_2", done=3)
        said.clear()
        while len(said) < 4:
            lines._closed.wait(0.01)
    lines.close()
    # the first ones may have been written before all was told
    first, second = (TIME.sub("", line) for line in said[2:4])
    assert first.startswith("outer: 25 %, 500 kB of 2 MB, ")
    assert second.startswith("inner: 75 %, 3 of 4 tasks, ")
    assert "application_1_2" in second
    assert not any("between" in line for line in said)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3723, "1:02:03")])
def test_durations(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_texts() -> None:
    stage = Stage(progress.NOBODY, "reading", "bytes", 1000, lambda: 5000)
    stage.began -= 10.4
    assert stage_text(stage) == "reading: 100 %, 1 kB of 1 kB, 96 bytes/s, 0:10 so far"
    stage = Stage(progress.NOBODY, "reading", "bytes", 1000, lambda: 250)
    stage.began -= 10
    assert left_text(stage) == "0:30 left"
    assert stage_text(Stage(progress.NOBODY, "counting", "tasks", 0, None)) == "counting: 0:00 so far"
    several = PassEnded(
        number=7, objective=0.5, gradient_norm=2.0, step=1.0, seconds=0.5, rows_per_second=10.0, tolerance=None
    )
    assert pass_text(several) == "pass   7  objective 0.5  |gradient| 2.00e+00  step 1         0.5 s, 10 rows/s"


# In its third pass this process waits for Enter.
HELD = """
import sys
from mr_ml.cli import run
from mr_ml.passes.mapreduce import MapReduceEngine
whole, calls = MapReduceEngine.run, []
def held(self, query, **options):
    calls.append(1)
    if len(calls) == 3:
        sys.stdin.readline()
    return whole(self, query, **options)
MapReduceEngine.run = held
run()
"""


def in_terminal(
    commands: Commands, *args: object, columns: int, program: Sequence[str] = ("-m", "mr_ml"),
    enter_after: re.Pattern[bytes] | None = None, **variables: str,
) -> str:  # fmt: skip
    """What a command shows in a pseudo terminal of some width, where Enter is pressed once it has shown something."""
    ours, theirs = pty.openpty()
    env = {**environment(), "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "24", **variables}
    env = {name: value for name, value in env.items() if value != "unset"}
    started = subprocess.Popen(
        [sys.executable, *program, *commands.arguments(*args)], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if enter_after is not None and enter_after.search(shown):
            os.write(ours, b"\n")
            enter_after = None
    os.close(ours)
    assert started.wait() == 0, shown
    return shown.decode()


ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.mark.parametrize("columns", [40, 120])
def test_bars_in_a_terminal(rows: Commands, columns: int) -> None:
    drawn_once = re.compile(rb"training m[^\r\n]*pass ")
    shown = in_terminal(rows, *TRAIN, *INLINE, columns=columns, program=("-c", HELD), enter_after=drawn_once)
    assert "\x1b[?25l" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    drawn = [line for line in ESCAPES.sub("", shown).replace("\r", "\n").splitlines() if "training m" in line]
    assert drawn
    assert max(map(len, drawn)) <= columns
    assert any("pass " in line for line in drawn)
    # the result stands there when they are gone
    assert "m@1: objective" in shown.rpartition("\x1b[?25h")[2]


def test_no_colour(rows: Commands) -> None:
    shown = in_terminal(rows, *TRAIN, *INLINE, columns=100, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|38;|9[0-7])[0-9;]*m", shown)


@pytest.mark.parametrize("term", ["dumb", "unset"])
def test_lines_where_nothing_can_be_drawn(rows: Commands, term: str) -> None:
    shown = in_terminal(rows, *TRAIN, *INLINE, columns=100, TERM=term)
    assert "\x1b" not in shown
    assert len(re.findall(r"Z  pass   [123]  ", shown)) == 3


def test_bars_hold_names_that_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    bars = Bars(Console(force_terminal=True, width=80))
    with progress.listening(bars), progress.stage("x\x1b[31m[bold]", unit="tasks", total=2) as stage:
        stage.tell("\x07", done=1)
        bars._console.print(bars.drawn())
    shown = capsys.readouterr().out
    assert ("\\x1b[31m[bold]" in shown, "\x07" in shown) == (True, False)


def test_rich_is_loaded_only_to_draw(rows: Commands) -> None:
    program = (
        "import sys; from mr_ml.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "sys.exit('rich was loaded' if any(name.partition('.')[0] == 'rich' for name in sys.modules) else code)"
    )
    for options in ((), ("--progress", "plain"), ("--progress", "bar")):
        found = rows.process(*TRAIN, *INLINE, *options, program=("-c", program))
        assert found.code == 0, found.err


def test_bars_without_rich(rows: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mr_ml.cli.progress_choice.find_spec", lambda name: None)
    found = rows.run(*TRAIN, *INLINE, "--progress", "bar")
    assert (found.code, "pip install 'mr_ml[progress]'" in found.err, "--progress" in found.err) == (2, True, True)


@pytest.mark.parametrize("stream", ["2>&1 |", "|"])
@pytest.mark.parametrize("command", ["runs list", "train rows --model q --l2 0.1 -r inline --progress plain"])
def test_a_reader_that_leaves(rows: Commands, command: str, stream: str) -> None:
    """Whatever is written when it is gone: no traceback, and not the code of a full disk."""
    line = f'"$PYTHON" -m mr_ml {command} --root "$ROOT" {stream} head -c 1 >/dev/null; echo "${{PIPESTATUS[0]}}"'
    found = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True,
        env={**environment(), "PYTHON": sys.executable, "ROOT": str(rows.root)}, check=True,
    )  # fmt: skip
    assert found.stdout.strip() in ("0", "141"), found
    assert "Traceback" not in found.stderr
