"""A root that is filled by hand: versions, runs, promotions and leftovers of any age, without packing each of them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hdfs_layout import LocalStore, Root, encode_document, list_versions, open_root, publish_version
from hdfs_layout.owners import owned, start_of
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.model import load_model
from mr_ml.catalog.promotions import manage, promote
from mr_ml.catalog.retention import KeepRuns, KeepVersions, RetentionRules, carry_out, plan
from mr_ml.catalog.run import RunDocument, read_run
from mr_ml.catalog.verify import verify
from mr_ml.retraining.journal import Attempt, Journal, begin_journal

DAY = 86_400.0
BY = {"user": "somebody", "host": "here", "pid": 1, "command": "test"}
RULES = RetentionRules(
    models=KeepVersions(versions=2, days=10), datasets=KeepVersions(versions=2, days=5), runs=KeepRuns(days=20)
)


@dataclass(frozen=True)
class RemoteStore(LocalStore):
    """A store that is no folder of this machine, as far as anybody can see."""

    def local_path(self, path: str) -> str | None:
        return None


@dataclass
class World:
    """A root with a clock of its own: `now` is the present, and what is made has the age that is asked for."""

    root: Root
    folder: Path
    template: Path
    now: float = field(default_factory=time.time)
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def new_id(self) -> str:
        return f"id-{next(self._ids):04d}"

    def age(self, path: Path, days: float) -> None:
        """Make a file or folder, and all that is in it, so old."""
        for each in (path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())):
            os.utime(each, (self.now - days * DAY,) * 2, follow_symlinks=False)

    def dataset(self, name: str, *, days: float = 0.0) -> int:
        document = self._manifest("datasets/rows/v000001.json", "datasets/rows", f"datasets/{name}", "data_id")
        document["name"] = name
        number = publish_version(self.root.store, f"datasets/{name}", document)
        self.age(self.folder / f"datasets/{name}/v{number:06d}.json", days)
        self.age(self.folder / f"datasets/{name}/data/{document['data_id']}", days)
        return number

    def model(self, name: str, dataset: str, *, days: float = 0.0, run: str | None = None) -> int:
        """A version, and its run if that is not given."""
        document = self._manifest("models/m/v000001.json", "models/m", f"models/{name}", "run", new=run)
        document["dataset"] = document["spec"]["dataset"] = dataset
        document["spec"]["model"] = name
        if run is None:
            self.run(name, dataset, name=document["run"], days=days, ended=True)
        number = publish_version(self.root.store, f"models/{name}", document)
        self.age(self.folder / f"models/{name}/v{number:06d}.json", days)
        self.age(self.folder / f"models/{name}/data/{document['run']}", days)
        return number

    def run(
        self, model: str, dataset: str, *, days: float, ended: bool, name: str | None = None,
        warm_start: str | None = None,
    ) -> str:  # fmt: skip
        name = name or self.new_id()
        (old,) = (path.name for path in (self.template / "runs").iterdir())
        folder = self.folder / "runs" / name
        shutil.copytree(self.template / "runs" / old, folder)
        spec = read_run(open_root(self.template), old).spec.to_json()
        document = RunDocument(run=name, spec=read_run(open_root(self.template), old).spec).to_json()
        document["spec"] = {**spec, "model": model, "dataset": dataset, "warm_start": warm_start}
        (folder / "spec.json").write_bytes(encode_document(document))
        if not ended:
            (folder / "log.jsonl").unlink()
        self.age(folder, days)
        return name

    def _manifest(self, path: str, old_folder: str, folder: str, key: str, new: str | None = None) -> dict[str, Any]:
        """The content of a manifest of the template, with data of its own."""
        document = json.loads((self.template / path).read_text())
        old, new = document[key], new or self.new_id()
        shutil.copytree(self.template / old_folder / "data" / old, self.folder / folder / "data" / new)
        text = json.dumps({name: item for name, item in document.items() if name not in ("format", "sha256")})
        moved: dict[str, Any] = json.loads(text.replace(f"{old_folder}/data/{old}/", f"{folder}/data/{new}/"))
        return {**moved, key: new}

    def promote(self, name: str, number: int) -> None:
        manage(self.root, name, by=BY)
        promote(self.root, name, number, by=BY)

    def journal(self, model: str, window: str, *, days: float, **attempt: Any) -> Path:
        at, digest = "2026-11-26T02:15:00Z", "0" * 64
        empty = {"run": self.new_id(), "request": window, "inputs": digest, "settings": digest, "base": None, "seen": 0}
        made = Attempt(**{**empty, "started": at, "by": {}, **attempt})
        begun = begin_journal(self.root, Journal(model=model, window=window, settings_file=None, attempt=made))
        path = self.folder / self.root.layout.journal(model, window, begun.number)
        self.age(path, days)
        return path

    def note(self, dataset: str, number: int, *, of: str, days: float = 0.0) -> Path:
        return self.file(f"uses/dataset-{dataset}-v{number:06d}", of=of, days=days)

    def file(self, start: str, *, of: str, end: str = "", days: float = 0.0) -> Path:
        """An empty file whose name says who made it: a process that is "alive", "gone" or "elsewhere"."""
        folder, _, prefix = start.rpartition("/")
        name = owned(prefix)
        if of == "gone":
            name = name.replace(f"-{start_of(os.getpid())}-", "-1-")
        if of == "elsewhere":
            parts = name.split("-")
            name = "-".join([*parts[:-4], "0" * 8, *parts[-3:]])
        path = self.folder / folder / (name + end)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self.age(path, days)
        return path

    def orphan(self, place: str, *, days: float) -> Path:
        """A folder of data that nothing names."""
        path = self.folder / place / "data" / self.new_id()
        path.mkdir(parents=True)
        (path / "part-00000").write_bytes(b"x" * 100)
        self.age(path, days)
        return path

    def files(self) -> set[str]:
        """All that is there, without locks."""
        found = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}
        return {path for path in found if path.split("/")[0] != "locks"}


def versions(world: World) -> set[tuple[str, int]]:
    """All that there are, by their folders."""
    folders = [path for kind in ("datasets", "models") for path in (world.folder / kind).glob("*")]
    names = [str(path.relative_to(world.folder)) for path in folders]
    return {(name, number) for name in names for number in list_versions(world.root.store, name)}


def check_all(world: World) -> None:
    """Every version is whole, and what is unfinished has what it reads."""
    for folder, number in versions(world):
        kind, name = folder.split("/")
        if kind == "models":
            load_model(world.root, f"{name}@{number}")
        else:
            dataset = load_dataset(world.root, f"{name}@{number}")
            verify(world.root.store, dataset.partitions)
            for file in dataset.moments.values():
                file.read(world.root.store)


def clean(world: World, rules: RetentionRules = RULES) -> list[str]:
    """Plan, carry out, and see that this was all; returns the paths that went."""
    before, said = world.files(), list[str]()
    planned = plan(world.root, rules, now=world.now)
    assert world.files() == before, "a plan changes nothing"
    assert plan(world.root, rules, now=world.now) == planned
    assert set(carry_out(world.root, planned, said.append)) == set(planned)
    assert said == []
    gone = {path for removal in planned for path in (removal.path, *removal.data)}
    assert {
        path for path in before - world.files() if not any(path == one or path.startswith(f"{one}/") for one in gone)
    } == set()
    assert plan(world.root, rules, now=world.now) == ()
    return [removal.path for removal in planned]
