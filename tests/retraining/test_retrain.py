"""Whole retrainings of a small table: what becomes of a night, and of the same night when it is run again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from daily import SETTINGS, Daily, day

import mr_ml
from hdfs_layout import open_root, read_events
from hdfs_layout.lock import hold
from mr_ml.catalog.model import read_manifest
from mr_ml.catalog.promotions import latest_promotion, promoted_version, rollback
from mr_ml.errors import UsageError
from mr_ml.retraining.config import load_config
from mr_ml.retraining.journal import read_journal
from mr_ml.retraining.result import RefusedError, RetrainResult


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


def test_no_data_at_all_is_told(daily: Daily, outcomes: list[RetrainResult]) -> None:
    shutil.rmtree(daily.folder / "days")
    assert daily.run(4).code == 74
    assert [(found.outcome, found.run, found.window) for found in outcomes] == [("failed", None, str(day(4)))]


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
