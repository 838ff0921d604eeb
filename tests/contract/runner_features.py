"""What every kind of runner does, and that it comes to the same: bytes of files, bits of coefficients, metrics, errors.

Each feature is done on two grounds; what comes of it must be equal. What one feature needs of another one, such as a
packed dataset, is made once a ground, whichever comes first.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from all_at_once import searches
from damage import changed, said_of, truncated
from mr_ml_jobs.pass_job import MRPass
from runner_kinds import Ground

from hdfs_layout import read_events
from mr_ml.errors import InternalError
from mr_ml.ids import unique_id
from mr_ml.packing import plan
from mr_ml.passes.base import Array, Engine
from mr_ml.session import Session
from mr_ml.sums import slices
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic

PACK = ("--split", "train=0.75,test=0.25", "--partitions", "3", "--seed", "3")
# Each loss learns from the labels of one table.
LOSSES = {"logistic": "two", "softmax": "three", "squared": "numbers"}
N_ROWS = 360


@dataclass(frozen=True)
class Training:
    """One of those that all kinds run."""

    loss: str
    solver: str
    space: str
    weights: str
    max_passes: str = "3"

    @property
    def options(self) -> tuple[str, ...]:
        """What the command line says."""
        return (
            LOSSES[self.loss], "--model", "-".join(vars(self).values()), "--loss", self.loss, "--solver", self.solver,
            "--penalty-space", self.space, "--weights", self.weights, "--l2", "0.01", "--max-passes", self.max_passes,
        )  # fmt: skip


TRAININGS = [
    Training(*one) for one in itertools.product(LOSSES, ("newton", "lbfgs"), ("raw", "scaled"), ("rows", "none"))
]
# Where each pass takes seconds: of each solver one, and of what else there is something in either.
FEW = [Training("logistic", "newton", "scaled", "rows", "2"), Training("softmax", "lbfgs", "raw", "none", "2")]


def text_of(table: str, *, n: int = N_ROWS, seed: int = 0) -> bytes:
    """CSV: numbers on several scales, a category, weights of rows, and labels that depend on them."""
    rng = np.random.default_rng([seed, sum(map(ord, table))])
    x = rng.normal(size=(n, 3)) * [1, 30, 0.01] + [0, 100, 0]
    colour = rng.choice(["red", "green", "blue"], n)
    margin = x[:, 0] - (x[:, 1] - 100) / 30 + 50 * x[:, 2] + (colour == "red") + rng.logistic(size=n) / 2
    label = {"two": margin > 0, "three": np.digitize(margin, [-1, 1]), "numbers": margin}[table]
    weight = rng.integers(1, 4, n)
    rows = zip(*x.T.tolist(), colour.tolist(), weight.tolist(), np.array(label, float).tolist(), strict=True)
    lines = ("{:.4f},{:.4f},{:.5f},{},{},{:.6g}".format(*row) for row in rows)
    return "\n".join(["a,b,c,colour,weight,label", *lines, ""]).encode()


@dataclass(eq=False)
class Done:
    """What was done on a ground, so that nothing is done twice.

    Attributes
    ----------
    few
        Whether passes take so long that few trainings must do.
    """

    ground: Ground
    few: bool
    _made: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what was made under this name, or make it."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def run(self, *words: object) -> dict[str, Any]:
        """Run a command with this ground's runner, which must succeed."""
        return self.ground.commands(*words)

    # --- what features need of each other -----------------------------------------------------------------------------

    def dataset(self, table: str) -> str:
        """Pack a table from where this kind's users have their text."""

        def pack() -> str:
            self.ground.texts.write(f"{table}.csv", text_of(table))
            source = f"{self.ground.beside}/{table}.csv"
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(plan, "BLOCK_BYTES", 1 << 11)
                shape = self.run("pack", source, "--to", table, "--weight-column", "weight", *PACK)
            assert shape["blocks"] >= 6
            return table

        return str(self.once(f"dataset {table}", pack))

    def files_of(self, table: str) -> dict[str, bytes]:
        """Return the bytes of a dataset's files, by name."""
        store = self.ground.store
        manifest = json.loads(store.read(f"datasets/{table}/v000001.json"))
        files = [*manifest["partitions"], *manifest["moments"].values()]
        return {file["uri"].rpartition("/")[2]: store.read(file["uri"]) for file in files}

    def model(self, training: Training) -> dict[str, Any]:
        """Train; return what the manifest says of the search, and the coefficients' digest."""

        def train() -> dict[str, Any]:
            self.dataset(LOSSES[training.loss])
            return self.published(self.run("train", *training.options))

        found: dict[str, Any] = self.once(str(training), train)
        return found

    def published(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return what was published, but for names of runs and seconds."""
        store = self.ground.store
        manifest = json.loads(store.read(f"models/{result['model']}/v{result['version']:06d}.json"))
        coef = store.read(manifest["coef"]["uri"])
        assert hashlib.sha256(coef).hexdigest() == manifest["coef"]["sha256"]
        return {"training": manifest["training"], "coef": manifest["coef"]["sha256"], "classes": manifest["classes"]}

    def trainings(self, solver: str) -> list[Training]:
        """Those that this ground has time for."""
        return [one for one in (FEW if self.few else TRAININGS) if one.solver == solver]


# --- the features -----------------------------------------------------------------------------------------------------


def pack(done: Done) -> Any:
    """Text beside the root."""
    return done.files_of(done.dataset("two"))


def local_text(done: Done) -> Any:
    """Text that lies on the machine of the driver, whatever the root is: packed, and packed by the training of it.

    Of so many rows that the search begins near the optimum of some of them.
    """
    text = done.ground.here / "here.csv"
    text.write_bytes(text_of("two", n=12_000, seed=1))
    how = ("--weight-column", "weight", *PACK)
    done.run("pack", text, "--to", "here", *how)
    files = done.files_of("here")
    fit = FEW[0].options[3:]
    trained = done.run("train", text, "--to", "at-once", "--model", "at-once", *how, *fit)
    assert done.files_of("at-once") == files
    log = read_events(done.ground.store, f"runs/{trained['run']}/log.jsonl")
    assert "first_guess" in [event["event"] for event in log]
    found = done.published(trained)
    assert found == done.published(done.run("train", "here", "--model", "in-two", *fit))
    return files, found


def newton(done: Done) -> Any:
    return {one: done.model(one) for one in done.trainings("newton")}


def lbfgs(done: Done) -> Any:
    return {one: done.model(one) for one in done.trainings("lbfgs")}


def losses(done: Done) -> Any:
    """All losses under all penalties."""
    return searches(done.ground)


def evaluate(done: Done) -> Any:
    found = {}
    for one in done.trainings("newton"):
        done.model(one)
        found[one] = done.run("evaluate", one.options[2], LOSSES[one.loss], "--weights", one.weights)
    return found


def predict(done: Done) -> Any:
    done.model(FEW[0])
    done.ground.texts.write("new.csv", text_of("two", n=90, seed=2))
    found = []
    for how in ((), ("--keep", "colour,a", "--output-format", "csv")):
        to = f"{done.ground.beside}/predictions-{unique_id()}"
        done.run("predict", FEW[0].options[2], f"{done.ground.beside}/new.csv", "--to", to, *how)
        found.append(done.ground.texts.read(to.rpartition("/")[2]))
    return found


def resume(done: Done) -> Any:
    """A run whose driver ended before its second pass."""
    done.dataset("two")
    options = [*FEW[0].options]
    options[2] = "resumed"
    with only_passes(1):
        found = done.ground.commands.run("train", *options)
    assert found.code == 70, found.err
    assert "stopped by the test" in found.err
    (run,) = (one["run"] for one in done.run("runs", "list")["runs"] if one["model"] == "resumed")
    result = done.published(done.run("train", "--resume", run))
    assert result == done.model(FEW[0])
    return result


def wide(done: Done) -> Any:
    """More features than a sum holds at once, added by reduce tasks."""
    n = 2 * slices.FEATURE_BLOCK + 5
    rng = np.random.default_rng(5)
    ids = (n * rng.random((400, 12)) ** 2).astype(int) + 1
    ids[:, 0] = n
    lines = (f"{k % 2} " + " ".join(f"{i}:{1 + i % 3}" for i in sorted(set(row))) for k, row in enumerate(ids.tolist()))
    done.ground.texts.write("wide.libsvm", "\n".join([*lines, ""]).encode())
    done.run("pack", f"{done.ground.beside}/wide.libsvm", "--to", "wide", "--partitions", "3", "--seed", "3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MRPass, "REDUCE_FROM_BYTES", 0)
        return done.published(done.run("train", "wide", "--model", "wide", "--l2", "1", "--max-passes", "2"))


def retrain(done: Done) -> Any:
    """A night: packed, trained, measured, promoted."""
    for day in (1, 2):
        done.ground.texts.write(f"days/dt=2026-03-0{day}/rows.csv", text_of("numbers", n=150, seed=day))
    (done.ground.here / "retrain.yaml").write_text(settings_of(done.ground), encoding="utf-8")
    found = done.ground.commands.run("retrain", done.ground.here / "retrain.yaml", "--for", "2026-03-02", "--json")
    assert found.code == 0, found.err
    assert found.result["promoted"] == 1
    store = done.ground.store
    decision = json.loads(store.read("models/nightly/v000001.json"))["decision"]
    return decision, done.published({"model": "nightly", "version": 1}), done.files_of("days")


def settings_of(ground: Ground) -> str:
    """The settings of that night, with the runner as the command line has it."""
    words = ["--name" if word == "-r" else word for word in ground.runner]
    runner = {
        option.lstrip("-").replace("-", "_"): value for option, value in zip(words[::2], words[1::2], strict=True)
    }
    return json.dumps(
        {
            "root": ground.root,
            "model": "nightly",
            "dataset": "days",
            "input": {"location": f"{ground.beside}/days/dt={{date}}", "days": 2},
            "reader": {"label_column": "label", "weight_column": "weight"},
            "train": {"loss": "squared", "l2": 0.001, "solver": "newton"},
            "runner": {name: int(value) if value.isdigit() else value for name, value in runner.items()},
        }
    )


def damaged(done: Done) -> Any:
    """A partition that is truncated, and one in which a byte is another: the same words, and nothing is published."""
    table, store = done.dataset("two"), done.ground.store
    options = [*FEW[0].options]
    options[2] = "of-damaged"
    found = [said_of(damage, store, table, done.ground.commands.run, options) for damage in (truncated, changed)]
    assert not store.exists("models/of-damaged")
    return found


@dataclass(frozen=True)
class Feature:
    """One of those that runners have.

    Attributes
    ----------
    title
        Begins its row in the README.
    do
        Returns what must be the same everywhere.
    """

    title: str
    do: Callable[[Done], Any]


FEATURES = {
    "pack": Feature("pack text that lies where the root is", pack),
    "local_text": Feature("pack text of the driver's machine", local_text),
    "newton": Feature("train by `newton`", newton),
    "lbfgs": Feature("train by `lbfgs`", lbfgs),
    "losses": Feature("train all losses under all penalties", losses),
    "wide": Feature("train more than 500,000 features", wide),
    "resume": Feature("go on with an interrupted training", resume),
    "evaluate": Feature("evaluate", evaluate),
    "predict": Feature("predict", predict),
    "retrain": Feature("retrain", retrain),
    "damaged": Feature("refuse a damaged partition, in the same words", damaged),
}


class Stopped(InternalError):
    """The test's own, for a driver that ends in the middle."""


@contextmanager
def only_passes(number: int) -> Iterator[None]:
    """Have the driver end before one more pass."""
    engine_over, left = Session.engine_over, [number]

    @dataclass(frozen=True)
    class Few:
        engine: Engine

        def run(self, query: Query, *, columns: Array | None = None) -> Statistic:
            if not left[0]:
                raise Stopped("stopped by the test")
            left[0] -= 1
            return self.engine.run(query, columns=columns)

        def close(self) -> None:
            self.engine.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "engine_over", lambda *args, **more: Few(engine_over(*args, **more)))
        yield
