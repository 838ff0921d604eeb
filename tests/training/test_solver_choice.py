"""Which solver `auto` means for a run: by size and memory, chosen once, said, and written down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, write_libsvm

import mr_ml
from hdfs_layout import decode_document, encode_document
from mr_ml.catalog import checkpoints
from mr_ml.models.linear.kind import problem
from mr_ml.progress import PassEnded
from mr_ml.progress_lines import PlainLines

LARGE = "the Hessian of 801 coefficients is too large for newton (700)"
NO_MEMORY = "memory does not hold the sample of the rows that lbfgs-sampled goes by"
OPTIONS = ("--l2", "1e-3", "-r", "inline")


@pytest.fixture
def rows(tmp_path: Path) -> Commands:
    """Of 800 features by few topics, so that a sample of the rows pays."""
    rng = np.random.default_rng(3)
    topics = rng.dirichlet(np.full(800, 0.3), size=6)
    mixed = rng.dirichlet(np.full(6, 0.4), size=400)
    x = np.array([rng.multinomial(60, p / p.sum()) for p in mixed @ topics])
    y = (mixed @ rng.normal(size=6) + 0.1 * rng.normal(size=400) > 0).astype(int)
    mr_ml = Commands(tmp_path / "root")
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, y), "--to", "rows")
    return mr_ml


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No memory holds a sample, until this is undone."""
    monkeypatch.setattr(checkpoints, "AT_STAKE_SECONDS", 0.0)
    with pytest.MonkeyPatch.context() as context:
        context.setattr(problem, "sample_bytes", lambda **found: 1 << 60)
        yield context


def said(mr_ml: Commands, *words: object) -> tuple[dict[str, Any], list[str]]:
    found = mr_ml.run(*words, "--json")
    assert found.code == 0, found.err
    return found.result, [line for line in found.err.splitlines() if line.startswith("solver: ")]


def test_what_was_chosen_and_why_is_said_and_written_down(rows: Commands) -> None:
    result, lines = said(rows, "train", "rows", "--model", "m", *OPTIONS)
    assert lines == [f"solver: lbfgs-sampled, since {LARGE}"]
    assert (result["solver"], result["solver_why"]) == ("lbfgs-sampled", LARGE)
    assert rows("models", "show", "m")["training"]["solver_why"] == LARGE
    document = decode_document((rows.root / "runs" / result["run"] / "spec.json").read_bytes(), where="here")
    assert document["solver"] == {"solver": "lbfgs-sampled", "why": LARGE}
    result, lines = said(rows, "train", "rows", "--model", "m", "--solver", "lbfgs", *OPTIONS)
    assert (result["solver"], result["solver_why"], lines) == ("lbfgs", "", [])


@pytest.mark.parametrize("memory", [(), ("--memory", "900M")])
def test_without_memory_for_a_sample_there_is_none(
    rows: Commands, short: pytest.MonkeyPatch, memory: tuple[str, ...]
) -> None:
    result, lines = said(rows, "train", "rows", "--model", "m", *OPTIONS, *memory)
    short.undo()
    assert lines == [f"solver: lbfgs, since {NO_MEMORY}"]
    plain = rows("train", "rows", "--model", "p", "--solver", "lbfgs", *OPTIONS)
    assert (result["solver"], result["passes"], result["objective"]) == ("lbfgs", plain["passes"], plain["objective"])
    assert rows.coef("m").coef.tobytes() == rows.coef("p").coef.tobytes()


@pytest.mark.parametrize("release", ["this", "an earlier"])
def test_a_run_goes_on_by_what_it_began_with(
    rows: Commands, short: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    """Where there is memory by now; and one of a release that did not write down what it chose."""

    def dies(lines: PlainLines, ended: PassEnded) -> None:
        if ended.number == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PlainLines, "pass_ended", dies)
        assert rows.run("train", "rows", "--model", "m", *OPTIONS).code == 130
    short.undo()
    (folder,) = (rows.root / "runs").iterdir()
    spec = folder / "spec.json"
    if release == "an earlier":
        document = decode_document(spec.read_bytes(), where="here")
        del document["solver"]
        spec.write_bytes(encode_document(document))
    ended = rows("train", "--resume", folder.name, "-r", "inline")
    plain = rows("train", "rows", "--model", "p", "--solver", "lbfgs", *OPTIONS)
    assert (ended["solver"], ended["passes"]) == ("lbfgs", plain["passes"])
    assert ended["solver_why"] == (NO_MEMORY if release == "this" else LARGE)
    assert rows.coef("m").coef.tobytes() == rows.coef("p").coef.tobytes()


def test_a_run_that_lacked_passes_goes_on_by_what_it_began_with(rows: Commands, short: pytest.MonkeyPatch) -> None:
    lacking = rows("train", "rows", "--model", "m", "--max-passes", "5", *OPTIONS)
    short.undo()
    ended = rows("train", "--resume", lacking["run"], "--max-passes", "300", "-r", "inline")
    plain = rows("train", "rows", "--model", "p", "--solver", "lbfgs", *OPTIONS)
    assert not lacking["converged"]
    assert (ended["solver"], ended["solver_why"], ended["passes"]) == ("lbfgs", NO_MEMORY, plain["passes"])
    assert rows.coef("m").coef.tobytes() == rows.coef("p").coef.tobytes()


def test_a_tuning_holds_no_samples_and_its_best_model_is_trained_as_any_other(rows: Commands) -> None:
    grid = {"l2": [1e-3, 1e-1], "folds": 2}
    result = mr_ml.tune(rows.root, "rows", "tuned", **grid)  # type: ignore[arg-type]
    plain = mr_ml.tune(rows.root, "rows", "plain", options={"solver": "lbfgs"}, **grid)  # type: ignore[arg-type]
    assert [(one.by_fold, one.passes) for one in result.tuned.tried] == [
        (one.by_fold, one.passes) for one in plain.tuned.tried
    ]
    assert (result.trained.solver, plain.trained.solver) == ("lbfgs-sampled", "lbfgs")
    alone = mr_ml.train(rows.root, "rows", "alone", **result.tuned.tried[result.tuned.chosen].options)
    assert (alone.solver, alone.objective) == ("lbfgs-sampled", result.trained.objective)
    assert rows.coef("alone").coef.tobytes() == rows.coef("tuned").coef.tobytes()
