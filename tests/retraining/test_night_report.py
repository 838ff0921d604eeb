"""`report: true`: a page for every night, whatever came of it, and never at its cost."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from daily import SETTINGS, Daily

from hdfs_layout import open_root
from mr_ml.catalog.run_log import read_log


def daily(folder: Path) -> Daily:
    made = Daily(folder)
    made.configure(SETTINGS + "report: true\n")
    return made


def page_of(nights: Daily, run: object) -> str:
    return Path(nights.root, "runs", str(run), "report.html").read_text(encoding="utf-8")


def steps_of(nights: Daily, run: object) -> list[dict[str, object]]:
    log = read_log(open_root(str(nights.root)), str(run))
    return [dict(step) for step in log.retrain if step["step"] == "report"]


def test_a_promoted_and_a_refused_night_leave_their_pages(tmp_path: Path) -> None:
    nights = daily(tmp_path)
    nights.add(0, 3)
    good = nights.published(3)
    assert good["report"] == f"{nights.root}/runs/{good['run']}/report.html"
    assert '<p class="status good">published</p>' in page_of(nights, good["run"])
    assert [step["file"] for step in steps_of(nights, good["run"])] == [good["report"]]
    # whoever asks again is told of the page that is there, which stays as it is
    before = page_of(nights, good["run"])
    again = nights.run(3)
    assert (again.code, again.result["repeated"], again.result["report"]) == (0, True, good["report"])
    assert page_of(nights, good["run"]) == before
    nights.add(4, 6, flipped=True)
    refused = nights.run(6)
    assert refused.code == 3
    page = page_of(nights, refused.result["run"])
    assert '<p class="status bad">refused</p>' in page
    # the gate's decision, and what the night did
    assert "Gate and promotions" in page
    assert 'id="times"' in page


def test_a_failed_night_too(tmp_path: Path) -> None:
    nights = daily(tmp_path)
    nights.configure(SETTINGS.replace("l2: 0.001", 'l2: 0.001, class_weights: "maybe=2"') + "report: true\n")
    nights.add(0, 3)
    failed = nights.run(3)
    assert failed.code not in (0, 3)
    (run,) = [path.name for path in Path(nights.root, "runs").iterdir()]
    assert '<p class="status bad">failed</p>' in page_of(nights, run)


def test_a_page_that_cannot_be_made_costs_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = daily(tmp_path)
    nights.add(0, 3)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = nights.run(3)
    assert (done.code, done.result["outcome"], done.result["report"]) == (0, "published", None)
    assert "was not written: a report needs the package jinja2" in done.err
    assert "pip install 'mr_ml[report]'" in done.err
    run = done.result["run"]
    assert not Path(nights.root, "runs", run, "report.html").exists()
    assert ["failed" in step for step in steps_of(nights, run)] == [True]
    # the next one that asks gets what is lacking
    monkeypatch.delitem(sys.modules, "jinja2")
    assert nights.run(3).result["report"] is not None
    assert "<!DOCTYPE html>" in page_of(nights, run)


def test_a_defect_of_the_page_costs_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = daily(tmp_path)
    nights.add(0, 3)

    def broken(facts: object) -> str:
        raise ZeroDivisionError("nothing by nothing")

    monkeypatch.setattr("mr_ml.reports.page.page", broken)
    done = nights.run(3)
    assert (done.code, done.result["report"]) == (0, None)
    assert "ZeroDivisionError: nothing by nothing" in done.err


def test_who_is_told_hears_where_it_lies(tmp_path: Path) -> None:
    nights = daily(tmp_path)
    told = tmp_path / "told.jsonl"
    nights.configure(
        f"{SETTINGS}report: true\nnotify:\n  - {{on: [success], command: [/usr/bin/tee, {json.dumps(str(told))}]}}\n"
    )
    nights.add(0, 3)
    done = nights.published(3)
    assert json.loads(told.read_text())["report"] == done["report"]


def test_nothing_is_written_unasked(tmp_path: Path) -> None:
    nights = Daily(tmp_path)
    nights.configure()
    nights.add(0, 3)
    done = nights.published(3)
    assert done["report"] is None
    assert not list(Path(nights.root).rglob("*.html"))
