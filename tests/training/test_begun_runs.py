"""Runs that begin with coefficients in a file: what is said of it, kept of it, and refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coefficient_files as files
import numpy as np
import pytest
from begun import Here, rows, vw_rows
from commands import Commands

import mr_ml
from mr_ml.errors import BadDataError, UsageError
from mr_ml.session import Session
from mr_ml.training.loop import Progress


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


class Killed(BaseException):
    """What a driver that dies leaves."""


def without_states(root: Path, run: str) -> None:
    for state in (root / "runs" / run / "passes").rglob("*"):
        if state.is_file():
            state.unlink()


def test_a_run_goes_on_without_the_file_and_with_the_same_bits(here: Here) -> None:
    x, score = rows()
    here.table("d", x, np.where(score > 0, "yes", "no").tolist())
    data = files.npz(coef=[[0.3, 0.1]], intercept=[0.2], feature_names=["height", "b"], classes=["no", "yes"])

    def dies(progress: Progress) -> None:
        raise Killed

    def begun(**options: Any) -> tuple[Session, Any]:
        session = Session.open(here.root, runner="inline", **options)
        given = {"l2": 1e-3, "warm_start_from": here.write(data)}
        return session, session.spec("linear", "d", "m", "train", given)

    session, spec = begun()
    whole = session.train(spec)
    dying, again = begun(watch=dies)
    assert again == spec
    # one was killed after its first pass, one before it
    with pytest.raises(Killed):
        dying.fit(again, run="after")
    with pytest.raises(Killed):
        dying.fit(again, run="before")
    without_states(here.root, "before")
    (here.folder / "model.file").unlink()
    sha256 = mr_ml.load_model(here.root, f"m@{whole.version}").manifest["coef"]["sha256"]
    for run in ("after", "before"):
        done = mr_ml.resume(here.root, run)
        assert mr_ml.load_model(here.root, f"m@{done.version}").manifest["coef"]["sha256"] == sha256


def test_a_copy_that_is_damaged_or_gone_is_no_start(here: Here) -> None:
    x, score = rows()
    here.table("d", x, np.where(score > 0, "yes", "no").tolist())

    def dies(progress: Progress) -> None:
        raise Killed

    with pytest.raises(Killed):
        mr_ml.train(
            here.root, "d", "m", l2=1e-3, watch=dies,
            warm_start_from={"coef": [0.3], "intercept": 0.2, "feature_names": ["b"], "classes": ["no", "yes"]},
        )  # fmt: skip
    (folder,) = (here.root / "runs").iterdir()
    without_states(here.root, folder.name)
    kept = folder / "warm_start"
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(BadDataError, match=r"warm_start.*sha256"):
        mr_ml.resume(here.root, folder.name)
    kept.unlink()
    with pytest.raises(BadDataError, match=r"copy of arrays.*train anew"):
        mr_ml.resume(here.root, folder.name)


def test_more_passes_begin_where_the_first_ones_did(here: Here) -> None:
    x, score = rows()
    here.table("d", x, np.where(score > 0, "yes", "no").tolist())
    path = here.write(
        files.npz(coef=[[0.3, 0.1]], intercept=[0.2], feature_names=["height", "b"], classes=["no", "yes"])
    )
    asked = mr_ml.train(here.root, "d", "m", l2=1e-3, max_passes=9, warm_start_from=path)
    few = mr_ml.train(here.root, "d", "m", l2=1e-3, max_passes=1, warm_start_from=path)
    path.unlink()
    more = mr_ml.resume(here.root, few.run, max_passes=9)
    found = [mr_ml.load_model(here.root, f"m@{done.version}").manifest["coef"]["sha256"] for done in (asked, more)]
    assert found[0] == found[1]


def test_it_is_said_and_written_down(here: Here) -> None:
    x, score = rows()
    here.table("d", x, np.where(score > 0, "yes", "no").tolist())
    path = here.write(
        files.npz(
            coef=[[0.3, 0.1, 9.0]], intercept=[0.2], feature_names=["b", "c", "\x1b[31mgone"], classes=["no", "yes"]
        ),
        "my \x1b[2Jmodel",
    )
    commands = Commands(here.root, runner=("-r", "inline"))
    done = commands.run("train", "d", "--model", "m", "--l2", "0.01", "--warm-start-from", path)
    assert done.code == 0, done.err
    assert "begins with the coefficients of my \\x1b[2Jmodel (npz, sha256" in done.err
    assert "2 of its 3 features are known here" in done.err
    assert "features that it does not use, which begin at 0: 2 (height, far)" in done.err.replace(
        "(far, height)", "(height, far)"
    )
    assert "features that no row has, which are left out: 1 (\\x1b[31mgone)" in done.err
    assert "\x1b" not in done.err
    shown = commands.run("models", "show", "m")
    assert "began with the coefficients of my \\x1b[2Jmodel (npz" in shown.out
    spec = commands("models", "show", "m")["spec"]
    assert spec["warm_start_from"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert spec["warm_start_from"]["format"] == "npz"
    run = commands("models", "show", "m")["run"]
    events = [json.loads(line) for line in (here.root / "runs" / run / "log.jsonl").read_text().splitlines()]
    (event,) = [event for event in events if event["event"] == "warm_start"]
    assert (event["n_features"], event["n_known"], event["vanished"]["count"]) == (3, 2, 1)
    mr_ml.report(here.root, "m", here.folder / "report.html")
    assert "the coefficients of my" in (here.folder / "report.html").read_text()


def test_what_cannot_be_begun_with_is_refused_before_there_is_a_run(here: Here) -> None:
    x, score = rows()
    here.table("d", x, np.where(score > 0, "yes", "no").tolist())
    here.pack("numbered", [f"{y} {row}" for y, row in zip(files.TWO, files.ROWS, strict=True)], format="libsvm")
    here.pack("hashed", vw_rows(20, loss="logistic"), format="vw", hash_bits=10)
    good = {"coef": [[0.3, 0.1]], "intercept": [0.2], "feature_names": ["b", "c"], "classes": ["no", "yes"]}
    mr_ml.train(here.root, "d", "m", l2=1.0)
    runs = sorted((here.root / "runs").iterdir())
    liblinear = here.write(files.L2R_LR, "liblinear")
    cases: list[tuple[str, Any, dict[str, Any], type[Exception], str]] = [
        ("d", {**good, "classes": ["a", "b"]}, {}, UsageError, r"\['no', 'yes'\], found .*\['a', 'b'\]"),
        ("d", {k: v for k, v in good.items() if k != "classes"}, {}, UsageError, "as `classes`"),
        ("d", good, {"loss": "squared"}, UsageError, "squared|labels"),
        ("d", {**good, "feature_names": ["\x1b[2J", "z"]}, {}, UsageError, r"features of d@1.*x1b\[2J"),
        ("d", {k: v for k, v in good.items() if k != "feature_names"}, {}, BadDataError, "have names.*numbers only"),
        ("d", liblinear, {}, BadDataError, "have names.*numbers only"),
        ("hashed", liblinear, {}, BadDataError, "hashes"),
        ("numbered", liblinear, {"loss": "squared_hinge"}, UsageError, "squared_hinge.*logistic"),
        ("numbered", here.write(files.VW, "vw"), {}, UsageError, "found none of them"),
        ("d", good, {"warm_start": "m"}, UsageError, "found both"),
        ("d", 3, {}, UsageError, "path"),
        ("d", "", {}, UsageError, "path"),
        ("d", "a\0b", {}, UsageError, "path"),
        ("d", here.folder, {}, UsageError, "which is none"),
        ("d", here.folder / "nope", {}, UsageError, "No such file"),
        ("d", here.write(b""), {}, BadDataError, "empty"),
        ("d", here.write(b"\x80\x04\x95", "p"), {}, BadDataError, "pickle"),
        ("d", here.write(b"\x07\0\0\x009.11.9", "b"), {}, BadDataError, "--invert_hash"),
        ("d", good, {"warm_start_format": "vw"}, BadDataError, "line"),
        ("d", good, {"warm_start_format": "nope"}, UsageError, "json, npz, liblinear, vw"),
        ("d", None, {"warm_start_format": "vw"}, UsageError, "which was not asked for"),
        ("d", None, {"warm_start": str(liblinear)}, UsageError, "is a file.*warm_start_from"),
    ]  # fmt: skip
    for dataset, given, options, error, words in cases:
        with pytest.raises(error, match=words) as caught:
            mr_ml.train(here.root, dataset, "m2", warm_start_from=given, **options)
        assert str(caught.value).isprintable()
    assert sorted((here.root / "runs").iterdir()) == runs


def test_commands_refuse_with_their_exit_codes(here: Here) -> None:
    here.pack("numbered", [f"{y} {row}" for y, row in zip(files.TWO, files.ROWS, strict=True)], format="libsvm")
    commands = Commands(here.root, runner=("-r", "inline"))
    good, bad = here.write(files.L2R_LR, "good"), here.write(files.L2R_LR[:-9], "bad")
    for words, code, said in (
        (("--warm-start-from", bad), 65, "cut off"),
        (("--warm-start-from", here.folder / "nope"), 2, "--warm-start-from: cannot read"),
        (("--warm-start-from", good, "--warm-start-format", "nope"), 2, "liblinear"),
        (("--warm-start-from", good, "--warm-start", "m"), 2, "found both"),
        (("--warm-start-from", good, "--loss", "squared_hinge"), 2, "--warm-start-from: expected coefficients"),
    ):
        done = commands.run("train", "numbered", "--model", "m", *words)
        assert (done.code, said in done.err) == (code, True), done.err
        assert "Traceback" not in done.err
    trained = commands("train", "numbered", "--model", "m", "--l2", "0.1", "--warm-start-from", good)
    refused = commands.run("train", "--resume", trained["run"], "--warm-start-from", good)
    assert (refused.code, "leave --warm-start-from out" in refused.err) == (2, True), refused.err


WAYS: list[Callable[[Path], Any]] = [str, Path, lambda path: f"file://{path}"]


@pytest.mark.parametrize("way", WAYS)
def test_where_a_file_may_be(here: Here, way: Callable[[Path], Any]) -> None:
    here.pack("d", [f"{y} {row}" for y, row in zip(files.TWO, files.ROWS, strict=True)], format="libsvm")
    assert here.train("d", way(here.write(files.L2R_LR_BIAS)), l2=1 / 6).passes == 1
