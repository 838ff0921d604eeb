"""Tunings whose searches begin with an earlier model, or with coefficients in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coefficient_files as files
import numpy as np
import pytest
from begun import NAMES, Here, rows
from commands import Commands

import mr_ml
from hdfs_layout import open_root
from mr_ml.catalog.run_log import read_log
from mr_ml.errors import BadDataError, UsageError

L2 = [1e-3, 3e-3]
# the search learns its curvature anew, so fewer passes are its start's doing
OPTIONS: dict[str, Any] = {"solver": "lbfgs", "tolerance": 1e-8}


@pytest.fixture
def here(tmp_path: Path) -> Here:
    here = Here(tmp_path)
    x, score = rows()
    here.table("d", x, np.where(score > 0, "yes", "no").tolist())
    return here


class Killed(BaseException):
    """What a driver that dies leaves."""


def optimum(here: Here) -> dict[str, Any]:
    """What a search between the candidates found, as another program would save it."""
    done = mr_ml.train(here.root, "d", "between", l2=2e-3, tolerance=1e-10)
    model: Any = mr_ml.load_model(here.root, f"between@{done.version}")
    return {
        "coef": model.coef[:, :-1],
        "intercept": model.coef[:, -1],
        "feature_names": list(model.feature_names),
        "classes": ["no", "yes"],
    }


@pytest.mark.parametrize("way", ["file", "arrays", "model"])
@pytest.mark.parametrize("validation", [False, True])
def test_the_same_optimum_in_fewer_passes(here: Here, way: str, validation: bool) -> None:
    arrays = optimum(here)
    ways: dict[str, dict[str, Any]] = {
        "file": {"warm_start_from": here.write(files.npz(**arrays))}, "arrays": {"warm_start_from": arrays},
        "model": {"warm_start": "between"},
    }  # fmt: skip
    given = ways[way]
    judged: dict[str, Any] = {"validation": "validation"} if validation else {"folds": 3}
    if validation:
        here.said.clear()
        splits = {"train": 0.8, "validation": 0.2}
        mr_ml.pack(here.root, here.folder / "d.txt", "d", format="csv", split=splits)
    cold = mr_ml.tune(here.root, "d", "cold", l2=L2, options=OPTIONS, **judged)
    warm = mr_ml.tune(here.root, "d", "warm", l2=L2, options={**OPTIONS, **given}, say=here.said.append, **judged)
    for one, other in zip(cold.tuned.tried, warm.tuned.tried, strict=True):
        assert one.converged
        assert other.converged
        assert other.mean == pytest.approx(one.mean, rel=1e-6)
    assert sum(one.passes for one in warm.tuned.tried) < sum(one.passes for one in cold.tuned.tried)
    assert warm.trained.passes < cold.trained.passes
    assert warm.trained.objective == pytest.approx(cold.trained.objective, rel=1e-10)
    begins = [text for text in here.said if text.startswith(("begins with the coefficients of", "begins where"))]
    # the tuning, and the model that comes of it
    assert len(begins) == 2
    for run in (warm.tuned.run, warm.trained.run):
        log = (here.root / "runs" / run / "log.jsonl").read_text()
        assert log.count('"warm_start"') == 1, log
    first = [read_log(open_root(str(here.root)), one.tuned.run).passes[0]["objective"] for one in (warm, cold)]
    assert float(first[0]) < float(first[1])


@pytest.mark.parametrize("passes", [1, 2])
def test_one_that_was_killed_goes_on_without_the_file_and_with_the_same_bits(here: Here, passes: int) -> None:
    path = here.write(files.npz(coef=[[0.3, 0.1]], intercept=[0.2], feature_names=NAMES[:2], classes=["no", "yes"]))
    asked: dict[str, Any] = {"l2": L2, "folds": 2, "options": {"warm_start_from": path}}
    whole = mr_ml.tune(here.root, "d", "whole", **asked)

    def kill(progress: Any) -> None:
        if progress.number == passes:
            raise Killed

    with pytest.raises(Killed):
        mr_ml.tune(here.root, "d", "killed", watch=kill, **asked)
    path.unlink()
    (run,) = (one.name for one in (here.root / "runs").iterdir() if not one.name.startswith(whole.tuned.run))
    if passes == 1:
        for state in (here.root / "runs" / run / "passes").rglob("*"):
            if state.is_file():
                state.unlink()
    resumed = mr_ml.resume_tuning(here.root, run)
    assert resumed.tuned.tried == whole.tuned.tried
    one, other = (mr_ml.load_model(here.root, name) for name in ("whole", "killed"))
    assert one.coef.tobytes() == other.coef.tobytes()  # type: ignore[attr-defined]


def test_what_candidates_cannot_begin_with_is_refused_before_there_is_a_run(here: Here) -> None:
    here.pack("numbered", [f"{y} {row}" for y, row in zip(files.TWO, files.ROWS, strict=True)], format="libsvm")
    good = {"coef": [[0.3]], "intercept": [0.2], "feature_names": ["b"], "classes": ["no", "yes"]}
    liblinear = here.write(files.L2R_LR, "liblinear")
    cases: list[tuple[str, Any, dict[str, Any], type[Exception], str]] = [
        ("d", {**good, "classes": ["a", "b"]}, {}, UsageError, r"\['no', 'yes'\], found .*\['a', 'b'\]"),
        ("d", {**good, "feature_names": ["z"]}, {}, UsageError, "features of d@1"),
        ("d", liblinear, {}, BadDataError, "have names.*numbers only"),
        # one of the candidates
        ("numbered", liblinear, {"loss": ["logistic", "squared_hinge"]}, UsageError, "squared_hinge.*logistic"),
        ("d", here.folder / "nope", {}, UsageError, "`warm_start_from`: cannot read .*No such file"),
        ("d", good, {"options": {"warm_start": "m"}}, UsageError, "found both"),
    ]
    mr_ml.train(here.root, "d", "m", l2=1.0)
    runs = sorted((here.root / "runs").iterdir())
    for dataset, given, more, error, words in cases:
        options = {**more.pop("options", {}), "warm_start_from": given}
        with pytest.raises(error, match=words):
            mr_ml.tune(here.root, dataset, "m2", l2=L2, folds=2, metric="accuracy", options=options, **more)
    assert sorted((here.root / "runs").iterdir()) == runs


def test_the_command_takes_a_file(here: Here) -> None:
    path = here.write(files.npz(coef=[[0.3, 0.1]], intercept=[0.2], feature_names=NAMES[:2], classes=["no", "yes"]))
    commands = Commands(here.root, runner=("-r", "inline"))
    words = ("tune", "d", "--model", "m", "--l2", "1e-3,1e-2", "--folds", "2")
    done = commands.run(*words, "--warm-start-from", path, "--warm-start-format", "npz")
    assert done.code == 0, done.err
    assert "begins with the coefficients of model.file (npz, sha256" in done.err
    assert "2 of its 2 features are known here" in done.err
    for more, code, said in (
        (("--warm-start-from", here.folder / "nope"), 2, "--warm-start-from: cannot read"),
        (("--warm-start-from", path, "--warm-start", "m"), 2, "found both"),
        (("--warm-start", str(path)), 2, "--warm-start-from"),
        (("--warm-start-format", "npz"), 2, "was not asked for"),
    ):
        refused = commands.run(*words, *more)
        assert (refused.code, said in refused.err) == (code, True), refused.err
    run = commands("models", "show", "m")["run"].removesuffix("-best")
    refused = commands.run("tune", "--resume", run, "--warm-start-from", path)
    assert (refused.code, "leave --warm-start-from out" in refused.err) == (2, True), refused.err
