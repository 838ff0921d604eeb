"""Tuning as a whole: losses by folds against scikit-learn, the same bits everywhere, folds, kills, bad inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, packed, write_csv, write_libsvm
from sklearn.linear_model import Lasso, LogisticRegression, Ridge

import mr_ml
from hdfs_layout import open_root
from mr_ml.catalog import checkpoints
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.data.block import Block
from mr_ml.data.folds import Folds
from mr_ml.data.partition_file import packed_block
from mr_ml.errors import BadDataError, UsageError
from mr_ml.session import Session
from mr_ml.training.fleet import FleetSearch
from mr_ml.tuning import driver
from mr_ml.tuning.driver import folds_of

N, D = 400, 12
L2 = (1e-4, 1e-2, 1.0)


def rows(*, dense: bool, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, D)).round(3)
    if not dense:
        x *= rng.uniform(size=x.shape) < 0.2
    y = np.where(rng.uniform(size=N) < 1 / (1 + np.exp(-x @ rng.normal(size=D))), 3, -1)
    return x, y


def blocks(root: Any, dataset: Dataset) -> list[Block]:
    found = []
    for partition in dataset.of_split("train"):
        for line in root.store.read(partition.path).splitlines(keepends=True):
            found.append(packed_block(line, where="here").block)
    return found


def arrays(root: Any, dataset: Dataset, folds: Folds) -> tuple[Any, Any, Any]:
    """X, y and the fold of each row, as they are packed."""
    of = blocks(root, dataset)
    n = dataset.schema.n_features
    x = np.concatenate([block.features.toarray(n_features=n) for block in of])
    return x, np.concatenate([block.labels for block in of]), np.concatenate([folds.of(block) for block in of])


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_losses_by_folds_are_those_that_scikit_learn_finds(tmp_path: Path, dense: bool, solver: str) -> None:
    x, y = rows(dense=dense)
    mr_ml.pack(tmp_path / "root", write_libsvm(tmp_path / "rows.libsvm", x, y), "rows", partitions=3)
    result = mr_ml.tune(
        tmp_path / "root", "rows", "m", l2=L2, folds=4, metric="log_loss", options={"solver": solver, "tolerance": 1e-9}
    )
    root = open_root(tmp_path / "root")
    dataset = load_dataset(root, "rows")
    x, y, fold = arrays(root, dataset, folds_of(dataset, "train", 4))
    assert set(fold.tolist()) == {0, 1, 2, 3}
    assert [one.options for one in result.tuned.tried] == [{"l2": l2} for l2 in L2]
    for one, l2 in zip(result.tuned.tried, L2, strict=True):
        losses = []
        for k in range(4):
            inside = fold == k
            n = int((~inside).sum())
            theirs = LogisticRegression(C=1 / (l2 * n), tol=1e-12, max_iter=10_000).fit(x[~inside], y[~inside])
            p = theirs.predict_proba(x[inside])[:, 1]
            truth = y[inside] == theirs.classes_[1]
            losses.append(-np.mean(np.where(truth, np.log(p), np.log1p(-p))))
        np.testing.assert_allclose(np.array(one.by_fold, float), losses, rtol=1e-6)
        assert one.mean == pytest.approx(np.mean(losses), rel=1e-6)
        assert one.standard_error == pytest.approx(np.std(losses, ddof=1) / 2, rel=1e-5)
    best = min(result.tuned.tried, key=lambda one: one.mean or np.inf)
    assert result.tuned.tried[result.tuned.chosen] is best
    # the model is the one that train would have published, to the last bit
    trained = mr_ml.train(tmp_path / "root", "rows", "alone", solver=solver, tolerance=1e-9, **best.options)
    assert trained.objective == result.trained.objective
    ours, theirs = (mr_ml.load_model(tmp_path / "root", name) for name in ("m", "alone"))
    assert ours.coef.tobytes() == theirs.coef.tobytes()  # type: ignore[attr-defined]
    assert ours.manifest["tuned"] == result.tuned.to_json()


def test_regression_by_folds_with_row_weights(tmp_path: Path) -> None:
    x, _ = rows(dense=True)
    rng = np.random.default_rng(9)
    y, u = x @ rng.normal(size=D) + rng.normal(size=N), rng.integers(0, 4, size=N)
    text = write_csv(tmp_path / "rows.csv", {**{f"x{j}": x[:, j] for j in range(D)}, "y": y, "u": u})
    root = tmp_path / "root"
    mr_ml.pack(root, text, "rows", label_column="y", weight_column="u")
    result = mr_ml.tune(root, "rows", "m", loss="squared", l2=[0.01, 1.0], folds=3)
    opened = open_root(root)
    dataset = load_dataset(opened, "rows")
    x, y, fold = arrays(opened, dataset, folds_of(dataset, "train", 3))
    u = np.concatenate([block.weights for block in blocks(opened, dataset)])
    assert result.tuned.metric == "mean_squared_error"
    lasso = mr_ml.tune(root, "rows", "m", loss="squared", l1=[0.01, 0.3], folds=3)
    assert [one.options for one in lasso.tuned.tried] == [{"l1": 0.01}, {"l1": 0.3}]
    for one, penalised in zip(
        (*result.tuned.tried, *lasso.tuned.tried),
        (lambda n: Ridge(0.01 * n), Ridge, lambda n: Lasso(0.01, tol=1e-12), lambda n: Lasso(0.3, tol=1e-12)),
        strict=True,
    ):
        for k, found in enumerate(one.by_fold):
            inside = fold == k
            theirs = penalised(u[~inside].sum()).fit(x[~inside], y[~inside], sample_weight=u[~inside])
            expected = np.average((theirs.predict(x[inside]) - y[inside]) ** 2, weights=u[inside])
            assert found == pytest.approx(expected, rel=1e-6)


def test_bits_do_not_depend_on_runner_tasks_memory_or_other_candidates(tmp_path: Path) -> None:
    x, y = rows(dense=False)
    root = tmp_path / "root"
    mr_ml.pack(root, write_libsvm(tmp_path / "rows.libsvm", x, y), "rows", partitions=5)

    def tried(l2: Any, **where: Any) -> list[Any]:
        tuned = mr_ml.tune(root, "rows", "m", l2=l2, folds=3, options={"solver": "lbfgs"}, **where).tuned
        return [(one.by_fold, one.passes, one.stops) for one in tuned.tried]

    inline = tried(L2)
    assert tried(L2, runner="local", workers=3) == inline
    assert tried(L2[1:]) == inline[1:]


def test_fewer_models_go_on_at_once_where_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rows(dense=True)
    root = tmp_path / "root"
    mr_ml.pack(root, write_libsvm(tmp_path / "rows.libsvm", x, y), "rows")
    whole = mr_ml.tune(root, "rows", "m", l2=L2, folds=3)

    def short(memory: Any, runner: Any, needs: Any) -> int:
        # point and direction of two models
        if needs.query_bytes > 2 * 16 * (D + 1):
            raise UsageError("`memory`: too little")
        return 1 << 20

    monkeypatch.setattr(driver, "block_budget", short)
    said: list[str] = []
    few = mr_ml.tune(root, "rows", "m", l2=L2, folds=3, say=said.append)
    assert any("9 models on rows@1 train, 400 rows, 2 at once" in text for text in said)
    assert few.tuned.tried == whole.tuned.tried
    assert few.tuned.passes > 3 * whole.tuned.passes


@pytest.mark.parametrize("dense", [True, False])
def test_folds_are_those_that_packing_deals_and_equal_rows_are_in_one(tmp_path: Path, dense: bool) -> None:
    x, y = rows(dense=dense)
    _, first = np.unique(x, axis=0, return_index=True)
    x, y = x[first], y[first]
    root = open_root(tmp_path / "root")
    text = write_libsvm(tmp_path / "rows.libsvm", x, y)
    dataset = mr_ml.pack(root, text, "dealt", folds=4, seed=7)
    folds = Folds(4, dataset.packing["seed"])
    for partition in dataset.of_split("train"):
        for line in root.store.read(partition.path).splitlines(keepends=True):
            assert (folds.of(packed_block(line, where="here").block) == partition.fold).all()
    # 40 rows ten times each, which packing spreads over partitions
    twice = mr_ml.pack(
        root, write_libsvm(tmp_path / "equal.libsvm", x[np.arange(N) % 40], y[np.arange(N) % 40]), "equal"
    )
    x, y, fold = arrays(root, twice, folds_of(twice, "train", 4))
    places: dict[bytes, set[int]] = {}
    for row, label, k in zip(x, y, fold.tolist(), strict=True):
        places.setdefault(row.tobytes() + bytes([int(label) & 255]), set()).add(k)
    assert {len(of) for of in places.values()} == {1}
    assert len(places) > 30


def test_groups_stay_together(tmp_path: Path) -> None:
    x, y = rows(dense=True)
    root = open_root(tmp_path / "root")
    qid = np.sort(np.arange(N) % 37)
    # the group is a feature too, so that it can be seen
    text = write_libsvm(tmp_path / "rows.libsvm", np.column_stack([x, qid + 1.0]), y, qid=qid.tolist())
    dataset = mr_ml.pack(root, text, "grouped", split_by="qid", folds=3)
    found, _, fold = arrays(root, dataset, folds_of(dataset, "train", None))
    of_group = {q: set(fold[found[:, -1] == q].tolist()) for q in set(found[:, -1].tolist())}
    assert {len(of) for of in of_group.values()} == {1}
    assert set().union(*of_group.values()) == {0, 1, 2}
    result = mr_ml.tune(root, "grouped", "m", l2=[0.1, 1.0])
    assert all(len(one.by_fold) == 3 for one in result.tuned.tried)
    with pytest.raises(UsageError, match="was packed by group in 3 folds, found 4"):
        mr_ml.tune(root, "grouped", "m", l2=[0.1, 1.0], folds=4)
    two = write_libsvm(tmp_path / "two.libsvm", x, y, qid=(np.arange(N) // 200).tolist())
    mr_ml.pack(root, two, "two", split_by="qid", folds=3)
    with pytest.raises(BadDataError, match="expected rows in each of 3 folds, found none in"):
        mr_ml.tune(root, "two", "m", l2=[0.1, 1.0])
    mr_ml.pack(root, text, "unfolded", split_by="qid")
    with pytest.raises(UsageError, match="was packed by group, and its rows do not know their groups"):
        mr_ml.tune(root, "unfolded", "m", l2=[0.1, 1.0], folds=4)


class Killed(BaseException):
    """As a signal comes, at any time."""


@pytest.mark.parametrize("passes", [1, 5])
@pytest.mark.parametrize("halving", [None, 2])
def test_a_tuning_that_was_killed_goes_on_to_the_same_end(tmp_path: Path, passes: int, halving: int | None) -> None:
    x, y = rows(dense=False)
    root = tmp_path / "root"
    mr_ml.pack(root, write_libsvm(tmp_path / "rows.libsvm", x, y), "rows", partitions=2)
    asked: dict[str, Any] = {"l2": L2, "folds": 3, "halving": halving, "options": {"solver": "lbfgs"}}
    whole = mr_ml.tune(root, "rows", "whole", **asked)

    def kill(progress: Any) -> None:
        if progress.number == passes:
            raise Killed

    with pytest.raises(Killed):
        mr_ml.tune(root, "rows", "killed", watch=kill, **asked)
    (run,) = (name for name in open_root(root).store.list("runs") if not name.startswith(whole.tuned.run))
    with pytest.raises(UsageError, match=f"is part of a tuning: go on with it by `mr-ml runs resume {run}`"):
        mr_ml.resume(root, run)
    resumed = mr_ml.resume_tuning(root, run)
    assert resumed.tuned.tried == whole.tuned.tried
    dropped = [one for one in whole.tuned.tried if one.dropped is not None]
    assert bool(dropped) == (halving is not None)
    assert all(one.passes == 4 for one in dropped if not one.stops)
    assert all(one.passes >= 4 for one in dropped)
    assert resumed.tuned.passes == whole.tuned.passes
    one, other = (mr_ml.load_model(root, name) for name in ("whole", "killed"))
    assert one.coef.tobytes() == other.coef.tobytes()  # type: ignore[attr-defined]
    # again: nothing new
    assert mr_ml.resume_tuning(root, run).trained.version == 1


@pytest.mark.parametrize("at", ["a pass", "the choice", "the end"])
def test_a_power_cut_costs_no_more_than_what_was_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    x, y = rows(dense=True)
    root = tmp_path / "root"
    mr_ml.pack(root, write_libsvm(tmp_path / "rows.libsvm", x, y), "rows")
    asked: dict[str, Any] = {"l2": L2, "folds": 3, "halving": 2, "first_passes": 2}
    whole = mr_ml.tune(root, "rows", "whole", **asked)
    calls = 0

    def cut(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == (4 if at == "a pass" else 1):
            raise Killed
        return passed(*args, **options)

    owner, name = {
        "a pass": (FleetSearch, "_evaluated"), "the choice": (Session, "fit"), "the end": (driver, "append_events"),
    }[at]  # fmt: skip
    passed = getattr(owner, name)
    with monkeypatch.context() as patched:
        # every state is written, and none at the end
        patched.setattr(checkpoints, "AT_STAKE_SECONDS", 0.0)
        patched.setattr(checkpoints.Journal, "__exit__", lambda *args: None)
        patched.setattr(owner, name, cut)
        with pytest.raises(Killed):
            mr_ml.tune(root, "rows", "killed", **asked)
    (run,) = (r for r in open_root(root).store.list("runs") if whole.tuned.run not in r and not r.endswith("-best"))
    resumed = mr_ml.resume_tuning(root, run)
    assert resumed.tuned.tried == whole.tuned.tried
    one, other = (mr_ml.load_model(root, name) for name in ("whole", "killed"))
    assert one.coef.tobytes() == other.coef.tobytes()  # type: ignore[attr-defined]
    assert len(open_root(root).store.list("models/killed")) == len(open_root(root).store.list("models/whole"))


def test_the_command_shows_the_table_and_shows_it_again(tmp_path: Path) -> None:
    x, y = rows(dense=True)
    mr_ml = Commands(tmp_path / "root")
    packed(mr_ml, "rows", write_libsvm(tmp_path / "rows.libsvm", x, y), "--split", "train=0.7,test=0.3")
    given = (
        "tune",
        "rows",
        "--model",
        "m",
        "--l2",
        "1e-4:1:3",
        "--class-weights",
        "none",
        "--class-weights",
        "balanced",
    )
    found = mr_ml(*given, "--validation", "test", "--rule", "one-se", "--metric", "accuracy", "-r", "inline")
    tuned = found["tuned"]
    assert [one["options"] for one in tuned["tried"]] == [
        {"class_weights": weights, "l2": l2} for weights in (None, "balanced") for l2 in (1e-4, 1e-2, 1.0)
    ]
    # the model that is published was trained on the split, as those that were judged were
    best = tuned["tried"][tuned["chosen"]]
    assert mr_ml("evaluate", "m", "rows", "--split", "test")["accuracy"] == pytest.approx(best["mean"], rel=1e-12)
    assert mr_ml("runs", "show", tuned["run"])["tuned"] == tuned
    shown = mr_ml.run("runs", "show", tuned["run"])
    assert mr_ml("models", "show", "m")["spec"]["class_weights"] == best["options"]["class_weights"]
    assert shown.code == 0
    assert {run["status"] for run in mr_ml("runs", "list")["runs"]} == {"done"}
    assert mr_ml("runs", "resume", tuned["run"])["version"] == 1
    for choice in (("--folds", "3"), ("--solver", "lbfgs"), ("--rule", "one-se"), ("--no-intercept",)):
        refused = mr_ml.run("tune", "--resume", tuned["run"], *choice)
        assert refused.code == 2
        assert f"leave {choice[0]} out" in refused.err


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"l2": []}, "`l2`: expected something to try"),
        ({"loss": []}, "`loss`: expected something to try"),
        ({"folds": 1}, "folds"),
        ({"folds": 3, "validation": "train"}, "expected `folds` or `validation`, found both"),
        ({"validation": "nothing"}, "has no split 'nothing'"),
        ({"validation": "train"}, "`validation`: expected another split than train"),
        ({"metric": "beauty"}, "`metric`: expected one of accuracy, .* found 'beauty'"),
        ({"metric": "r2"}, "`metric`: expected one of accuracy, .*, which logistic models have, found 'r2'"),
        ({"metric": "log_loss", "loss": "squared"}, "which squared models have, found 'log_loss'"),
        ({"metric": "weight_sum"}, "found 'weight_sum'"),
        ({"metric": "curves"}, "recall, which logistic models have, found 'curves'"),
        ({"options": {"per_feature": {"nothing": {"factor": 0.0}}}}, "`per_feature`: expected features of the dataset"),
        ({"options": {"non_negative": True, "solver": "newton"}}, "`solver`: expected one of auto, proximal-lbfgs, "),
        ({"loss": ["logistic", "squared_hinge"]}, "`metric`: candidates of different losses"),
        ({"first_passes": 3}, "`first_passes` is for `halving`"),
        ({"class_weights": ["9=1"]}, "`class_weights`: expected 'balanced' or LABEL=FACTOR"),
        ({"rule": "worst"}, "rule"),
        ({"draws": 0}, "draws"),
    ],
)
def test_what_cannot_be_is_said_before_there_is_a_model(tmp_path: Path, asked: dict[str, Any], text: str) -> None:
    x, y = rows(dense=True)
    root = tmp_path / "root"
    mr_ml.pack(root, write_libsvm(tmp_path / "rows.libsvm", x[:60], y[:60]), "rows")
    with pytest.raises(UsageError, match=text):
        mr_ml.tune(root, "rows", "m", **{"l2": [0.1, 1.0], **asked})
    assert not (root / "models" / "m").exists()
    assert not (root / "runs").exists()


def test_folds_that_are_empty_or_have_all_rows_of_a_label_are_said(tmp_path: Path) -> None:
    x, _ = rows(dense=True)
    root = tmp_path / "root"
    mr_ml.pack(root, write_libsvm(tmp_path / "few.libsvm", x[np.arange(N) % 3], np.arange(N) % 3 % 2), "few")
    with pytest.raises(BadDataError, match=r"expected rows in each of 9 folds, found none in .*fewer `folds`"):
        mr_ml.tune(root, "few", "m", l2=[0.1, 1.0], folds=9)
    rare = np.zeros(N, int)
    rare[5] = 1
    mr_ml.pack(root, write_libsvm(tmp_path / "rare.libsvm", x, rare), "rare")
    with pytest.raises(BadDataError, match=r"found all of label '1' in fold \d of 3"):
        mr_ml.tune(root, "rare", "m", l2=[0.1, 1.0], folds=3)
