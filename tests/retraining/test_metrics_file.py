"""The metrics file, read by Prometheus' own parser; and that what goes wrong with it is a warning, no more."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from daily import SETTINGS, Daily, day
from prometheus_client.parser import text_string_to_metric_families

import mr_ml
from hdfs_layout import open_root
from hdfs_layout.lock import hold
from mr_ml.catalog.decision import Check, Decision
from mr_ml.errors import StorageError
from mr_ml.retraining import metrics_file
from mr_ml.retraining.config import RetrainConfig
from mr_ml.retraining.metrics_file import METRICS, write_metrics
from mr_ml.retraining.result import RetrainResult
from mr_ml.retraining.window import InputRules

DOCS = Path(__file__).parents[2] / "docs"
FAILED = RetrainResult(model="ctr", window="2026-03-29", outcome="failed", message="no rows", exit_code=65, seconds=1.5)

Samples = dict[tuple[str, ...], float]


def read(path: Path) -> Samples:
    """Name without prefix, and the values of the labels beside model and root -> number."""
    found: Samples = {}
    for family in text_string_to_metric_families(path.read_text(encoding="utf-8")):
        for sample in family.samples:
            labels = [value for name, value in sample.labels.items() if name not in ("model", "root")]
            found[sample.name.removeprefix("mr_ml_retrain_"), *sorted(labels)] = sample.value
    return found


def config_for(path: Path, **more: Any) -> RetrainConfig:
    rules = InputRules(location="/raw/{date}", days=4)
    return RetrainConfig(model="ctr", input=rules, metrics_file=str(path), timezone="Europe/Berlin", **more)


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_nights(daily: Daily) -> None:
    """Promoted, refused, failed, and locked out."""
    path = daily.folder / "ctr.prom"
    daily.configure(f"{SETTINGS}timezone: Europe/Berlin\nmetrics_file: ctr.prom\n")
    daily.add(6, 6)
    first = daily.published(4)
    found = read(path)
    window_end = at(f"{day(5)}T00:00+01:00")
    assert found["last_run_outcome", "published"] == 1
    assert found["last_run_exit_code",] == 0
    assert found["last_success_timestamp_seconds",] == at(str(first["ended"]))
    assert found["last_run_window_end_timestamp_seconds",] == window_end
    assert found["published_window_end_timestamp_seconds",] == window_end
    assert (found["published_version",], found["candidate_version",]) == (1, 1)
    assert (found["last_run_dates", "with_data"], found["last_run_dates", "missing"]) == (4, 0)
    assert (found["last_run_rows", "train"], found["last_run_rows", "test"]) == (450, 150)
    training, decision = first["training"], first["decision"]
    assert isinstance(training, dict)
    assert isinstance(decision, dict)
    assert found["last_run_passes",] == training["passes"]
    assert found["last_run_checks", "passed"] == len(decision["checks"])
    assert found["last_run_evaluation", "candidate", "log_loss"] == decision["metrics"]["log_loss"]
    assert found["info", *sorted([mr_ml.__version__, "clicks@1"])] == 1

    daily.add(2, 4, flipped=True)
    shutil.rmtree(daily.folder / "days" / f"dt={day(3)}")
    assert daily.run(5).code == 3
    refused = read(path)
    assert [refused["last_run_outcome", name] for name in ("published", "refused", "failed")] == [0, 1, 0]
    assert (refused["last_run_dates", "missing"], refused["last_run_exit_code",]) == (1, 3)
    assert (refused["published_version",], refused["candidate_version",]) == (1, 2)
    assert refused["last_run_checks", "failed"] >= 1
    losses = [refused["last_run_evaluation", *sorted([of, "log_loss"])] for of in ("published", "candidate")]
    assert losses[0] < losses[1]
    assert refused["last_success_timestamp_seconds",] == found["last_success_timestamp_seconds",]

    (daily.folder / "days" / f"dt={day(6)}" / "part-0.csv").write_text("a,b,c,clicked\n1,2\n")
    assert daily.run(6).code == 65
    failed = read(path)
    assert (failed["last_run_outcome", "failed"], failed["last_run_exit_code",]) == (1, 65)
    assert ("last_run_passes",) not in failed
    assert failed["last_success_timestamp_seconds",] == found["last_success_timestamp_seconds",]

    before = path.read_bytes()
    root = open_root(daily.root)
    with hold(root.store, root.layout.lock("ctr"), what="something else"):
        assert daily.run(6).code == 75
    assert path.read_bytes() == before
    path.unlink()
    # nothing to do
    assert daily.run(5).result["repeated"] is True
    assert read(path)["last_success_timestamp_seconds",] == found["last_success_timestamp_seconds",]


def test_nothing_yet(tmp_path: Path) -> None:
    path = tmp_path / "ctr.prom"
    write_metrics(config_for(path), open_root(tmp_path / "root"), FAILED, warn=pytest.fail)
    found = read(path)
    assert (found["last_success_timestamp_seconds",], found["published_version",]) == (0, 0)
    # the day of 23 hours
    assert found["last_run_window_end_timestamp_seconds",] == at("2026-03-30T00:00+02:00")
    assert not (tmp_path / "root").exists()


def test_what_only_the_root_knows_outlives_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, root = tmp_path / "ctr.prom", open_root(tmp_path / "root")
    published = replace(FAILED, outcome="published", exit_code=0, ended="2026-03-30T02:00:00Z")
    config = config_for(path)
    write_metrics(config, root, published, warn=pytest.fail)

    def out_of_reach(*given: object) -> int:
        raise StorageError("no answer")

    monkeypatch.setattr(metrics_file, "promoted_version", out_of_reach)
    for _ in range(2):
        write_metrics(config, root, FAILED, warn=pytest.fail)
        found = read(path)
        assert found["last_success_timestamp_seconds",] == at("2026-03-30T02:00:00Z")
        assert (found["published_version",], found["last_run_outcome", "failed"]) == (0, 1)
    write_metrics(replace(config, model="other"), root, FAILED, warn=pytest.fail)
    assert ("published_version",) not in read(path)


def test_hostile_names_and_numbers(tmp_path: Path) -> None:
    name = 'a"} 1\nb{c="\\\r\x1b\u2028\udcff'
    decision = Decision(
        accepted=False, against=None, published_metrics={}, metrics={name: float("nan"), "auc": float("inf"), "n": {}},
        checks=(Check(name=name, passed=True, found=name, expected=name),),
    )  # fmt: skip
    path = tmp_path / "ctr.prom"
    write_metrics(
        config_for(path), open_root(os.fsdecode(os.fsencode(tmp_path) + b"/r\xff\n\"t")),
        replace(FAILED, decision=decision, training={"passes": "3"}), warn=pytest.fail,
    )  # fmt: skip
    found = read(path)
    assert found["last_run_evaluation", "auc", "candidate"] == float("inf")
    assert len([key for key in found if key[0] == "last_run_evaluation"]) == 2
    assert {key[0] for key in found} <= set(METRICS)


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_everybody_may_read_it(tmp_path: Path, umask: int) -> None:
    path, root = tmp_path / "ctr.prom", open_root(tmp_path / "root")
    # of a process that was killed
    (tmp_path / ".ctr.prom.new").write_text("half")
    before = os.umask(umask)
    try:
        write_metrics(config_for(path), root, FAILED, warn=pytest.fail)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["ctr.prom"]


def _missing(folder: Path) -> Path:
    return folder / "missing" / "ctr.prom"


def _folder(folder: Path) -> Path:
    (folder / "ctr.prom" / "full").mkdir(parents=True)
    return folder / "ctr.prom"


def _file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "ctr.prom"


@pytest.mark.parametrize(
    ("place", "why"), [(_missing, "make it"), (_folder, "Is a directory"), (_file, "Not a directory")]
)
def test_what_cannot_be_written_is_a_warning(tmp_path: Path, place: Callable[[Path], Path], why: str) -> None:
    warnings: list[str] = []
    path = place(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    event = write_metrics(config_for(path), open_root(tmp_path / "root"), FAILED, warn=warnings.append)
    assert why in event["failed"]
    assert warnings == [f"the metrics file {path} was not written: {event['failed']}"]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus' own check, where it is installed")
def test_prometheus_has_nothing_to_say_against_it(tmp_path: Path) -> None:
    path = tmp_path / "ctr.prom"
    write_metrics(config_for(path), open_root(tmp_path / "root"), FAILED, warn=pytest.fail)
    checked = subprocess.run(["promtool", "check", "metrics"], input=path.read_bytes(), capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    rules = DOCS / "examples" / "mr_ml_alerts.yml"
    subprocess.run(["promtool", "check", "rules", rules], check=True, capture_output=True)


def test_the_guide_names_every_metric_and_alerts_name_no_other() -> None:
    names = {f"mr_ml_retrain_{name}" for name in METRICS}
    guide = (DOCS / "retraining.md").read_text(encoding="utf-8")
    assert names <= set(re.findall(r"\bmr_ml_retrain_\w+", guide))
    alerts = (DOCS / "examples" / "mr_ml_alerts.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"\bmr_ml_retrain_\w+", alerts)) <= names


LAST: dict[str, Any] = {"window": "2026-11-26", "outcome": "published", "reasons": [], "message": None}
STATUS = {"model": "ctr", "promoted": "ctr@6", "age_seconds": 86_400, "last": LAST, "input_error": None}


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({}, 0, "MR_ML OK: ctr@6 was promoted 1.0 days ago; last retraining (2026-11-26) published | age=1.00d;2;7"),
        ({"age_seconds": 700_000}, 2, "MR_ML CRITICAL: ctr@6 was promoted 8.1 days ago"),
        ({"age_seconds": 200_000}, 1, "MR_ML WARNING: ctr@6"),
        (
            {"last": LAST | {"outcome": "refused", "reasons": ["a\n| b", "c"]}},
            1,
            "26) refused: a / b; c | age",
        ),
        ({"last": LAST | {"outcome": "failed", "message": "no rows"}}, 1, "failed: no rows |"),
        (
            {"age_seconds": None, "last": None},
            2,
            "CRITICAL: no version of ctr is promoted; last",
        ),
        (None, 3, "MR_ML UNKNOWN: mr-ml status did not say anything"),
    ],
)
def test_the_check_for_nagios(changes: dict[str, Any] | None, code: int, text: str) -> None:
    said = "" if changes is None else json.dumps(STATUS | changes)
    script = DOCS / "examples" / "check_mr_ml.py"
    done = subprocess.run([sys.executable, "-S", "-E", script], input=said, capture_output=True, text=True)
    assert (done.returncode, text in done.stdout, done.stdout.count("\n")) == (code, True, 1), done
