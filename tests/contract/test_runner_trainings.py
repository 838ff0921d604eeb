"""The same trainings on every kind of runner: the same packed bytes, coefficients, metrics, predictions and errors.

A new kind joins by an entry in `runner_kinds.KINDS`, a new feature by one in `runner_features.FEATURES`. The table of
the README is made from what this suite finds, by ``scripts/runner_matrix.py``, which runs each feature on each kind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from runner_features import FEATURES, TRAININGS, Done, Training
from runner_kinds import KINDS, Kind

from hdfs_layout import open_root
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.model import load_model
from mr_ml.catalog.run import RunDocument, start_run
from mr_ml.data.block import decode_line
from mr_ml.ids import unique_id
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.passes.in_memory import InMemoryEngine
from mr_ml.training.evaluate import evaluate
from mr_ml.training.train import fit, publish


def opened(kind: Kind, request: pytest.FixtureRequest, folders: pytest.TempPathFactory) -> Iterator[Done]:
    with pytest.MonkeyPatch.context() as patch, kind.open(request, patch, folders.mktemp(kind.name)) as ground:
        yield Done(ground, few=kind.always is not None)


@pytest.fixture(scope="module")
def expected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """One process and a folder: what all others are held against."""
    yield from opened(KINDS[0], request, tmp_path_factory)


# for a module: one kind after the other, each opened once
@pytest.fixture(scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def done(kind: Kind, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    yield from opened(kind, request, tmp_path_factory)


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=kind.marks, id=kind.name) for kind in KINDS], indirect=True)
def test_it_comes_to_the_same(kind: Kind, feature: str, request: pytest.FixtureRequest, expected: Done) -> None:
    if kind.always is not None and feature not in kind.always and os.environ.get("MR_ML_ALL_FEATURES") != "1":
        pytest.skip("MR_ML_ALL_FEATURES=1 runs it here too: each of its jobs takes seconds")
    done: Done = request.getfixturevalue("done")
    asked = Done(expected.ground, few=done.few, _made=expected._made)
    found = FEATURES[feature].do(done)
    assert found
    assert found == asked.once(f"{feature} {done.few}", lambda: FEATURES[feature].do(asked))


@pytest.mark.parametrize("training", TRAININGS, ids=lambda training: training.options[2])
def test_in_memory(expected: Done, training: Training) -> None:
    """No jobs and no files of a pass: the engine that needs neither."""
    there = expected.model(training)
    root = open_root(expected.ground.root)
    dataset = load_dataset(root, expected.dataset(training.options[0]))
    engines = {}
    for split in ("train", "test"):
        lines = [line for p in dataset.of_split(split) for line in root.store.read(p.path).splitlines(keepends=True)]
        blocks = tuple(decode_line(line, where="a test") for line in lines)
        engines[split] = InMemoryEngine(dataset.tree(split), blocks, dataset.expected(split))
    shown = expected.run("models", "show", training.options[2])
    spec = replace(LinearSpec(**shown["spec"]), model="in-memory")
    run = unique_id()
    start_run(root, run, RunDocument(spec=spec))
    fitted = fit(spec, run=run, dataset=dataset, engine=engines["train"], root=root, watch=lambda progress: None)
    result = publish(fitted, root)
    assert expected.published({"model": result.model, "version": result.version}) == there
    model = load_model(root, f"in-memory@{result.version}")
    found = evaluate(model, dataset, engine=engines["test"], row_weights=training.weights == "rows")
    words = ("evaluate", training.options[2], training.options[0], "--weights", training.weights)
    measured = expected.run(*words)
    names = [name for name in found if name not in ("model", "dataset", "labels")]
    assert {"log_loss", "mean_squared_error"}.intersection(names)
    assert {name: measured[name] for name in names} == {name: found[name] for name in names}
