"""Retrainings that were killed, interrupted or failed, and what is gone on with."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import Commands
from daily import SETTINGS, Daily, day
from patches import Killed, kill_at, tell_to, today

import mr_ml
from hdfs_layout import Root, open_root
from mr_ml.catalog import checkpoints
from mr_ml.catalog.model import read_manifest
from mr_ml.catalog.promotions import latest_promotion, promoted_version, read_promotions
from mr_ml.errors import StorageError
from mr_ml.passes.mapreduce import MapReduceEngine
from mr_ml.retraining import work
from mr_ml.retraining.journal import OwnJournal, read_journal
from mr_ml.retraining.result import RetrainResult


@pytest.mark.parametrize("point", work.POINTS)
def test_what_was_killed_goes_on(
    second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    daily, expected = second_night
    with monkeypatch.context() as patch:
        kill_at(point, patch)
        with pytest.raises(Killed):
            mr_ml.retrain(daily.settings, last=day(5))
    daily.published(5)
    root = open_root(daily.root)
    assert daily.coefficients("ctr") == expected
    assert sorted(p.name for p in (daily.root / "models" / "ctr").glob("v*")) == ["v000001.json", "v000002.json"]
    assert sorted(p.name for p in (daily.root / "datasets" / "clicks").glob("v*")) == ["v000001.json", "v000002.json"]
    entry = latest_promotion(root, "ctr")
    assert entry is not None
    assert (entry.number, entry.version, entry.previous) == (3, 2, 1)


@pytest.mark.parametrize("rule", ["resume", "supersede", "resume, but in vain"])
def test_an_unfinished_earlier_window(
    second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch, outcomes: list[RetrainResult], rule: str
) -> None:
    daily, expected = second_night
    daily.configure(SETTINGS + f"on_unfinished: {rule.partition(',')[0]}\n")
    kill_at("packed noted", monkeypatch)
    with pytest.raises(Killed):
        mr_ml.retrain(daily.settings, last=day(5))
    monkeypatch.undo()
    tell_to(outcomes, monkeypatch)
    today(6, monkeypatch, without=5 if "vain" in rule else None)
    damaged = daily.root / "retrains" / "ctr" / str(day(3))
    damaged.mkdir()
    (damaged / "v000001.json").write_text("{}")
    warned: list[str] = []
    result = mr_ml.retrain(daily.settings, warn=warned.append)
    assert f"remove {damaged}" in warned[0]
    journal = read_journal(open_root(daily.root), "ctr", str(day(5)))
    assert journal is not None
    assert result.window == str(day(6))
    assert [found.window for found in outcomes] == [str(day(5)), str(day(6))]
    if rule == "resume":
        assert (journal.attempt.outcome, result.candidate) == ("published", "ctr@3")
        assert daily.coefficients("ctr@2") == expected
    else:
        assert (journal.attempt.outcome, result.candidate) == ("superseded", "ctr@2")
        assert (outcomes[0].outcome, outcomes[0].days, outcomes[0].missing_days) == ("superseded", 4, ())


def test_an_earlier_window_that_fails_as_it_begins(
    second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch, outcomes: list[RetrainResult]
) -> None:
    """The failure is its own: it has begun its journal, and nobody has taken over the lock."""
    daily, _ = second_night
    with monkeypatch.context() as patch:
        kill_at("packed noted", patch)
        with pytest.raises(Killed):
            mr_ml.retrain(daily.settings, last=day(5))
    add_event, failed = work.add_event, list[str]()

    def fails_once(root: Root, run: str, step: str, **more: Any) -> None:
        if step == "resumed" and not failed:
            failed.append(run)
            raise StorageError("full")
        add_event(root, run, step, **more)

    monkeypatch.setattr(work, "add_event", fails_once)
    today(6, monkeypatch)
    assert mr_ml.retrain(daily.settings).outcome == "published"
    assert (outcomes[0].window, outcomes[0].outcome, outcomes[0].run) == (str(day(5)), "failed", failed[0])
    journal = read_journal(open_root(daily.root), "ctr", str(day(5)))
    assert journal is not None
    assert (journal.attempt.outcome, journal.attempt.message) == ("failed", "full")


def test_a_failure_is_recorded_and_gone_on_with(daily: Daily, outcomes: list[RetrainResult]) -> None:
    daily.published(4)
    part = daily.folder / "days" / f"dt={day(5)}" / "part-0.csv"
    whole = part.read_text()
    part.write_text(whole + "1,2\n")
    failed = daily.run(5)
    assert failed.code == 65
    journal = read_journal(open_root(daily.root), "ctr", str(day(5)))
    assert journal is not None
    assert (journal.attempt.outcome, journal.attempt.ended is None) == ("failed", False)
    assert "bad rows" in (journal.attempt.message or "")
    assert [(found.outcome, found.exit_code) for found in outcomes] == [("published", 0), ("failed", 65)]
    assert promoted_version(open_root(daily.root), "ctr") == 1
    part.write_text(whole)
    assert daily.published(5)["candidate"] == "ctr@2"


def test_force_ends_with_a_failure(second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    daily, _ = second_night
    daily.add(2, 4, flipped=True)

    def fail(point: str) -> None:
        if point == "judged":
            raise StorageError("full")

    with monkeypatch.context() as patched:
        patched.setattr(work, "reached", fail)
        assert daily.run(5, "--force", "a try").code == StorageError.exit_code
    assert daily.run(5).code == 3
    assert promoted_version(open_root(daily.root), "ctr") == 1


def test_what_a_killed_process_was_to_tell(
    second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch, outcomes: list[RetrainResult]
) -> None:
    """Of a failure, as if it had lived to tell it."""
    daily, _ = second_night
    shutil.rmtree(daily.folder / "days" / f"dt={day(3)}")
    with monkeypatch.context() as patch:
        patch.setattr(work, "promote", fails)
        patch.setattr(OwnJournal, "note", dies_before_it_has_told(OwnJournal.note))
        with pytest.raises(Killed):
            mr_ml.retrain(daily.settings, last=day(5), force="it must")
    told = outcomes.pop()
    daily.published(6)
    again = outcomes[0]
    names = ("window", "outcome", "run", "forced", "days", "missing_days", "exit_code", "message")
    assert {name: getattr(again, name) for name in names} == {name: getattr(told, name) for name in names}
    assert (again.forced, again.days, again.missing_days) == ("it must", 3, (str(day(3)),))
    assert 0 <= again.seconds < 600


def fails(*given: object, **more: object) -> None:
    raise StorageError("full")


def dies_before_it_has_told(note: Callable[..., None]) -> Callable[..., None]:
    def noted(own: OwnJournal, **changes: Any) -> None:
        if changes == {"notified": True}:
            raise Killed
        note(own, **changes)

    return noted


ENDED_BY_A_SIGNAL = """
import os, signal
from mr_ml.cli import run
from mr_ml.retraining import work
work.reached = lambda point: os.kill(os.getpid(), signal.{name}) if point == "fitted" else None
run()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_after_something_was_published(second_night: tuple[Daily, bytes], number: signal.Signals) -> None:
    """What makes a dataset visible is not interrupted; what comes after it is, and is gone on with."""
    daily, expected = second_night
    root, program = open_root(daily.root), ENDED_BY_A_SIGNAL.format(name=number.name)
    ended = Commands(daily.root).process("retrain", daily.settings, "--for", day(5), program=("-c", program))
    assert ended.code == (128 + number if number == signal.SIGTERM else -number), ended.err
    journal = read_journal(root, "ctr", str(day(5)))
    assert journal is not None
    assert (journal.attempt.outcome, journal.attempt.dataset, journal.attempt.version) == ("running", "clicks@2", None)
    daily.published(5)
    assert daily.coefficients("ctr") == expected
    # whoever did not give the lock back is fenced off
    actions = [entry.action for entry in read_promotions(root, "ctr")[0]]
    assert actions == ["adopt", "promote", *["fence"] * (number == signal.SIGKILL), "promote"]


def test_at_most_one_pass_is_run_again(
    second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Killed at the end of any pass, before what it came to is written; and when all are done."""
    before, expected = second_night
    run, passes = MapReduceEngine.run, list[int]()
    monkeypatch.setattr(checkpoints, "AT_STAKE_SECONDS", 0.0)

    def night(name: str, dies_after: int = 0) -> Daily:
        daily = Daily(tmp_path / name)
        if not daily.folder.exists():
            shutil.copytree(before.folder, daily.folder)
        passes.clear()

        def counted(self: MapReduceEngine, query: Any, **more: Any) -> Any:
            total = run(self, query, **more)
            passes.append(1)
            if len(passes) == dies_after:
                raise Killed
            return total

        monkeypatch.setattr(MapReduceEngine, "run", counted)
        mr_ml.retrain(daily.settings, last=day(5))
        return daily

    def decision(daily: Daily) -> Any:
        return read_manifest(open_root(daily.root), "ctr", 2)[0].decision

    undisturbed = decision(night("undisturbed"))
    n = len(passes)
    assert n > 3
    for dies_after in range(1, n + 1):
        with pytest.raises(Killed):
            night(str(dies_after), dies_after)
        again = night(str(dies_after))
        assert (len(passes), again.coefficients("ctr")) == (n - dies_after + 1, expected)
        assert decision(again) == undisturbed
    with monkeypatch.context() as patch:
        kill_at("judged", patch)
        with pytest.raises(Killed):
            night("judged")
    assert decision(night("judged")) == undisturbed
    assert passes == []


@pytest.mark.parametrize("of_another_question", [False, True])
def test_sums_of_the_gate_that_cannot_be_used(
    second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch, of_another_question: bool
) -> None:
    """The pass is run again."""
    daily, expected = second_night
    with monkeypatch.context() as patch:
        kill_at("judged", patch)
        with pytest.raises(Killed):
            mr_ml.retrain(daily.settings, last=day(5))
    journal = read_journal(open_root(daily.root), "ctr", str(day(5)))
    assert journal is not None
    counted, measured = sorted(daily.root.glob(f"runs/{journal.attempt.run}/passes/kept-*"))
    measured.write_bytes(counted.read_bytes() if of_another_question else measured.read_bytes()[:-1])
    run, queries = MapReduceEngine.run, list[str]()

    def counting(self: MapReduceEngine, query: Any, **more: Any) -> Any:
        queries.append(query.kind)
        return run(self, query, **more)

    monkeypatch.setattr(MapReduceEngine, "run", counting)
    daily.published(5)
    assert (queries, daily.coefficients("ctr")) == (["paired"], expected)
