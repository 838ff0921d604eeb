"""A small table that grows by a day, and the settings of its retraining."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from commands import Commands, Outcome

import mr_ml

FIRST = date(2026, 3, 1)

SETTINGS = """\
root: root
model: ctr
dataset: clicks
input: {location: "days/dt={date}", days: 4, late_days: 1, min_rows: 50}
reader: {label_column: clicked}
train: {loss: logistic, l2: 0.001}
gate: {margin: 0.05}
runner: {name: inline}
"""


def day(number: int) -> date:
    """Return the date of a day, from 0 on."""
    return FIRST + timedelta(days=number)


@dataclass(frozen=True)
class Daily:
    """A folder with `days/dt=.../`, `retrain.yaml` and `root/`."""

    folder: Path

    @property
    def settings(self) -> Path:
        """The file of settings."""
        return self.folder / "retrain.yaml"

    @property
    def root(self) -> Path:
        """Where everything is kept."""
        return self.folder / "root"

    def configure(self, text: str = SETTINGS) -> None:
        """Write the settings."""
        self.settings.write_text(text)

    def add(self, first: int, last: int, *, flipped: bool = False, name: str = "part-0", seed: int = 0) -> None:
        """Write the rows of days, which follow one law; or its opposite."""
        for number in range(first, last + 1):
            rng = np.random.default_rng([seed, number])
            x = rng.normal(size=(150, 3))
            clicked = x @ [1.5, -1.0, 0.3] + rng.logistic(size=150) > 0.2
            labels = np.where(clicked ^ flipped, "yes", "no")
            rows = [f"{a:.6f},{b:.6f},{c:.6f},{label}\n" for (a, b, c), label in zip(x, labels, strict=True)]
            place = self.folder / "days" / f"dt={day(number)}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{name}.csv").write_text("a,b,c,clicked\n" + "".join(rows))

    def run(self, number: int, *options: str) -> Outcome:
        """Run the retraining for the window that ends with a day."""
        return Commands(self.root).run("retrain", self.settings, "--for", day(number), "--json", *options)

    def published(self, number: int, *options: str) -> dict[str, object]:
        """Run it, and expect that it is promoted."""
        done = self.run(number, *options)
        assert done.code == 0, done.err
        assert done.result["outcome"] == "published"
        return done.result

    def coefficients(self, reference: str) -> bytes:
        """Return the file of a model's coefficients."""
        model = mr_ml.load_model(self.root, reference)
        return Path(self.root, model.manifest["coef"]["uri"]).read_bytes()

    def files(self) -> dict[str, bytes]:
        """Return everything that is kept, by path."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()
        }
