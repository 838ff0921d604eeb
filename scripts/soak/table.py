"""The table that is retrained, and roots with a few nights behind them."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forked
from daily import Daily, day
from forked import Ended, Fault, Running

import mr_ml
from hdfs_layout import open_root
from mr_ml.catalog.promotions import read_promotions
from mr_ml.runners.local.scratch import scratch_folder

SETTINGS = """\
root: {root}
model: ctr
dataset: clicks
input: {{location: "{days}/dt={{date}}", days: 4, late_days: {late}, min_rows: 50}}
reader: {{label_column: clicked}}
train: {{loss: logistic, l2: 0.001}}
gate: {{margin: 0.05}}
runner: {{name: {runner}}}
retention: {{models: {{versions: 1}}, datasets: {{versions: 1}}, runs: {{days: 0}}}}
"""
# Names of runs and of packed data; numbers of holders of a lock, and of processes that worked on a window.
_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")
_TURN = re.compile(r"^(root/)?(locks/[^/]+/|retrains/[^/]+/[^/]+/)(v|released-)[0-9]{6}")
# Fences, checkpoints and who cleaned, of which there are more or fewer.
_OTHERS = re.compile(r"promotions/v[0-9]{6}\.json|runs/[^/]+/passes(/|$)|locks/\.clean/")


@dataclass(frozen=True)
class Table:
    """A folder with days of rows, settings, and a root."""

    folder: Path

    @property
    def daily(self) -> Daily:
        """Its days."""
        return Daily(self.folder)

    @property
    def settings(self) -> Path:
        """The file of settings."""
        return self.folder / "retrain.yaml"

    @property
    def root(self) -> Path:
        """Where everything is kept."""
        return self.folder / "root"

    def configure(self, *, root: str = "root", runner: str = "inline", late: int = 1, more: str = "") -> None:
        """Write the settings."""
        days = self.folder / "days"
        self.settings.write_text(SETTINGS.format(root=root, runner=runner, days=days, late=late) + more)

    def start(self, number: int | None, *options: object, fault: Fault = forked.NO_FAULT, **more: Any) -> Running:
        """Start the retraining for a window."""
        window = [] if number is None else ["--for", day(number)]
        name = more.pop("name", "out")
        return forked.command(
            ["retrain", self.settings, *window, "--json", *options], folder=self.folder,
            output=self.folder / f"{name}.txt", fault=fault, **more,
        )  # fmt: skip

    def run(self, number: int | None, *options: object, **more: Any) -> Ended:
        """Run the retraining for a window."""
        return self.start(number, *options, **more).wait()

    def clean(self, prepare: Callable[[], None] = lambda: None, *options: object) -> Ended:
        """Run `mr-ml clean` by the settings; temporary files go as with the next job."""

        def sweep() -> None:
            prepare()
            scratch_folder(needs_bytes=0)

        arguments: list[object] = ["clean", self.settings, "--json", *options]
        return forked.command(arguments, folder=self.folder, output=self.folder / "clean.txt", prepare=sweep).wait()

    def grow_older(self, days: float) -> None:
        """Let everything below the root have been written so many days earlier."""
        for name in forked.files_below(self.root):
            path = self.root / name
            modified = path.stat().st_mtime - days * 86_400
            os.utime(path, (modified, modified))

    def copy(self, folder: Path) -> Table:
        """Copy it; its settings name the copy's root and days."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder, symlinks=True)
        copied = Table(folder)
        # its root may be a URI with the folder in it
        text = copied.settings.read_text().replace(str(self.folder), str(folder))
        copied.settings.write_text(text)
        return copied

    def coefficients(self, reference: str) -> str:
        """Return the sha256 of a model's file of coefficients, which is checked."""
        return str(mr_ml.load_model(self.root, reference).manifest["coef"]["sha256"])

    def names(self) -> list[str]:
        """Return what is kept, by path, without what differs from run to run: ids, fences and checkpoints."""
        return sorted(self._names())

    def _names(self) -> Iterator[str]:
        for name in forked.files_below(self.root):
            if not _OTHERS.search(name):
                yield _TURN.sub(r"\1\2\3N", _ID.sub("ID", name))

    def actions(self) -> list[tuple[str, int | None]]:
        """Return the log of promotions, without fences."""
        entries, damaged = read_promotions(open_root(self.root), "ctr")
        assert not damaged, damaged
        return [(entry.action, entry.version) for entry in entries if entry.action != "fence"]


def after_two_nights(folder: Path, **options: Any) -> Table:
    """Make a table with days 0 to 9 and two nights behind it, those of days 4 and 5, so that there is what to clean."""
    folder.mkdir(parents=True)
    table = Table(folder)
    table.daily.add(0, 9)
    table.configure(**options)
    for number in (4, 5):
        done = table.run(number)
        assert done.code == 0, done.text
    return table


def warm_up(folder: Path) -> None:
    """Import in this process what a retraining imports, so that forked ones need not."""
    from mr_ml.cli import main

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    table = Table(folder)
    table.daily.add(0, 5)
    table.configure()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        codes = [main(["retrain", str(table.settings), "--for", str(day(number))]) for number in (4, 5)]
        codes.append(main(["clean", str(table.settings)]))
    assert codes == [0, 0, 0], codes
    shutil.rmtree(folder)
    forked.settle()
