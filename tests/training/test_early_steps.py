"""The early steps of L-BFGS are as long as one block says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_libsvm

from hdfs_layout import open_root
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.models.linear.kind.problem import make_objective
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.optimize.base import Ask, Stop
from mr_ml.optimize.lbfgs import Lbfgs
from mr_ml.optimize.line_search import STEPS
from mr_ml.training.early_steps import EarlySteps


def rows_of(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    # features that go together, for which the diagonal of the Hessian is a bad guide
    x = np.round(rng.normal(size=(n_rows, 1)) + 0.3 * rng.normal(size=(n_rows, 30)), 3)
    return x, (x.sum(axis=1) + rng.normal(size=n_rows) > 0).astype(int)


def test_the_step_is_the_best_of_the_block(tmp_path: Path) -> None:
    mr_ml = Commands(tmp_path / "root")
    x, y = rows_of(500)
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, y), "--to", "rows")
    root = open_root(str(mr_ml.root))
    dataset = load_dataset(root, "rows")
    spec = LinearSpec(dataset="rows", model="m", loss="logistic", l2=0.1, intercept=False)
    objective = make_objective(spec, dataset, FeatureMoments.load(root.store, dataset, "train"))
    direction = objective.scaling.scale * np.linspace(0.2, 1.0, 30)
    found = EarlySteps(objective, dataset, "train", root.store).factor(Ask(np.zeros(30), direction, STEPS))
    # the one block has all rows; theta = w s
    w = direction / objective.scaling.scale

    def value(step: float) -> float:
        margin = x @ (step * w)
        return float(np.mean(np.logaddexp(0, margin) - y * margin) + 0.05 * step * step * w @ w)

    fine = 2.0 ** np.linspace(-12, 3, 2000)
    best = fine[np.argmin([value(step) for step in fine])]
    assert 2**-0.3 < found / best < 2**0.3


def test_the_rows_are_the_same_however_many_partitions_there_are(tmp_path: Path) -> None:
    mr_ml = Commands(tmp_path / "root")
    x, y = rows_of(400)
    text = write_libsvm(tmp_path / "rows", x, y)
    root = open_root(str(mr_ml.root))
    samples = []
    for number in (1, 3, 10, 300):
        mr_ml("pack", text, "--to", "rows", "--partitions", number)
        dataset = load_dataset(root, "rows")
        # fewer rows than a block may have, as where there are many
        dataset = replace(dataset, packing={**dataset.packing, "block_rows": 10})
        spec = LinearSpec(dataset="rows", model="m", loss="logistic")
        objective = make_objective(spec, dataset, FeatureMoments.load(root.store, dataset, "train"))
        sample = EarlySteps(objective, dataset, "train", root.store)._sample
        assert sum(block.n_rows for block in sample) == 10
        features = np.concatenate([block.features.toarray(n_features=30) for block in sample])
        samples.append((features.tolist(), [label for block in sample for label in block.labels.tolist()]))
    assert all(sample == samples[0] for sample in samples)
    # a manifest that does not say how many rows a block has: the first block
    bare = EarlySteps(objective, replace(dataset, packing={}), "train", root.store)
    first = next(partition for partition in dataset.of_split("train") if partition.facts.blocks)
    assert [block.n_rows for block in bare._sample] == [first.facts.rows]


def test_it_saves_the_pass_that_finds_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mr_ml = Commands(tmp_path / "root")
    x, y = rows_of(2000)
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, y), "--to", "rows")
    train = ("train", "rows", "--model", "m", "--solver", "lbfgs", "--l2", "0.001", "--tolerance", "0.03")
    with_sample = mr_ml(*train)
    monkeypatch.setattr(Lbfgs, "sampled_steps", 0)
    without = mr_ml(*train)
    assert with_sample["converged"]
    assert without["converged"]
    assert with_sample["passes"] < without["passes"]


def test_only_of_new_directions_a_sample_says_how_far_to_go() -> None:
    method = Lbfgs()
    state = replace(method.init(np.zeros(3)), n_passes=1, steps=STEPS, direction=np.array([1.0, -2.0, 0.0]))
    ask = method.ask_sample(state)
    assert ask is not None
    assert ask.direction is state.direction
    assert method.ask_sample(replace(state, steps=(0.25,))) is None
    assert method.ask_sample(replace(state, n_iterations=3)) is None
    assert method.ask_sample(replace(state, stop=Stop.PASSES)) is None
    assert method.tell_sample(state, 0.5).direction.tolist() == [0.5, -1.0, 0.0]
