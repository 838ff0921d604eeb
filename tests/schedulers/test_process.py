"""The process of `mr-ml retrain` that a scheduler starts: what it is given, what is heard of it, and how it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType

import pytest
from fakes import PUBLISHED, REFUSED, WAIT, Fake, ending, fake

from mr_ml.schedulers import process
from mr_ml.schedulers.process import Ended, RetrainProcess


def run(program: Fake, lines: list[str] | None = None) -> Ended:
    said = [] if lines is None else lines
    return RetrainProcess("/srv/retrain.yaml", executable=program.path).run(said.append)


def test_arguments_are_no_shells(tmp_path: Path) -> None:
    program = fake(tmp_path / "mr-ml", ending(0, PUBLISHED))
    config, window = "/srv/$(touch x); a b\n.yaml", "2026-11-26 --force 'x'"
    RetrainProcess(config, window=window, executable=program.path).run(lambda line: None)
    RetrainProcess("/srv/retrain.yaml", executable=program.path).run(lambda line: None)
    assert program.calls == [
        ["retrain", config, "--json", f"--for={window}"],
        ["retrain", "/srv/retrain.yaml", "--json"],
    ]


def test_what_it_says_is_passed_on_and_what_it_prints_is_the_result(tmp_path: Path) -> None:
    # more than a pipe holds, on both; letters that are none
    body = "for k in range(9000): say(f'line {k} ' + 'x' * 20); print('y' * 30)\nos.write(2, b'\\xff\\n')\n"
    lines: list[str] = []
    ended = run(fake(tmp_path / "mr-ml", body + ending(0, PUBLISHED)), lines)
    assert (len(lines), lines[0], lines[9000:]) == (9002, "line 0 " + "x" * 20, ["\\xff", "mr-ml: why it is 0"])
    assert ended.published
    assert {key: ended.summary[key] for key in ("window", "version", "promoted", "accepted", "reasons")} == {
        "window": "2026-11-26", "version": 7, "promoted": 7, "accepted": True, "reasons": [],
    }  # fmt: skip


def test_a_refusal_has_reasons(tmp_path: Path) -> None:
    ended = run(fake(tmp_path / "mr-ml", ending(3, REFUSED)))
    assert (ended.published, ended.refused) == (False, True)
    assert ended.summary["reasons"] == ["auc: expected 0.7, found 0.5"]
    assert ended.message == "mr-ml retrain ended with code 3: ctr@7 refused"


@pytest.mark.parametrize(
    "body",
    [ending(0), ending(0, REFUSED), ending(3, PUBLISHED), "print('[1]')", "print('{')", ending(74), ending(75)],
    ids=["nothing", "0 but refused", "3 but published", "no object", "no JSON", "74", "75"],
)
def test_nothing_else_is_a_success_or_a_refusal(tmp_path: Path, body: str) -> None:
    ended = run(fake(tmp_path / "mr-ml", body))
    assert not ended.published
    assert not ended.refused
    assert f"ended with code {ended.exit_code}: " in ended.message


def test_a_failure_says_what_was_said_last(tmp_path: Path) -> None:
    assert run(fake(tmp_path / "mr-ml", ending(74))).message == "mr-ml retrain ended with code 74: mr-ml: why it is 74"


def test_it_is_stopped_and_waited_for(tmp_path: Path) -> None:
    retraining = RetrainProcess("/srv/retrain.yaml", executable=fake(tmp_path / "mr-ml", WAIT).path)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if line == "ready":
            retraining.stop()

    ended = retraining.run(say)
    assert (ended.exit_code, lines) == (143, ["ready", "ended by a signal"])
    # as a scheduler may that has a time limit
    retraining.stop()


def test_what_is_stopped_before_it_started_is_stopped(tmp_path: Path) -> None:
    retraining = RetrainProcess("/srv/retrain.yaml", executable=fake(tmp_path / "mr-ml", WAIT).path)
    retraining.stop()
    assert retraining.run(lambda line: None).exit_code == 143


class TimeLimit(BaseException):
    pass


@pytest.mark.parametrize("obeys", [True, False])
def test_a_time_limit_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obeys: bool) -> None:
    """As Airflow has it: the handler of a signal raises what no `except Exception` catches."""
    body = f"say(str(os.getpid()))\n{WAIT}" if obeys else f"say(str(os.getpid()))\n{WAIT.replace('os._exit(143)', '')}"
    lines: list[str] = []

    def limit(number: int, frame: FrameType | None) -> None:
        raise TimeLimit

    def say(line: str) -> None:
        lines.append(line)
        if line == "ready":
            os.kill(os.getpid(), signal.SIGALRM)

    if not obeys:
        monkeypatch.setattr(process, "PATIENCE_SECONDS", 0.5)
    before = signal.signal(signal.SIGALRM, limit)
    try:
        with pytest.raises(TimeLimit):
            RetrainProcess("/srv/retrain.yaml", executable=fake(tmp_path / "mr-ml", body).path).run(say)
    finally:
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int(lines[0]), 0)


def test_one_that_was_killed_is_not_waited_for_by_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of a killed process holds the pipe open for as long as it lives."""
    monkeypatch.setattr(process, "_REST_SECONDS", 0.2)
    body = "child = subprocess.Popen(['sleep', '600'])\nsay(str(child.pid))\nos.kill(os.getpid(), signal.SIGKILL)\n"
    lines: list[str] = []
    ended = run(fake(tmp_path / "mr-ml", body), lines)
    os.kill(int(lines[0]), signal.SIGKILL)
    assert ended.exit_code == 137


def test_settings_are_named_by_an_absolute_path() -> None:
    with pytest.raises(ValueError, match=r"`config`: expected an absolute path of settings, found 'retrain\.yaml'"):
        RetrainProcess("retrain.yaml")


def test_it_is_the_mr_ml_of_this_environment() -> None:
    assert Path(RetrainProcess("/srv/retrain.yaml").command[0]).is_file()
