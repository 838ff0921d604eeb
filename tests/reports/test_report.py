"""mr-ml report: what it says, of runs and models of every sort and fate."""

from __future__ import annotations

import base64
import copy
import hashlib
import random
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pages
import pytest
from commands import Commands
from sealed_nonsense import mutate_json

import mr_ml
from hdfs_layout import append_events, decode_document, encode_document, open_root
from hdfs_layout.owners import owned
from mr_ml.catalog.run import RunDocument, start_run
from mr_ml.catalog.run_log import read_log
from mr_ml.errors import NotFoundError, StorageError, UsageError
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.reports.facts import find_facts
from mr_ml.reports.page import page
from mr_ml.reports.words import NONE


def page_of(commands: Commands, reference: str) -> pages.Element:
    """Return a report, checked for what all must be."""
    text = mr_ml.report(commands.root, reference)
    check(text)
    return pages.tree(text)


def check(text: str) -> None:
    """Hold a page against what none of them may have."""
    assert text.startswith("<!DOCTYPE html>")
    found = pages.tree(text)
    elements = found.all()
    assert not {"script", "img", "link", "iframe", "object", "embed", "form", "base"} & {one.tag for one in elements}
    for one in elements:
        for name, value in one.attributes.items():
            assert name != "style"
            assert not name.startswith("on")
            assert name not in ("src", "srcset", "data", "xlink:href", "action"), one
            assert name != "href" or (value or "").startswith("#")
    ids = [one.attributes["id"] for one in elements if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    links = {(one.attributes["href"] or "").removeprefix("#") for one in found.all("a")}
    assert links == {one.attributes["id"] for one in found.all("section")}
    (style,) = found.all("style")
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    (policy,) = [one for one in found.all("meta") if one.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policy.attributes["content"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"url\(|@import|https?:", style.text)
    for drawing in found.all("svg"):
        if drawing.attributes.get("role") == "img":
            title, description = (drawing.attributes["aria-labelledby"] or "").split()
            assert drawing.with_id(title).tag == "title"
            assert drawing.with_id(description).text
        assert not {"nan", "inf"} & set(re.findall(r"nan|inf", " ".join(str(of.attributes) for of in drawing.all())))
    for table in found.all("table"):
        assert len({len([one for one in row.all() if one.tag in ("th", "td")]) for row in table.all("tr")}) == 1


def numbers(cells: list[str]) -> list[float]:
    return [float(cell.replace("\u202f", "")) for cell in cells]


def test_a_model_of_two_labels(kept: Commands, tmp_path: Path) -> None:
    found = page_of(kept, "churn")
    assert found.all("h1")[0].text == "churn@1"
    evaluation = kept("models", "show", "churn")["evaluations"][0]
    part = found.with_id("measurements")
    tiles = {one.all("dt")[0].text: one.all("dd")[0].text for one in part.all("dl")[0].all("div")}
    for name in ("accuracy", "log_loss", "brier", "mcc", "ks", "f1"):
        assert float(tiles[name.replace("_", " ")]) == pytest.approx(evaluation[name], rel=1e-3)
    told = [[float(cell.split(" (")[0]) for cell in row[1:]] for row in part.table("Confusion")[1:]]
    assert told == evaluation["confusion"]
    assert [row[0] for row in part.table("By city")[1:]] == ["Oslo", "Paris", "Rome"]
    # its ROC curve has the points that are kept
    curve = next(one for one in part.all("svg") if "ROC" in one.all("title")[0].text)
    (line,) = [one for one in curve.all("polyline") if one.attributes["class"] == "line s0"]
    points = np.array([[float(v) for v in at.split(",")] for at in (line.attributes["points"] or "").split()])
    (of,) = evaluation["curves"]
    width, height = points[-1, 0] - points[0, 0], points[0, 1] - points[-1, 1]
    assert points[1:, 0] - points[0, 0] == pytest.approx(np.array(of["false_positive_rate"]) * width, abs=0.02)
    assert points[0, 1] - points[1:, 1] == pytest.approx(np.array(of["recall"]) * height, abs=0.02)
    # the strongest is the one whose coefficient and spread say so
    strongest = found.with_id("coefficients").table("The strongest")
    model, moments = mr_ml.load_model(kept.root, "churn"), kept("describe", "two")["features"]["train"]
    with np.load(kept.root / model.manifest["coef"]["uri"]) as arrays:
        coef = dict(zip(model.feature_names, arrays["coef"][0].tolist(), strict=True))
    sizes = {of["feature"]: coef[of["feature"]] * of["std"] for of in moments}
    order = sorted(sizes, key=lambda name: -abs(sizes[name]))
    assert [row[0] for row in strongest[1:]] == order
    assert numbers([row[2] for row in strongest[1:]]) == pytest.approx([sizes[name] for name in order], rel=1e-3)
    shown = {row["feature"]: row for row in kept("models", "show", "churn", "--table")["inference"]["parameters"]}
    for row in strongest[1:]:
        if row[5] != NONE:
            low, _, high = row[5].partition(" to ")
            of_feature = shown[row[0]]
            assert numbers([low, high]) == pytest.approx([of_feature["low"], of_feature["high"]], rel=1e-3)
    # the passes of the log, and the tolerance
    log = read_log(open_root(str(kept.root)), model.manifest["run"]).passes
    assert [float(row[2]) for row in found.with_id("convergence").table("Passes")[1:]] == pytest.approx(
        [float(p["gradient_norm"]) for p in log], rel=1e-3
    )
    assert "tolerance 1e-06" in found.with_id("convergence").text
    # by a run too, and as a file
    file = tmp_path / "page.html"
    done = kept("report", model.manifest["run"], "-o", file)
    assert done == {"reference": model.manifest["run"], "output": str(file), "bytes": file.stat().st_size}
    assert file.read_text(encoding="utf-8") == mr_ml.report(kept.root, "churn@1")


def test_a_model_of_three_labels(kept: Commands) -> None:
    part = page_of(kept, "level").with_id("measurements")
    legends = part.all("ul")
    assert [[item.text for item in legend.all("li")] for legend in legends] == [["high", "low", "mid"]] * 2
    for curve in part.all("svg"):
        if curve.all("title") and "ROC" in curve.all("title")[0].text:
            assert len([one for one in curve.all("polyline") if "line" in (one.attributes["class"] or "").split()]) == 3


@pytest.mark.parametrize(
    ("model", "has", "has_not"),
    [
        ("spend", ("r2", "root mean squared error", "Calibration"), ("ROC", "Confusion", "log loss")),
        ("margins", ("mean loss", "ROC", "Confusion"), ("Calibration", "log loss", "brier")),
    ],
)
def test_other_losses(kept: Commands, model: str, has: tuple[str, ...], has_not: tuple[str, ...]) -> None:
    text = page_of(kept, model).with_id("measurements").text
    assert [word for word in has if word not in text] == []
    assert [word for word in has_not if word in text] == []


def test_what_is_not_kept_is_made_by_the_command_that_is_shown(kept: Commands, tmp_path: Path) -> None:
    mine = replace(kept, root=tmp_path / "root")
    shutil.copytree(kept.root, mine.root)
    found = page_of(mine, "unmeasured")
    assert "The search did not reach the optimum" in found.with_id("cautions").text
    part = found.with_id("measurements")
    assert not part.all("svg")
    (command,) = [one.text for one in part.all("code") if one.attributes.get("class") == "command"]
    program, *words = shlex.split(command)
    assert program == "mr-ml"
    mine(*words, "-r", "inline")
    assert len(page_of(mine, "unmeasured").with_id("measurements").all("svg")) == 3
    # of standard errors likewise, where there can be some
    mine("train", "two", "--model", "plain", "-r", "inline")
    commands = [one.text for one in page_of(mine, "plain").with_id("coefficients").all("code")]
    (command,) = [text for text in commands if text.startswith("mr-ml ")]
    mine(*shlex.split(command)[1:], "-r", "inline")
    assert "interval" in page_of(mine, "plain").with_id("coefficients").text
    assert "There are no standard errors" in found.with_id("coefficients").text


def test_a_tuning(kept: Commands) -> None:
    tuned = kept("models", "show", "tuned")
    run = tuned["run"].removesuffix("-best")
    for reference in ("tuned", run):
        found = page_of(kept, reference)
        rows = found.with_id("candidates").table("Candidates")
        assert [row[1] for row in rows[1:]] == ["l2 0.0001", "l2 0.01", "l2 1"]
        assert [row[5] for row in rows[1:]].count("chosen") == 1
        (chosen,) = [one for one in found.with_id("candidates").all("tr") if one.attributes.get("class") == "heavy"]
        assert "chosen" in chosen.text
        assert len(found.with_id("candidates").all("svg")) == 1


def test_a_retraining_that_was_refused(nights_kept: Commands) -> None:
    found = page_of(nights_kept, "ctr@2")
    assert found.all("p")[0].text == "refused"
    part = found.with_id("decision-of-the-gate")
    decision = nights_kept("models", "show", "ctr@2")["decision"]
    rows = part.table("Checks")
    assert [(row[0] == "✓", *row[1:]) for row in rows[1:]] == [
        (c["passed"], c["name"], c["found"], c["expected"]) for c in decision["checks"]
    ]
    assert "held against those of ctr@1, the promoted version" in found.with_id("moved-rows").text
    steps = [row[1] for row in found.with_id("times").table("Steps")[1:]]
    assert steps[0] == "window"
    assert {"packed", "trained"} & set(steps)
    assert "Python 3" in found.with_id("made-of").text
    # nothing came before the first
    assert "moved-rows" not in [one.attributes["id"] for one in page_of(nights_kept, "ctr@1").all("section")]
    again = nights_kept("models", "show", "ctr@2")["run"]
    assert mr_ml.report(nights_kept.root, again) == mr_ml.report(nights_kept.root, "ctr@2")


def test_runs_without_a_model(kept: Commands, tmp_path: Path) -> None:
    """One that goes on, with numbers that are none; one that failed; one that has not begun to pass over anything."""
    mine = replace(kept, root=tmp_path / "root")
    shutil.copytree(kept.root, mine.root)
    root = open_root(str(mine.root))
    start_run(root, "going", RunDocument(spec=LinearSpec(dataset="two@1", model="later")))
    assert "The log has no passes." in page_of(mine, "going").with_id("convergence").text
    passes = [
        {"event": "pass", "number": k, "objective": value, "gradient_norm": norm, "step": 1.0, "rows_per_second": 50.0}
        for k, (value, norm) in enumerate([(0.7, 1.0), (float("inf"), float("nan")), (0.5, 0.0), (0.4, 1e-3)], start=1)
    ]
    append_events(root.store, root.layout.run_log("going"), passes)
    found = page_of(mine, "going")
    assert found.all("p")[0].text == "unfinished"
    assert len(found.with_id("convergence").all("svg")) == 2
    assert "mr-ml runs resume going" in found.with_id("cautions").text
    start_run(root, "fallen", RunDocument(spec=LinearSpec(dataset="gone@1", model="later")))
    failed = {"event": "failed", "stop": "the objective is not finite at the start; drop what is <huge>"}
    append_events(root.store, root.layout.run_log("fallen"), [*passes, failed])
    found = page_of(mine, "fallen")
    assert found.all("p")[0].text == "failed"
    assert "drop what is <huge>" in found.with_id("cautions").text
    assert "not there any more" in found.with_id("made-of").text


def test_processes_that_were_at_work(kept: Commands, tmp_path: Path) -> None:
    mine = replace(kept, root=tmp_path / "root")
    shutil.copytree(kept.root, mine.root)
    root = open_root(str(mine.root))
    start_run(root, "work", RunDocument(spec=LinearSpec(dataset="two@1", model="later")))
    here = {"event": "begun", "at": "2026-03-01T08:00:00.000Z", "owner": owned("run"), "host": "node-<7>", "pid": 4242}
    passed = {"event": "pass", "at": "2026-03-01T08:01:05.000Z", "number": 1, "objective": 0.5, "gradient_norm": 0.1}
    log = root.layout.run_log("work")
    append_events(root.store, log, [here, {**passed, "step": 1.0, "rows_per_second": 50.0}])
    found = page_of(mine, "work")
    assert found.all("p")[0].text == "running"
    assert "mr-ml runs resume" not in found.with_id("cautions").text
    error = {"event": "stopped", "at": "2026-03-01T08:01:05.000Z", "interrupted": False, "error": "no space <left>"}
    append_events(root.store, log, [error])
    found = page_of(mine, "work")
    assert found.all("p")[0].text == "failed"
    assert "No space <left>." in found.with_id("cautions").text
    assert "mr-ml runs resume work" in found.with_id("cautions").text
    terms = {
        name.text: text.text
        for name, text in zip(found.with_id("made-of").all("dt"), found.with_id("made-of").all("dd"), strict=True)
    }
    assert terms["Began"] == "2026-03-01 08:00:00 UTC, 1 min 05 s at work"
    assert terms["Hosts"] == "node-<7> (process 4242)"
    again = {**here, "at": "2026-03-01T09:00:00.000Z"}
    append_events(root.store, log, [again, {**error, "at": "2026-03-01T09:00:55.000Z", "interrupted": True}])
    found = page_of(mine, "work")
    assert found.all("p")[0].text == "interrupted"
    assert "2 min 00 s at work, by 2 processes" in found.with_id("made-of").text
    # a model says so too, and who made it
    assert "at work" in page_of(mine, "churn").with_id("made-of").text


def test_what_is_gone_or_damaged_is_said(kept: Commands, tmp_path: Path) -> None:
    mine = replace(kept, root=tmp_path / "root")
    shutil.copytree(kept.root, mine.root)
    data = next((mine.root / "models" / "churn" / "data").iterdir())
    for name in ("inference", "evaluations/two@1.test.json"):
        (data / name).write_bytes((data / name).read_bytes()[:-20])
    shutil.rmtree(mine.root / "datasets" / "two")
    shutil.rmtree(mine.root / "runs" / data.name)
    found = page_of(mine, "churn")
    assert found.with_id("cautions").text.count("Damaged") == 2
    assert "not known how much their features vary" in found.with_id("coefficients").text
    assert "log is not there any more" in found.with_id("convergence").text
    assert len(found.with_id("measurements").all("h3")) == 1
    # the model is gone, the run is not
    run = kept("models", "show", "spend")["run"]
    shutil.rmtree(mine.root / "models" / "spend")
    assert "not there any more" in page_of(mine, run).with_id("cautions").text


@pytest.mark.parametrize("model", ["churn", "level", "spend"])
def test_nonsense_under_a_right_checksum_is_said_or_shown(kept: Commands, tmp_path: Path, model: str) -> None:
    mine = replace(kept, root=tmp_path / "root")
    shutil.copytree(kept.root, mine.root)
    file = next((mine.root / "models" / model / "data").glob("*/evaluations/*.test.json"))
    written, rng = decode_document(file.read_bytes(), where="a test"), random.Random(model)
    n_said = 0
    for _ in range(40):
        changed = copy.deepcopy(written)
        what = mutate_json(changed, rng)
        for key in ("format", "sha256"):
            changed.pop(key, None)
        file.write_bytes(encode_document(changed))
        found = mine.run("report", model, "-o", tmp_path / "page.html")
        assert found.code == 0, (what, found.err)
        n_said += "Damaged, and left out here" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert n_said > 10


def test_earlier_releases(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[1] / "golden" / "root-1", tmp_path / "root")
    commands = Commands(tmp_path / "root")
    for model in commands("models", "list")["models"]:
        found = page_of(commands, f"{model['model']}@{model['version']}")
        assert "Damaged" not in found.text
        assert page_of(commands, model["run"]).text == found.text


def test_hostile_names(mr_ml_root: Commands, tmp_path: Path) -> None:
    labels = [pages.SCRIPT, pages.BIDI + pages.CONTROLS, pages.STYLE]
    columns = (pages.IMAGE, pages.ENTITY, pages.LONG)
    pages.packed(mr_ml_root, tmp_path, "hostile", labels, columns=columns)
    mr_ml_root("train", "hostile", "--model", "m", "--loss", "softmax", "--l2", "0.01", "-r", "inline")
    mr_ml_root("evaluate", "m", "hostile", "--save", "--by", pages.LONG, "-r", "inline")
    found = page_of(mr_ml_root, "m")
    text = found.text
    assert [
        name for name in (pages.SCRIPT, pages.STYLE, pages.IMAGE, pages.ENTITY, pages.LONG) if name not in text
    ] == []
    assert r"\u202egnp.exe\u2066 \u200bbell\x07 escape\x1b[31m" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)


def test_what_is_asked_for_is_not_there(kept: Commands, tmp_path: Path) -> None:
    nobody = kept.run("report", "nobody", "-o", tmp_path / "page.html")
    assert (nobody.code, "there is no run or model 'nobody'" in nobody.err) == (2, True)
    with pytest.raises(NotFoundError):
        mr_ml.report(kept.root, "churn@9")
    with pytest.raises(UsageError, match="expected as the name of a run or model"):
        mr_ml.report(kept.root, "../churn")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write the report"):
        mr_ml.report(kept.root, "churn", tmp_path / "file" / "page.html")
    (tmp_path / "file").unlink()
    with pytest.raises(UsageError, match="`output`: expected the path of a file"):
        mr_ml.report(kept.root, "churn", f"{tmp_path}/")
    assert not list(tmp_path.iterdir())
    page = mr_ml.report(kept.root, "churn", tmp_path / "new" / "folder" / "page.html")
    assert (tmp_path / "new" / "folder" / "page.html").read_text(encoding="utf-8") == page


def test_a_run_and_a_model_of_one_name(mr_ml_root: Commands, tmp_path: Path) -> None:
    pages.packed(mr_ml_root, tmp_path, "two", ["no", "yes"])
    mr_ml_root("train", "two", "--model", "both", "-r", "inline")
    root = open_root(str(mr_ml_root.root))
    start_run(root, "both", RunDocument(spec=LinearSpec(dataset="two@1", model="later")))
    with pytest.raises(UsageError, match="write both@latest for the model"):
        mr_ml.report(mr_ml_root.root, "both")
    assert page_of(mr_ml_root, "both@latest").all("h1")[0].text == "both@1"


def test_without_the_package(kept: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    failed = kept.run("report", "churn")
    assert (failed.code, "pip install 'mr_ml[report]'" in failed.err) == (2, True)


def test_the_same_page_again(kept: Commands) -> None:
    facts = find_facts(open_root(str(kept.root)), "churn")
    assert page(facts) == page(facts) == mr_ml.report(kept.root, "churn")
    assert isinstance(facts.document, RunDocument)
