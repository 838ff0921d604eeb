"""A table that grows by a day: published models, candidates of later days, and what the gate finds of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.decision import Decision
from mr_ml.catalog.model import load_model
from mr_ml.catalog.provenance import InputFile
from mr_ml.models.base import Model
from mr_ml.packing.choices import PackChoices
from mr_ml.retraining.gate.facts import WindowFacts
from mr_ml.retraining.gate.gather import Gathered, gather
from mr_ml.retraining.gate.judge import judge
from mr_ml.retraining.gate.profile import save_profile
from mr_ml.retraining.gate.rules import GateRules
from mr_ml.session import Session

Floats = NDArray[np.float64]
Change = Callable[[list[list[str]], np.random.Generator], list[list[str]]]

N_ROWS = 3000


def clicks(rng: np.random.Generator, n: int) -> list[list[str]]:
    """Two classes, three of ten rows in one; numbers and categories, of which some are rare."""
    x = rng.normal(size=(n, 3)) * [1, 20, 0.1] + [0, 100, 0]
    city = rng.choice(["Rome", "Oslo", "Bern", "Kyiv"], n, p=[0.5, 0.3, 0.19, 0.01])
    z = 1.5 * x[:, 0] - 0.05 * (x[:, 1] - 100) + 10 * x[:, 2] + (city == "Oslo") - 1.6
    y = np.where(rng.random(n) < 1 / (1 + np.exp(-z)), "yes", "no")
    header = ["clicked", "age", "price", "slope", "city"]
    return [header] + [[y[i], *(f"{v:.4f}" for v in x[i]), str(city[i])] for i in range(n)]


def coins(rng: np.random.Generator, n: int) -> list[list[str]]:
    """Two classes of as many rows each, as numbers."""
    x = rng.normal(size=(n, 4))
    y = rng.random(n) < 1 / (1 + np.exp(-x @ [2, -1, 0.5, 0]))
    return [["label", "a", "b", "c", "d"]] + [[str(int(y[i])), *(f"{v:.4f}" for v in x[i])] for i in range(n)]


def species(rng: np.random.Generator, n: int) -> list[list[str]]:
    """Three classes."""
    which = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    centre = np.array([[0, 0, 1, 3], [1, 1, 0, 3], [2, -1, 1, 4]])
    x = centre[which] + rng.normal(size=(n, 4))
    names = np.array(["setosa", "versicolor", "virginica"])
    return [["label", "a", "b", "c", "d"]] + [[names[which[i]], *(f"{v:.3f}" for v in x[i])] for i in range(n)]


def prices(rng: np.random.Generator, n: int) -> list[list[str]]:
    """A number to predict."""
    x = rng.normal(size=(n, 4))
    y = x @ [3, -2, 1, 0.5] + 10 + rng.normal(size=n)
    return [["y", "a", "b", "c", "d"]] + [[f"{y[i]:.6f}", *(f"{v:.4f}" for v in x[i])] for i in range(n)]


def sums(rng: np.random.Generator, n: int) -> list[list[str]]:
    """A number that is predicted without any error."""
    x = rng.normal(size=(n, 4)).round(4)
    y = x @ [3, -2, 1, 0.5]
    return [["y", "a", "b", "c", "d"]] + [[repr(float(y[i])), *(f"{v:.4f}" for v in x[i])] for i in range(n)]


TABLES: dict[str, tuple[Callable[[np.random.Generator, int], list[list[str]]], str]] = {
    "clicks": (clicks, "logistic"),
    "coins": (coins, "logistic"),
    "species": (species, "softmax"),
    "prices": (prices, "squared"),
    "sums": (sums, "squared"),
}
OPTIONS: dict[str, dict[str, Any]] = {"sums": {"l2": 0.0}}


def days(n: int = 28, *, last: int = 28) -> tuple[InputFile, ...]:
    """One file a day of November 2026, all different."""
    return tuple(
        InputFile(path=f"dt=2026-11-{d:02d}/part-0", size=1000 + d, checksum=f"sha256:{d:064x}", day=f"2026-11-{d:02d}")
        for d in range(last - n + 1, last + 1)
    )


WINDOW = WindowFacts(last="2026-11-28", files=days(), least_days=28, least_rows=2000, published_last="2026-11-27")


@dataclass
class Nights:
    """The session of a test, and the published model of each table."""

    session: Session
    folder: Path
    published: dict[str, Model] = field(default_factory=dict)
    number: int = 0

    def pack(self, lines: Sequence[Sequence[str]], **choices: Any) -> str:
        """Pack a table; returns the name of the dataset."""
        self.number += 1
        name = f"d{self.number}"
        path = self.folder / f"{name}.csv"
        path.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")
        text = {"label_column": lines[0][0]}
        given = {"split": {"train": 0.6, "test": 0.4}, "text": text, **choices}
        self.session.pack([str(path)], name, PackChoices(**given))
        return name

    def fit(self, dataset: str, loss: str, **options: Any) -> Model:
        """Train a model."""
        model = f"m-{dataset}"
        spec = self.session.spec("linear", dataset, model, "train", {"loss": loss, "l2": 1e-3, **options})
        self.session.train(spec)
        return load_model(self.session.root, model)

    def yesterday(self, table: str) -> Model:
        """Return the published model of a table, with its profile."""
        if table not in self.published:
            make, loss = TABLES[table]
            name = self.pack(make(np.random.default_rng(1000), N_ROWS))
            model = self.fit(name, loss, **OPTIONS.get(table, {}))
            found = self.gathered(model, None, name)
            save_profile(self.session.root, model.name, model.manifest["run"], found.profile)
            self.published[table] = model
        return self.published[table]

    def gathered(
        self, candidate: Model, published: Model | None, dataset: str, rules: GateRules | None = None, **more: Any
    ) -> Gathered:
        """Return what the gate finds."""
        opened = load_dataset(self.session.root, dataset)
        return gather(
            self.session, rules or GateRules(), candidate=candidate, published=published, dataset=opened,
            window=WINDOW, **more,
        )  # fmt: skip

    def tonight(
        self, table: str, seed: int, *, change: Change | None = None, rules: GateRules | None = None,
        n_rows: int = N_ROWS, spoil: Callable[[Model], Model] = lambda model: model,
        pack: Mapping[str, Any] | None = None, train: Mapping[str, Any] | None = None, **facts: Any,
    ) -> Decision:  # fmt: skip
        """Judge a candidate of another day.

        Parameters
        ----------
        change
            Of the rows of that day.
        spoil
            What happens to the candidate.
        facts
            Others than those that are found.
        """
        rules = rules or GateRules(margin=0.05)
        published, rng = self.yesterday(table), np.random.default_rng(seed)
        make, loss = TABLES[table]
        lines = make(rng, n_rows)
        dataset = self.pack(lines if change is None else change(lines, rng), **(pack or {}))
        candidate = spoil(self.fit(dataset, loss, **{**OPTIONS.get(table, {}), **(train or {})}))
        found = self.gathered(candidate, published, dataset, rules).facts
        return judge(rules, replace(found, **facts))
