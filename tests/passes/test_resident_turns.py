"""Engines of a session take turns on one application: what its tasks hold is read once, and a lost one is replaced."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import resident_tasks
from commands import Commands, write_libsvm
from daily import Daily, day
from resident_tasks import Staying, ThreadSeats, Web, WebStore

from hdfs_layout import Root, open_root
from mr_ml.catalog.dataset import load_dataset
from mr_ml.errors import BadDataError
from mr_ml.models.needs import Needs
from mr_ml.passes.base import Engine
from mr_ml.passes.mapreduce import MapReduceEngine
from mr_ml.passes.resident import engine as engine_module
from mr_ml.passes.resident import members, task
from mr_ml.passes.resident.turns import Turns
from mr_ml.retraining.config import load_config
from mr_ml.retraining.driver import retrain
from mr_ml.runners.base import RUNNERS, RunnerOptions
from mr_ml.session import Session
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.tree import Node

N_FEATURES = 4
QUERY = MomentsQuery(N_FEATURES)


@pytest.fixture
def web() -> Iterator[Web]:
    with resident_tasks.web() as server:
        yield server


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    commands = Commands(folder / "root", runner=("-r", "inline"))
    rng = np.random.default_rng(0)
    for name, n in (("rows", 400), ("others", 500)):
        x = rng.normal(size=(n, N_FEATURES))
        text = write_libsvm(folder / name, x, (x[:, 0] + rng.logistic(size=n) > 0).astype(float))
        commands("pack", text, "--to", name, "--partitions", "5", "--split", "train=0.6,test=0.4")
    return folder / "root"


@dataclass
class Opened:
    """A session whose tasks are threads, and what they read."""

    session: Session
    seats: ThreadSeats
    web: Web
    said: list[str]

    def engine(self, dataset: str, split: str, *, sum_bytes: int = 100) -> Engine:
        needs = Needs(block_sum_bytes=100, sum_bytes=sum_bytes, n_blocks=3)
        return self.session.engine_over(load_dataset(self.session.root, dataset), split, needs)

    def found(self, dataset: str, split: str, **options: Any) -> None:
        """Run a pass by an engine of its own, and hold it against one job's."""
        with closing(self.engine(dataset, split, **options)) as engine:
            self.right(engine, dataset, split)

    def right(self, engine: Engine, dataset: str, split: str) -> None:
        by_job = MapReduceEngine(
            load_dataset(self.session.root, dataset), split, self.session.root.store, self.session.runner, 0
        )
        assert engine.run(QUERY).encode(Node(0, 0)) == by_job.run(QUERY).encode(Node(0, 0))

    @property
    def turns(self) -> Turns:
        return self.session._kept.of(Turns)

    @property
    def n_read(self) -> int:
        return len(self.web.seen)


@pytest.fixture(params=["resident"])
def opened(packed: Path, web: Web, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    said: list[str] = []
    root = open_root(str(packed))
    runner = RUNNERS.get("inline").open(root, RunnerOptions())
    seats = ThreadSeats(tmp_path / "seats")
    session = Session(
        root=replace(root, store=WebStore(root.store.root, web)), runner=Staying(runner, seats), engine=request.param,
        say=said.append,
    )  # fmt: skip
    with session:
        yield Opened(session, seats, web, said)
    assert seats.said == []


@pytest.mark.parametrize("is_wide", [False, True])
def test_what_tasks_hold_is_read_once(opened: Opened, monkeypatch: pytest.MonkeyPatch, is_wide: bool) -> None:
    """By engines one after the other, by two in turn, and by one whose turn was over."""
    # a second task that comes late would take a share, and read it
    opened.seats.n_tasks = 1
    monkeypatch.setattr(engine_module.ResidentEngine, "_is_wide", lambda *about: is_wide)
    opened.found("rows", "train")
    opened.found("rows", "test")
    opened.found("rows", "train")
    with closing(opened.engine("rows", "train")) as one, closing(opened.engine("rows", "test")) as other:
        for _ in range(2):
            opened.right(one, "rows", "train")
            opened.right(other, "rows", "test")
        one.close()
        opened.right(one, "rows", "train")
    assert opened.seats.n_started == 1
    assert opened.n_read == len(set(opened.web.seen)) == 5


def test_another_dataset_or_larger_sums_take_the_place(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[task.Task] = []

    class Noted(task.Task):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made.append(self)

    def held() -> int:
        return sum(len(one._kept) for one in made)

    monkeypatch.setattr(task, "Task", Noted)
    opened.found("rows", "train")
    opened.found("rows", "test")
    first, n_read = held(), opened.n_read
    opened.found("others", "train")
    blocks = sum(one.facts.blocks for one in load_dataset(opened.session.root, "others").of_split("train"))
    assert held() == blocks
    opened.found("rows", "train", sum_bytes=64 << 20)
    opened.found("rows", "test")
    assert held() == first
    assert opened.n_read == 2 * n_read + len(load_dataset(opened.session.root, "others").of_split("train"))
    opened.found("rows", "test", sum_bytes=128 << 20)
    assert held() < first
    assert opened.seats.n_started == 1


@pytest.mark.parametrize("why", ["ended by themselves", "are about to end", "are too few"])
def test_where_tasks_do_not_do_there_is_another_application(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "ended by themselves":
        monkeypatch.setattr(members, "_BEAT_SECONDS", 0.05)
        opened.seats.idle_seconds = 0.5
    if why == "are too few":
        monkeypatch.setattr(engine_module, "_TASK_BYTES", 1)
        opened.seats.n_tasks = None
    opened.found("rows", "test")
    application = opened.turns.application
    assert application is not None
    if why == "ended by themselves":
        assert isinstance(application.staying, resident_tasks.ThreadTasks)
        for thread in application.staying.threads:
            thread.join(resident_tasks.LONG_SECONDS)
            assert not thread.is_alive()
        opened.seats.idle_seconds = 60.0
    if why == "are about to end":
        opened.seats.idle_seconds = 100.0
        application._unused_since -= 90.0
    opened.found("rows", "train")
    assert opened.seats.n_started == 2
    assert opened.turns.application is not application
    opened.found("rows", "test")
    assert opened.seats.n_started == 2
    assert opened.seats.serves == ["job 1", "job 2", "job 2"]


def test_what_was_on_the_way_when_a_pass_raised_is_for_nobody(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that a task goes on to read, or cannot read, when the next turn has begun."""
    of_test = {one.facts.partition for one in load_dataset(opened.session.root, "rows").of_split("test")}
    go, both, came, calls = threading.Event(), threading.Barrier(2), set[task.Task](), itertools.count()
    load = task.Task._load

    def stalling(self: task.Task, header: dict[str, Any]) -> Any:
        if self not in came:
            came.add(self)
            both.wait(resident_tasks.LONG_SECONDS)
        if header["partition"] in of_test:
            go.set()
        number = next(calls)
        if number == 0:
            raise BadDataError("a file that is damaged")
        if number == 1:
            assert go.wait(resident_tasks.LONG_SECONDS)
            raise BadDataError("another one")
        return load(self, header)

    monkeypatch.setattr(task.Task, "_load", stalling)
    with closing(opened.engine("rows", "train")) as engine, pytest.raises(BadDataError, match="that is damaged"):
        engine.run(QUERY)
    opened.found("rows", "test")
    opened.found("rows", "train")
    assert opened.seats.n_started == 1


@pytest.mark.parametrize("opened", ["auto"], indirect=True)
def test_auto_waits_once_for_tasks_that_never_come(opened: Opened) -> None:
    opened.seats.late, opened.seats.patience_seconds = 2, 0.0
    for split in ("train", "test", "train"):
        opened.found("rows", split)
    assert opened.seats.n_started == 1
    assert opened.turns.application is None
    waited, *later = opened.said
    assert "no task has come" in waited
    assert len(later) == 2
    assert all("no task that stays came earlier" in line for line in later)


# --- sessions and nights ----------------------------------------------------------------------------------------------


def test_one_application_trains_and_measures_until_room_is_needed(opened: Opened, tmp_path: Path) -> None:
    session, seats = opened.session, opened.seats
    # as above
    seats.n_tasks = 1
    for model in ("one", "two"):
        session.train(session.spec("linear", "rows", model, "train", {"loss": "logistic", "l2": 0.01, "max_passes": 3}))
    for model in ("one", "two", "one"):
        session.evaluate(model, "rows")
    assert seats.n_started == 1
    assert opened.n_read == len(set(opened.web.seen)) == 5
    (tmp_path / "new.libsvm").write_text("1 1:0.5\n")
    session.predict("one", [str(tmp_path / "new.libsvm")], str(tmp_path / "out"))
    assert opened.turns.application is None
    session.evaluate("one", "rows")
    assert seats.n_started == 2


def test_a_night_is_one_application(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the training, both models on the test rows, and the ranges of the training rows; with the bits of jobs."""
    by_jobs, here = Daily(tmp_path / "jobs"), Daily(tmp_path / "here")
    for daily in (by_jobs, here):
        daily.folder.mkdir()
        daily.configure()
        daily.add(0, 5)
        daily.published(4)
    by_jobs.published(5)
    here.configure(here.settings.read_text().replace("{name: inline}", "{name: inline, engine: resident}"))
    seats = ThreadSeats(tmp_path / "seats")
    inline = RUNNERS.get("inline")
    staying = replace(inline, open=lambda root, options: Staying(inline.open(root, options), seats))
    monkeypatch.setattr("mr_ml.session.RUNNERS", {"inline": staying})
    root = open_root(str(here.root))
    config = load_config(here.settings)
    result = retrain(config, Root(WebStore(root.store.root, web), root.layout), last=day(5))
    assert (result.outcome, result.candidate) == ("published", "ctr@2")
    assert seats.n_started == 1
    assert seats.said == []
    assert len(set(seats.serves)) == 1
    assert len(web.seen) == len(set(web.seen))
    assert here.coefficients("ctr@2") == by_jobs.coefficients("ctr@2")
