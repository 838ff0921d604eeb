"""Whole retrainings of a small table: what becomes of a night, and of the same night when it is run again."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from commands import Commands
from daily import SETTINGS, Daily, day

import mr_ml
from hdfs_layout import encode_document, open_root, read_events
from hdfs_layout.lock import hold
from mr_ml.catalog import checkpoints
from mr_ml.catalog.model import read_manifest
from mr_ml.catalog.promotions import fence, latest_promotion, promote, promoted_version, read_promotions, rollback
from mr_ml.errors import BadDataError, LockedError, StorageError, UsageError
from mr_ml.passes.mapreduce import MapReduceEngine
from mr_ml.retraining import night, work
from mr_ml.retraining.config import load_config
from mr_ml.retraining.journal import OwnJournal, read_journal
from mr_ml.retraining.result import RefusedError, RetrainResult
from mr_ml.retraining.window import Window, find_window


class Killed(BaseException):
    """As a kill: nothing that comes after it is done."""


def kill_at(point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(found: str) -> None:
        if found == point:
            raise Killed(found)

    monkeypatch.setattr(work, "reached", reached)


def today(number: int, monkeypatch: pytest.MonkeyPatch, *, without: int | None = None) -> None:
    """Let a day be yesterday, and the window of another one be out of reach."""

    def found(*given: Any, last: date | None = None, **more: Any) -> Window:
        if without is not None and last == day(without):
            raise StorageError("gone")
        return find_window(*given, last=last or day(number), **more)

    monkeypatch.setattr(night, "find_window", found)


def tell_to(told: list[RetrainResult], monkeypatch: pytest.MonkeyPatch) -> None:
    def heard(config: object, root: object, result: RetrainResult, *, warn: object) -> None:
        if not result.repeated:
            told.append(result)

    for name in ("finish", "tell"):
        monkeypatch.setattr(night, name, heard)


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> list[RetrainResult]:
    """What was told, in order."""
    told: list[RetrainResult] = []
    tell_to(told, monkeypatch)
    return told


@pytest.fixture(scope="module")
def _second_night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Daily, bytes]:
    """A first model, and the coefficients that an undisturbed second night has."""
    made = Daily(tmp_path_factory.mktemp("before") / "daily")
    made.folder.mkdir()
    made.configure()
    made.add(0, 6)
    made.published(4)
    undisturbed = Daily(made.folder.parent / "undisturbed")
    shutil.copytree(made.folder, undisturbed.folder)
    undisturbed.published(5)
    return made, undisturbed.coefficients("ctr@2")


@pytest.fixture
def second_night(_second_night: tuple[Daily, bytes], tmp_path: Path) -> tuple[Daily, bytes]:
    """The same, to be changed."""
    before, expected = _second_night
    daily = Daily(tmp_path / "daily")
    shutil.copytree(before.folder, daily.folder)
    return daily, expected


def test_a_first_model_and_a_sound_second_night(daily: Daily) -> None:
    first = daily.published(4)
    assert (first["candidate"], first["promoted"], first["dataset"]) == ("ctr@1", 1, "clicks@1")
    second = daily.published(5)
    assert (second["candidate"], second["promoted"]) == ("ctr@2", 2)

    root = open_root(daily.root)
    manifest, _ = read_manifest(root, "ctr", 2)
    assert manifest.spec.warm_start == "ctr@1"
    assert manifest.decision is not None
    assert (manifest.decision.accepted, manifest.decision.against) == (True, "ctr@1")
    provenance = manifest.provenance
    assert provenance is not None
    assert (provenance.window, provenance.first_day) == ("2026-03-06", "2026-03-03")
    assert [file.day for file in provenance.inputs] == [str(day(k)) for k in (2, 3, 4, 5)]
    assert provenance.code["mr_ml"] == mr_ml.__version__
    assert provenance.settings["train"] == {"loss": "logistic", "l2": 0.001}
    steps = [e["step"] for e in read_events(root.store, root.layout.run_log(manifest.run)) if e["event"] == "retrain"]
    assert steps == ["window", "packed", "fitted", "judged", "promoted", "cleaned", "ended"]
    entry = latest_promotion(root, "ctr")
    assert entry is not None
    assert (entry.action, entry.version, entry.previous, entry.forced) == ("promote", 2, 1, False)


def test_what_is_done_is_done_once(daily: Daily, outcomes: list[RetrainResult]) -> None:
    daily.published(4)
    before = daily.files()
    again = daily.published(4)
    assert again["repeated"] is True
    assert {name for name, data in daily.files().items() if before.get(name) != data} <= {
        name for name in daily.files() if name.startswith("root/locks/")
    }
    assert [result.outcome for result in outcomes] == ["published"]


def test_refused_forced_and_rolled_back(daily: Daily, outcomes: list[RetrainResult]) -> None:
    daily.published(4)
    root = open_root(daily.root)
    published = {name: data for name, data in daily.files().items() if name.startswith("root/models/")}
    # what it is trained on says the opposite of what it is tested on
    daily.add(2, 4, flipped=True)

    refused = daily.run(5)
    assert (refused.code, refused.result["outcome"], refused.result["candidate"]) == (3, "refused", "ctr@2")
    assert "log_loss against ctr@1" in refused.err
    assert promoted_version(root, "ctr") == 1
    assert {name: daily.files()[name] for name in published} == published

    again = daily.run(5)
    assert (again.code, again.result["repeated"]) == (3, True)
    assert "log_loss against ctr@1" in again.err
    assert len(outcomes) == 2

    runs = sorted((daily.root / "runs").iterdir())
    forced = daily.published(5, "--force", "the test day is wrong")
    assert (forced["candidate"], forced["forced"]) == ("ctr@2", "the test day is wrong")
    assert sorted((daily.root / "runs").iterdir()) == runs
    entry = latest_promotion(root, "ctr")
    assert entry is not None
    assert (entry.version, entry.forced, entry.reason) == (2, True, "the test day is wrong")

    rollback(root, "ctr", by={})
    assert daily.published(5)["repeated"] is True
    assert promoted_version(root, "ctr") == 1


def test_changed_inputs_or_settings_begin_anew(daily: Daily) -> None:
    first = daily.published(5)
    daily.add(4, 4, name="late", seed=9)
    second = daily.published(5)
    assert (second["candidate"], second["dataset"]) == ("ctr@2", "clicks@2")
    daily.configure(SETTINGS.replace("l2: 0.001", "l2: 0.002"))
    third = daily.published(5)
    # it is packed as before, and found again
    assert (third["candidate"], third["dataset"]) == ("ctr@3", "clicks@2")
    journal = read_journal(open_root(daily.root), "ctr", str(day(5)))
    assert journal is not None
    assert [a.run for a in (*journal.earlier, journal.attempt)] == [r["run"] for r in (first, second, third)]


def test_an_earlier_window_does_not_replace_a_later_one(daily: Daily) -> None:
    daily.published(5)
    earlier = daily.run(4)
    assert earlier.code == 3
    assert "not before 2026-03-06" in earlier.err
    assert promoted_version(open_root(daily.root), "ctr") == 1


def test_a_dry_run_writes_nothing(daily: Daily) -> None:
    before = daily.files()
    done = daily.run(4, "--dry-run")
    assert (done.code, done.result["would"], done.result["promoted"]) == (0, "begin", None)
    assert daily.files() == before
    assert not daily.root.exists()
    daily.published(4)
    shutil.rmtree(daily.folder / "days" / f"dt={day(4)}")
    before = daily.files()
    done = daily.run(5, "--dry-run")
    assert (done.result["warm_start"], done.result["missing_days"]) == ("ctr@1", [str(day(4))])
    assert daily.files() == before


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


@pytest.mark.parametrize(("damage", "code"), [(lambda file: file.write_bytes(b"x"), 65), (Path.unlink, 74)])
def test_a_published_model_that_is_lost(
    second_night: tuple[Daily, bytes], damage: Callable[[Path], object], code: int
) -> None:
    daily, _ = second_night
    coef = mr_ml.load_model(daily.root, "ctr").manifest["coef"]["uri"]
    damage(Path(daily.root, coef))
    failed = daily.run(6)
    assert failed.code == code
    assert "ctr@1 is in use and cannot be read" in failed.err
    assert "`mr-ml models rollback ctr`" in failed.err


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


def test_no_data_at_all_is_told(daily: Daily, outcomes: list[RetrainResult]) -> None:
    shutil.rmtree(daily.folder / "days")
    assert daily.run(4).code == 74
    assert [(found.outcome, found.run, found.window) for found in outcomes] == [("failed", None, str(day(4)))]


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


def test_row_weights_count_at_the_gate_as_in_training(daily: Daily) -> None:
    for place in daily.folder.glob("days/*/*.csv"):
        head, *rows = place.read_text().splitlines()
        place.write_text("\n".join([f"{head},w", *(f"{row},{1 + k % 3}" for k, row in enumerate(rows))]) + "\n")
    weighted = SETTINGS.replace("clicked}", "clicked, weight_column: w}")
    for number, settings, weight in (
        (4, weighted, 300), (5, weighted.replace("l2: 0.001", "l2: 0.001, row_weights: false"), 150),
    ):  # fmt: skip
        daily.configure(settings)
        done = daily.published(number)
        decision: Any = done["decision"]
        found = [decision[which].get("weight_sum", weight) for which in ("metrics", "published_metrics")]
        assert found == [weight, weight]


def test_who_comes_second_is_told_who_is_first(daily: Daily, outcomes: list[RetrainResult]) -> None:
    root = open_root(daily.root)
    with hold(root.store, root.layout.lock("ctr"), what="something else"):
        before = daily.files()
        second = daily.run(4)
        assert daily.files() == before
    assert (second.code, outcomes) == (75, [])
    assert "something else by user" in second.err


@pytest.mark.parametrize("meanwhile", [fence, lambda root, name, by: promote(root, name, 1, by=by)])
def test_nothing_is_promoted_over_what_happened_meanwhile(
    second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[..., Any]
) -> None:
    """By an operator, or by the process that took this one for dead."""
    daily, _ = second_night
    root = open_root(daily.root)
    monkeypatch.setattr(
        work, "reached", lambda point: meanwhile(root, "ctr", by={}) if point == "published noted" else None
    )
    with pytest.raises(LockedError):
        mr_ml.retrain(daily.settings, last=day(5))
    assert promoted_version(root, "ctr") == 1
    monkeypatch.undo()
    assert daily.published(5)["promoted"] == 2


def test_the_same_bits_in_worker_processes(second_night: tuple[Daily, bytes]) -> None:
    daily, expected = second_night
    daily.configure(SETTINGS.replace("name: inline", "name: local, workers: 2"))
    daily.published(5)
    assert daily.coefficients("ctr@2") == expected


def test_dealt_by_hash(daily: Daily) -> None:
    daily.configure(SETTINGS + "split: {by: hash, test_share: 0.25}\n")
    daily.published(4)
    dataset = mr_ml.load_dataset(daily.root, "clicks")
    assert dataset.n_rows() == 600
    # six standard deviations
    assert abs(dataset.n_rows("test") - 150) < 64


def test_another_loss_starts_from_nothing(daily: Daily) -> None:
    daily.published(4)
    daily.configure(SETTINGS.replace("loss: logistic", "loss: softmax"))
    done = daily.run(5)
    assert "training starts from nothing" in done.err
    manifest, _ = read_manifest(open_root(daily.root), "ctr", 2)
    assert manifest.spec.warm_start is None


def test_a_damaged_journal_says_what_to_remove(daily: Daily) -> None:
    daily.published(4)
    path = daily.root / "retrains" / "ctr" / str(day(4)) / "v000001.json"
    whole, root = path.read_bytes(), open_root(daily.root)
    journal = read_journal(root, "ctr", str(day(4)))
    assert journal is not None
    senseless = replace(journal, attempt=replace(journal.attempt, version=None))
    of_another = replace(journal, number=2)
    for content in (whole[:-20], *(encode_document(one.to_json()) for one in (senseless, of_another))):
        path.write_bytes(content)
        damaged = daily.run(4)
        assert damaged.code == BadDataError.exit_code
        assert f"remove {path.parent}" in damaged.err
    shutil.rmtree(path.parent)
    assert daily.published(4)["candidate"] == "ctr@2"


def test_python(daily: Daily) -> None:
    assert mr_ml.retrain(daily.settings, last=str(day(4))).candidate == "ctr@1"
    daily.add(2, 4, flipped=True)
    with pytest.raises(RefusedError) as refused:
        mr_ml.retrain(load_config(daily.settings), last=day(5))
    assert refused.value.result.candidate == "ctr@2"
    assert json.loads(json.dumps(refused.value.result.to_json()))["outcome"] == "refused"
    for wrong in ({"last": "yesterday"}, {"last": datetime(2026, 3, 5)}, {"last": 20260305}, {"force": " "}):
        with pytest.raises(UsageError, match=f"`{next(iter(wrong))}`: expected a"):
            mr_ml.retrain(daily.settings, **wrong)


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


def test_retention(daily: Daily) -> None:
    daily.add(6, 7)
    daily.configure(SETTINGS + "retention: {models: {versions: 1}, datasets: {versions: 1}}\n")
    for number in (4, 5, 6):
        last = daily.published(number)
    assert last["removed"] != 0
    left = sorted(path.name for path in (daily.root / "models" / "ctr").glob("v*"))
    # the promoted one, and that to which a rollback would go
    assert left == ["v000002.json", "v000003.json"]
    again = daily.published(4)
    assert (again["repeated"], again["decision"]) == (True, None)
    assert rollback(open_root(daily.root), "ctr", by={}).version == 2


def test_a_stale_owner_writes_its_journal_late(
    second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped between its check of the lock and its writing; another has trained on other files since."""
    daily, _ = second_night
    folder = daily.root / "retrains" / "ctr" / str(day(5))
    with monkeypatch.context() as patch:
        kill_at("published noted", patch)
        with pytest.raises(Killed):
            mr_ml.retrain(daily.settings, last=day(5))
    (its,) = folder.iterdir()
    stale = its.read_bytes()
    daily.add(5, 5, name="late", seed=1)
    assert daily.published(5)["candidate"] == "ctr@3"
    (newest,) = folder.iterdir()
    its.write_bytes(stale)
    again = daily.published(5)
    assert (again["candidate"], again["repeated"]) == ("ctr@3", True)
    entries, _ = read_promotions(open_root(daily.root), "ctr")
    assert [entry.version for entry in entries if entry.action == "promote"] == [1, 3]
    assert Commands(daily.root).run("clean", daily.settings).code == 0
    assert list(folder.iterdir()) == [newest]


def test_a_stale_owner_does_not_begin_a_journal(
    second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another has finished the window since it found that there is none."""
    daily, _ = second_night
    folder = daily.root / "retrains" / "ctr" / str(day(5))
    done: list[str] = []

    def reached(point: str) -> None:
        if point == "begun" and not done:
            done.append(point)
            shutil.copytree(other.root / "retrains" / "ctr" / str(day(5)), folder)

    other = Daily(daily.folder.parent / "other")
    shutil.copytree(daily.folder, other.folder)
    other.published(5)
    monkeypatch.setattr(work, "reached", reached)
    with pytest.raises(LockedError, match="found one: another process"):
        mr_ml.retrain(daily.settings, last=day(5))
    (path,) = folder.iterdir()
    assert path.read_bytes() == (other.root / "retrains" / "ctr" / str(day(5)) / path.name).read_bytes()
