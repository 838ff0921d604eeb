"""What the commands show of retrainings, and how they go on with one."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from commands import Commands
from daily import SETTINGS, Daily, day
from patches import Killed, kill_at, today

import mr_ml
from hdfs_layout import LocalStore, open_root
from mr_ml.catalog.promotions import fence, manage
from mr_ml.retraining import requests, status
from mr_ml.retraining.window import missing_days
from mr_ml.runners import roots


@pytest.fixture
def interrupted(daily: Daily, monkeypatch: pytest.MonkeyPatch) -> Daily:
    """A first model, a refused one, and a third night that was killed after it had packed."""
    daily.add(6, 6)
    daily.published(4)
    daily.add(2, 4, flipped=True)
    assert daily.run(5).code == 3
    daily.add(2, 4)
    with monkeypatch.context() as patch:
        kill_at("packed noted", patch)
        with pytest.raises(Killed):
            mr_ml.retrain(daily.settings, last=day(6))
    return daily


def runs_of(commands: Commands) -> list[dict[str, Any]]:
    """Return the runs by window: names of the same second are in no order."""
    return sorted(commands("runs", "list")["runs"], key=lambda run: str(run["window"]))


def test_runs(interrupted: Daily) -> None:
    commands = Commands(interrupted.root)
    runs = runs_of(commands)
    assert [(run["model"], run["window"], run["status"]) for run in runs] == [
        ("ctr@1", str(day(4)), "published"), ("ctr@2", str(day(5)), "refused"), ("ctr", str(day(6)), "unfinished"),
    ]  # fmt: skip
    run = runs[2]["run"]
    shown = commands("runs", "show", run)
    assert (shown["spec"], shown["dataset"]) == (None, "clicks@3")
    assert [step["step"] for step in shown["steps"]] == ["window", "packed"]
    assert f"go on with: mr-ml runs resume {run}" in commands.run("runs", "show", run).out
    assert "refused" in commands.run("runs", "show", runs[1]["run"]).out

    around = commands.run("train", "--resume", runs[1]["run"])
    assert around.code == 2
    assert "mr-ml runs resume" in around.err
    # the same root by another name
    alias = interrupted.folder / "alias"
    alias.symlink_to(interrupted.root)
    resumed = Commands(alias)("runs", "resume", run)
    assert (resumed["run"], resumed["candidate"], resumed["outcome"]) == (run, "ctr@3", "published")
    assert commands("runs", "show", run)["status"] == "published"


def test_resuming_a_run_that_is_no_retraining(interrupted: Daily) -> None:
    commands = Commands(interrupted.root, runner=("-r", "inline"))
    trained = commands("train", "clicks@1", "--model", "other", "--l2", "1", "-r", "inline")
    again = commands("runs", "resume", trained["run"], "-r", "inline")
    assert (again["model"], again["version"]) == ("other", 1)


def test_what_cannot_be_resumed_says_why(interrupted: Daily) -> None:
    commands = Commands(interrupted.root)
    run = runs_of(commands)[2]["run"]
    moved = interrupted.settings.rename(interrupted.folder / "moved.yaml")
    found = commands.run("runs", "resume", run)
    assert found.code == 2
    assert f"mr-ml retrain FILE --for {day(6)}" in found.err
    moved.rename(interrupted.settings)
    interrupted.configure(SETTINGS.replace("root: root", "root: another"))
    found = commands.run("runs", "resume", run)
    assert found.code == 2
    assert f"{interrupted.folder}/another by now" in found.err
    interrupted.configure(SETTINGS.replace("0.001", "0.01"))
    interrupted.published(6)
    found = commands.run("runs", "resume", run)
    assert found.code == 2
    assert "begun anew" in found.err
    assert commands.run("runs", "resume", "nothing").code == 2


def test_clean_opens_the_root_as_a_retraining_does(daily: Daily, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[object, ...]] = []

    def use_config(*given: Any) -> Any:
        opened.append(given)
        return roots.use_config(*given)

    monkeypatch.setattr(requests, "use_config", use_config)
    assert Commands(daily.root).run("clean", daily.settings).code == 0
    assert daily.run(4).code == 0
    assert opened[0] == opened[1] == (str(daily.root), "inline", None)


def test_status(interrupted: Daily, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands(interrupted.root)

    def found(*given: object, **more: object) -> tuple[date, tuple[date, ...]]:
        return missing_days(*given, last=day(6), **more)  # type: ignore[arg-type]

    monkeypatch.setattr(status, "missing_days", found)
    before = interrupted.files()
    with monkeypatch.context() as patch:
        # it may be asked every minute, and reads no rows
        patch.setattr(LocalStore, "checksum", lambda store, path: pytest.fail(f"{path} is read"))
        shown = commands("status", interrupted.settings)
    assert interrupted.files() == before
    assert (shown["promoted"], shown["promoted_window"], shown["window"]) == ("ctr@1", str(day(4)), str(day(6)))
    assert (shown["running"], shown["missing_days"], shown["input_error"]) == (None, [], None)
    assert shown["last_success"]["candidate"] == "ctr@1"
    assert (shown["last"]["window"], shown["last"]["outcome"]) == (str(day(6)), "running")
    assert shown["age_seconds"] >= 0
    fence(open_root(interrupted.root), "ctr", by={})
    assert commands("status", interrupted.settings)["promoted_at"] == shown["promoted_at"]
    today(6, monkeypatch)
    interrupted.add(3, 5, flipped=True)
    assert Commands(interrupted.root).run("retrain", interrupted.settings).code == 3
    text = commands.run("status", interrupted.settings).out
    assert f"latest window {day(6)}: refused" in text
    assert "log_loss against ctr@1" in text


def test_status_before_anything(daily: Daily) -> None:
    shown = Commands(daily.root)("status", daily.settings)
    assert (shown["promoted"], shown["last"], shown["last_success"]) == (None, None, None)
    assert "expected files with data" in shown["input_error"]
    assert not daily.root.exists()
    # after a first night that failed
    manage(open_root(daily.root), "ctr", by={})
    assert "ctr means nothing yet\n" in Commands(daily.root).run("status", daily.settings).out
