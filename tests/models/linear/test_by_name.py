"""A model and a dataset with other columns: what it predicts there, and where a search begins that knows it.

The oracles are rows made by hand, in the model's own order of features, which the model itself then predicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import write_libsvm
from numpy.typing import NDArray

import mr_ml
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.catalog.model import load_model
from mr_ml.errors import BadDataError, StorageError, UsageError
from mr_ml.models.linear.kind.model import LinearModel
from mr_ml.models.linear.kind.problem import LinearProblem
from mr_ml.models.warm_start import Changed, WarmStart
from mr_ml.passes.mapreduce import MapReduceEngine
from mr_ml.session import Session
from mr_ml.training.train import make_problem, warm_start

Floats = NDArray[np.float64]
Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Here:
    """A root, and tables that are written and packed there."""

    folder: Path

    @property
    def session(self) -> Session:
        return Session.open(self.folder / "root", runner="inline")

    def pack(self, name: str, columns: Columns, **options: Any) -> Dataset:
        rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        path = self.folder / f"{name}.csv"
        path.write_text("\n".join(rows) + "\n")
        return mr_ml.pack(self.folder / "root", path, name, **options)

    def train(self, dataset: str, **options: Any) -> LinearModel:
        done = mr_ml.train(self.folder / "root", dataset, f"of-{dataset}", **options)
        model = load_model(self.session.root, f"{done.model}@{done.version}")
        assert isinstance(model, LinearModel)
        return model

    def begin(self, dataset: str, model: LinearModel, **options: Any) -> tuple[LinearProblem, WarmStart]:
        session = self.session
        spec = session.spec("linear", dataset, "m", "train", {"warm_start": model.reference, **options})
        opened = load_dataset(session.root, dataset)
        problem = make_problem(spec, opened, session.root)
        assert isinstance(problem, LinearProblem)
        start = warm_start(problem, spec, opened, session.root)
        assert start is not None
        return problem, start


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def table(seed: int, kinds: Sequence[str], labels: Sequence[str], *numbers: str, n: int = 300) -> Columns:
    """Columns of numbers called `numbers`, some far from zero; `kind` of `kinds`; labels that depend on these."""
    rng = np.random.default_rng(seed)
    centre = {"t": 1.7e12, "gone": 500.0}
    z = rng.normal(size=(n, len(numbers)))
    kind = rng.integers(0, len(kinds), n)
    score = z.sum(axis=1) / 2 + kind / len(kinds) + rng.normal(size=n)
    label = np.searchsorted(np.quantile(score, np.linspace(0, 1, len(labels) + 1)[1:-1]), score)
    columns: Columns = {
        name: [round(v, 3) for v in (centre.get(name, 0.0) + 3 * z[:, j]).tolist()] for j, name in enumerate(numbers)
    }
    columns["kind"] = [kinds[k] for k in kind]
    columns["label"] = [labels[k] for k in label]
    return columns


def as_known(model: LinearModel, columns: Columns, lacking: dict[str, float]) -> Floats:
    """The rows of a table as the model has its features, by their names."""
    rows = []
    for name in model.feature_names:
        column, _, value = name.partition("=")
        if value:
            rows.append([float(v == value) for v in columns[column]])
        else:
            rows.append(columns[name] if name in columns else [lacking.get(name, 0.0)] * len(columns["label"]))
    return np.array(rows, float).T


OURS = table(1, ["c0", "c1", "c2", "c3"], ["no", "yes"], "t", "a", "gone")
THEIRS = dict(reversed(table(2, ["c2", "c3", "c4"], ["no", "yes"], "new", "a", "t").items()))


def test_a_dataset_of_other_columns_is_measured_by_name(here: Here) -> None:
    here.pack("ours", OURS)
    theirs = here.pack("theirs", THEIRS)
    model = here.train("ours", l2=0.01)
    found = model.measurement(theirs, row_weights=True, by_name=True)
    engine = MapReduceEngine(theirs, "train", here.session.root.store, here.session.runner, 1 << 20)
    metrics = found.finish(engine.run(found.query, columns=found.columns))
    # a column that lacks is 0
    p = model.predict_proba(as_known(model, THEIRS, {}))
    yes = np.array(THEIRS["label"]) == "yes"
    assert metrics["log_loss"] == pytest.approx(-np.log(np.where(yes, p[:, 1], p[:, 0])).mean(), rel=1e-9)
    assert metrics["accuracy"] == pytest.approx(((p[:, 1] > 0.5) == yes).mean())


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_by_name_is_what_packing_alike_gives(here: Here, loss: str) -> None:
    """Columns in another order, one more, and categories never seen."""
    here.pack("ours", {**OURS, "label": OURS["a"]} if loss == "squared" else OURS, unseen="ignore")
    rows = {**THEIRS, "gone": [v + 500 for v in THEIRS["new"]]}
    rows = {**rows, "label": rows["t"]} if loss == "squared" else rows
    alone = here.pack("alone", rows)
    alike = here.pack("alike", rows, like="ours")
    model = here.train("ours", loss=loss)
    found = []
    for dataset in (alone, alike):
        measured = model.measurement(dataset, row_weights=True, by_name=True)
        engine = MapReduceEngine(dataset, "train", here.session.root.store, here.session.runner, 1 << 20)
        found.append(measured.finish(engine.run(measured.query, columns=measured.columns)))
    numbers = [{k: v for k, v in one.items() if isinstance(v, float)} for one in found]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-9)


def test_a_search_begins_with_the_models_function(here: Here) -> None:
    here.pack("ours", OURS)
    theirs = here.pack("theirs", {**THEIRS, "one": [7] * 300, "never": [0] * 300})
    model = here.train("ours", l2=0.01)
    problem, start = here.begin("theirs", model)
    assert (start.appeared.count, set(start.appeared.names)) == (2, {"kind=c4", "new"})
    assert start.vanished == Changed(count=3, names=("gone", "kind=c0", "kind=c1"))
    coef = problem.objective.coef(start.point)
    shift = problem.objective.rows.shift
    read = _rows(theirs, {**THEIRS, "one": [7] * 300, "never": [0] * 300})
    read[:, list(shift.ids)] -= shift.by
    margins = read @ coef[0, :-1] + coef[0, -1]
    # what is left out stays where the model had its middle
    middle = dict(zip(model.shift.ids, model.shift.by, strict=True))
    lacking = {model.feature_names[k]: by for k, by in middle.items()}
    p = model.predict_proba(as_known(model, THEIRS, lacking))
    np.testing.assert_allclose(margins, np.log(p[:, 1] / p[:, 0]), atol=1e-9)
    names = theirs.schema.feature_names or ()
    assert not coef[0, [names.index("one"), names.index("never"), names.index("new")]].any()


def _rows(dataset: Dataset, columns: Columns) -> Floats:
    read = []
    for name in dataset.schema.feature_names or ():
        column, _, value = name.partition("=")
        read.append([float(v == value) for v in columns[column]] if value else columns[name])
    return np.array(read, float).T


def test_labels_are_known_by_their_texts(here: Here) -> None:
    here.pack("ours", table(1, ["x"], ["a", "b", "c"], "u", "v"))
    here.pack("theirs", table(2, ["x"], ["b", "c", "d"], "u", "v"))
    model = here.train("ours", loss="softmax", l2=0.01)
    problem, start = here.begin("theirs", model, loss="softmax")
    coef = problem.objective.coef(start.point)
    np.testing.assert_allclose(coef[:2, :2], model.coef[1:, :2], rtol=1e-12)
    assert not coef[2].any()
    assert (start.new_labels.names, start.old_labels.names) == (("d",), ("a",))
    assert "labels that it does not know: 1 (d); labels that no row has any more: 1 (a)" in start.text


def test_two_classes_in_the_other_order_turn_margins_round(here: Here) -> None:
    """As numbers 2 comes before 10, as texts behind it."""
    columns = table(1, ["x", "y"], ["2", "10"], "u", "v")
    here.pack("ours", columns)
    theirs = here.pack("theirs", columns, categorical=("label",))
    assert theirs.schema.labels == ("10", "2")
    model = here.train("ours", l2=0.01)
    problem, start = here.begin("theirs", model)
    np.testing.assert_allclose(problem.objective.coef(start.point)[:, :-1], -model.coef[:, :-1], rtol=1e-12)


@pytest.mark.parametrize("highest", [20, 300_000])
def test_features_of_numbers_are_known_by_their_ids(here: Here, highest: int) -> None:
    """Counted from 1 in one text and from 0 in the other; where few of very many occur, these alone are looked at."""
    rng = np.random.default_rng(1)
    x = np.where(rng.random((200, 10)) < 0.5, rng.normal(size=(200, 10)), 0)
    y = (x.sum(axis=1) + rng.normal(size=200) > 0).astype(int)
    # the columns are ids 1 to 9 and the highest; then 3 to 12 and another high one
    first, second = [*range(1, 10), highest], [0, *range(3, 11), highest - 1]
    for name, ids, base in (("ours", first, 1), ("theirs", second, 0)):
        lines = [
            f"{label} " + " ".join(f"{i}:{v!r}" for i, v in zip(ids, row, strict=True) if v)
            for label, row in zip(y, x.tolist(), strict=True)
        ]
        (here.folder / name).write_text("\n".join(lines) + "\n")
        options: dict[str, Any] = {"format": "libsvm", "index_base": base}
        mr_ml.pack(here.folder / "root", here.folder / name, name, **options)
    model = here.train("ours", l2=0.01)
    problem, start = here.begin("theirs", model)
    assert (problem.columns is not None) == (highest > 1000)
    features = range(highest) if problem.columns is None else problem.columns.tolist()
    coef = problem.objective.coef(start.point)[0]
    begun = {feature: w for feature, w in zip(features, coef[:-1].tolist(), strict=True) if w}
    ended = {int(i): w for i, w in model.coefficients["coef"].items() if w and int(i) in second}
    assert begun == pytest.approx(ended, rel=1e-12)
    assert set(begun) == {*range(3, 10)}
    # ids of a text that counts from 0 are as they are written
    appeared = {"0", "10", str(highest - 1)}
    assert (start.appeared.count, set(start.appeared.names)) == (3, appeared)
    assert set(start.vanished.names) == {"1", "2", str(highest)}


def test_what_cannot_be_begun_with_is_refused_before_there_is_a_run(here: Here) -> None:
    here.pack("ours", OURS)
    here.pack("others", {**OURS, "label": ["in" if v == "yes" else "out" for v in OURS["label"]]})
    here.pack("zero-one", {**OURS, "label": [int(v == "yes") for v in OURS["label"]]})
    path = write_libsvm(here.folder / "rows", np.eye(6), [0, 1] * 3)
    mr_ml.pack(here.folder / "root", path, "numbers")
    here.train("ours")
    here.train("numbers", l2=1.0)
    root = here.folder / "root"
    runs = sorted((root / "runs").iterdir())
    refused: list[tuple[str, dict[str, Any], type[Exception], str]] = [
        ("ours", {"loss": "softmax"}, UsageError, "softmax loss.*of-ours@1.*logistic"),
        ("others", {}, UsageError, r"\['in', 'out'\].*of-ours@1.*\['no', 'yes'\]"),
        ("zero-one", {"warm_start": "of-numbers"}, BadDataError, "numbers only.*of-numbers@1, found names"),
        ("ours", {"warm_start": "nothing"}, StorageError, "nothing"),
        ("ours", {"warm_start": "of-ours@9"}, StorageError, "9"),
        ("ours", {"warm_start": "../x"}, UsageError, "model"),
        ("ours", {"warm_start": 3}, UsageError, "warm_start"),
    ]
    for dataset, options, error, words in refused:
        with pytest.raises(error, match=words):
            mr_ml.train(root, dataset, "m", **{"warm_start": "of-ours", **options})
    assert sorted((root / "runs").iterdir()) == runs
