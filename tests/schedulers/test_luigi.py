"""The task of Luigi: done is what the journal says, and a night that failed ends with a code that says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import environment
from daily import Daily, day
from fakes import REFUSED, documented, ending, fake

luigi = pytest.importorskip("luigi", reason="Luigi is not installed: pip install 'mr_ml[luigi]'")

from mr_ml.schedulers.luigi import EXIT_CODES, Retrain, RetrainedModel, RetrainError  # noqa: E402

# A pipeline as somebody may have it, around our task.
NIGHT = """\
from datetime import date

import luigi
from mr_ml.schedulers.luigi import Retrain

class Clicks(luigi.ExternalTask):
    def output(self):
        return luigi.LocalTarget("clicks_are_here")

class Night(luigi.WrapperTask):
    config, executable = luigi.Parameter(), luigi.Parameter()
    def requires(self):
        return Retrain(config=self.config, window=date(2026, 11, 26), executable=self.executable)

class Waiting(luigi.WrapperTask):
    def requires(self):
        return Clicks()

class Mistake(luigi.WrapperTask):
    def requires(self):
        return Click()

class Nothing(luigi.Task):
    def output(self):
        return luigi.LocalTarget("nothing_is_here")
    def run(self):
        pass
"""


# Several runs of the command line in one process, as most of the time goes into starting it; Luigi takes the second for
# a twin of the first that is still running, unless it is told not to look.
RUNS = """\
import json, sys
from importlib import import_module
module, function, *lines = json.loads(sys.argv[1])
codes = []
for line in lines:
    try:
        getattr(import_module(module), function)([*line, "--local-scheduler", "--no-lock", "--module", "night"])
    except SystemExit as ended:
        codes.append(ended.code)
print(json.dumps(codes))
"""
LUIGI = ("luigi.cmdline", "luigi_run")
OURS = ("mr_ml.schedulers.luigi", "main")


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "night.py").write_text(NIGHT)
    path = {"PYTHONPATH": str(folder), "PATH": str(Path(sys.executable).parent)}
    given = {name: os.pathsep.join([place, environment()[name]]) for name, place in path.items()}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env={**environment(), **given}, timeout=240
    )


def exit_codes(program: tuple[str, str], *lines: Sequence[object], folder: Path) -> list[int]:
    done = python(folder, "-c", RUNS, json.dumps([*program, *([str(word) for word in line] for line in lines)]))
    codes: list[int] = json.loads(done.stdout.splitlines()[-1])
    return codes


def test_luigi_ends_with_0_where_a_night_failed_and_our_module_does_not(daily: Daily) -> None:
    refusing = fake(daily.folder / "mr-ml", ending(3, REFUSED))
    night = ("Night", "--executable", refusing.path, "--config")
    lines = {
        (*night, daily.settings): "task_failed",
        (*night, daily.folder / "nowhere.yaml"): "scheduling_error",
        ("Waiting",): "missing_data",
        ("Mistake",): "scheduling_error",
        ("Nothing",): "task_failed",
    }
    assert exit_codes(LUIGI, *lines, folder=daily.folder) == [0] * 5
    assert exit_codes(OURS, *lines, folder=daily.folder) == [EXIT_CODES[code] for code in lines.values()]
    assert len(refusing.calls) == 2


def test_what_somebody_has_chosen_stays(tmp_path: Path) -> None:
    (tmp_path / "luigi.cfg").write_text("[retcode]\nmissing_data = 20\n[worker]\ncheck_complete_on_run = false\n")
    assert exit_codes(OURS, ["Waiting"], ["Nothing"], folder=tmp_path) == [20, 0]
    (tmp_path / "clicks_are_here").touch()
    line = ("-m", "mr_ml.schedulers.luigi", "Waiting", "--local-scheduler", "--module", "night")
    assert python(tmp_path, *line).returncode == 0
    (tmp_path / "clicks_are_here").unlink()
    assert python(tmp_path, *line).returncode == 20


def test_exit_codes_are_those_that_luigi_knows() -> None:
    from luigi.retcodes import retcode

    assert set(EXIT_CODES) == {name for name, _ in retcode.get_params()}
    assert all(EXIT_CODES.values())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (ending(3, REFUSED), "code 3: ctr@7 refused"),
        (ending(70), "code 70: mr-ml: why it is 70"),
        (ending(75), "code 75"),
        (ending(0), "expected a result whose outcome is published"),
    ],
)
def test_whatever_is_no_success_raises(tmp_path: Path, body: str, why: str) -> None:
    task = Retrain(config="/srv/retrain.yaml", window=day(5), executable=str(fake(tmp_path / "mr-ml", body).path))
    with pytest.raises(RetrainError, match=why):
        task.run()


def test_a_window_is_done_if_the_journal_says_that_its_model_was_promoted(daily: Daily) -> None:
    """By the real mr-ml, from the first night to a refused one, and the night after."""
    first = Retrain(config=str(daily.settings), window=day(4))
    assert not first.complete()
    # the example of the documents
    places = {"retrain.yaml": daily.settings, "data": daily.root, "scores": daily.folder / "scores"}
    example = documented("luigi").replace("/srv/clicks", str(daily.folder / "days"))
    for name, place in places.items():
        example = example.replace(f"/srv/ml/{name}", str(place))
    (daily.folder / "nightly.py").write_text(example)
    line = ("-m", "mr_ml.schedulers.luigi", "--module", "nightly", "Score", f"--window={day(4)}", "--local-scheduler")
    done = python(daily.folder, *line)
    assert done.returncode == 0, done.stderr
    assert first.complete()
    assert first.output().model == "ctr@1"
    assert (daily.folder / "scores" / str(day(4))).exists()

    daily.add(2, 4, flipped=True)
    refused = Retrain(config=str(daily.settings), window=day(5))
    assert not luigi.build([refused], local_scheduler=True)
    assert not refused.complete()
    assert RetrainedModel(str(daily.settings), day(5), or_refused=True).exists()
    # again: refused at once
    with pytest.raises(RetrainError, match=r"code 3: .*refused"):
        refused.run()
    accepted = Retrain(config=str(daily.settings), window=day(5), refusal="accept")
    assert accepted.complete()
    # not the refused one
    assert accepted.output().model == "ctr@1"
    accepted.run()
    assert first.complete()
    assert not Retrain(config=str(daily.settings), window=day(6)).complete()
