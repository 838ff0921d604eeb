"""A root in which trainings begin with coefficients in a file, and rows for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mr_ml
from hdfs_layout import open_root
from mr_ml.catalog.run_log import read_log

Floats = Any
NAMES = ["height", "b", "c", "far"]


@dataclass
class Here:
    """A root with datasets, and what a training said."""

    folder: Path
    said: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def pack(self, name: str, lines: list[str], **options: Any) -> None:
        path = self.folder / f"{name}.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        mr_ml.pack(self.root, path, name, **options)

    def table(self, name: str, x: Floats, y: list[Any], *, order: list[int] | None = None) -> None:
        """Columns in another order than the other program had them."""
        order = [2, 0, 3, 1] if order is None else order
        rows = zip(x[:, order].tolist(), y, strict=True)
        lines = [",".join(map(str, [*row, label])) for row, label in rows]
        self.pack(name, [",".join([*(NAMES[k] for k in order), "y"]), *lines], format="csv")

    def write(self, data: bytes, name: str = "model.file") -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def train(self, dataset: str, given: Any, **options: Any) -> Any:
        self.said.clear()
        return mr_ml.train(self.root, dataset, f"of-{dataset}", warm_start_from=given, say=self.said.append, **options)

    def begins_at_the_optimum(
        self, dataset: str, given: Any, *, passes: int = 2, digits: float = 1e-12, **options: Any
    ) -> None:
        warm = self.train(dataset, given, **options)
        cold = mr_ml.train(self.root, dataset, "cold", **options)
        assert warm.converged, warm.stop
        assert warm.passes <= passes < cold.passes
        assert warm.objective == pytest.approx(cold.objective, rel=max(digits, 1e-9))
        first = read_log(open_root(str(self.root)), warm.run).passes[0]
        assert first["objective"] == pytest.approx(cold.objective, rel=digits)
        assert not any("starts from zero" in text for text in self.said)


def rows(n: int = 200) -> tuple[Floats, Floats]:
    """Features, one of them far from zero, and a score of each row."""
    draw = np.random.default_rng(5)
    x = np.round(draw.normal(size=(n, 4)) * [1, 3, 0.2, 1] + [0, 0, 0, 50], 3)
    return x, x @ [1.0, -0.4, 3.0, 0.7] - 35 + draw.logistic(size=n)


def saved(model: Any, **more: Any) -> dict[str, Any]:
    """What docs/training.md tells users to save."""
    return {"coef": model.coef_, "intercept": model.intercept_, "feature_names": NAMES, **more}


def vw_rows(n: int = 200, *, loss: str) -> list[str]:
    x, score = rows(n)
    labels = {"logistic": np.where(score > 0, 1, -1), "squared": score.round(3), "poisson": np.abs(score).round()}[loss]
    words = ("one", "two", "thrée")
    return [
        f"{y!r} |n a:{row[0]} b:{row[1]} | {words[k % 3]} 7:{row[2]} |x const"
        for k, (y, row) in enumerate(zip(labels.tolist(), x.tolist(), strict=True))
    ]
