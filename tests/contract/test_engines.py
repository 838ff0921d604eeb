"""What every engine does: the bits of one job a pass, and its words where the data is not what was packed.

A new engine joins by its entry in `mr_ml.passes.engines.ENGINES`.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import resident_tasks
from commands import Commands, write_libsvm
from resident_tasks import Fault, Staying, ThreadSeats, Web, WebStore

from hdfs_layout import open_root
from mr_ml.catalog.dataset import load_dataset
from mr_ml.data import over_http
from mr_ml.data.folds import FoldRows, Folds
from mr_ml.errors import BadDataError, InternalError, UnavailableError
from mr_ml.models.linear.inference_query import InferenceQuery
from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.losses import loss_from_text
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.needs import Needs
from mr_ml.passes.base import Engine
from mr_ml.passes.engines import ENGINES, Kept, PassesWanted
from mr_ml.passes.mapreduce import MapReduceEngine
from mr_ml.passes.resident import automatic, gathering, peers, task
from mr_ml.passes.resident import engine as engine_module
from mr_ml.passes.resident.application import NoTasksError
from mr_ml.runners.base import RUNNERS, RunnerOptions
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.query import Query
from mr_ml.sums.several import SeveralQueries
from mr_ml.sums.tree import Node

N_FEATURES = 4
QUERY = MomentsQuery(N_FEATURES)
INFERENCE = InferenceQuery(
    RowSpec(loss=loss_from_text("logistic"), n_features=N_FEATURES, classes=(0.0, 1.0)),
    np.linspace(-1, 1, N_FEATURES + 1)[None],
)
# models without a fold each and measured by it, folds by content and by partition; all in one pass
FOLDED = SeveralQueries(
    tuple(
        query
        for folds in (Folds(3, seed=4), Folds(2, firsts=(0, 2)))
        for k in range(folds.n_folds)
        for query in (
            LineQuery(
                replace(INFERENCE.rows, counted=FoldRows(folds, k, inside=False)), INFERENCE.coef, hessian=k == 1
            ),
            MetricsQuery(replace(INFERENCE.rows, counted=FoldRows(folds, k, inside=True)), INFERENCE.coef),
        )
    )
)
COLUMNS = np.array([0, 3], np.int32)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with resident_tasks.web() as server:
        yield server


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    rng = np.random.default_rng(0)
    text = write_libsvm(folder / "rows", rng.normal(size=(90, N_FEATURES)), rng.integers(0, 2, 90))
    Commands(folder / "root", runner=("-r", "inline"))("pack", text, "--to", "rows", "--partitions", "3")
    return folder / "root"


@pytest.fixture
def wanted(packed: Path, web: Web, tmp_path: Path) -> Iterator[PassesWanted]:
    shutil.copytree(packed, tmp_path / "root")
    root = open_root(str(tmp_path / "root"))
    runner = RUNNERS.get("inline").open(root, RunnerOptions())
    said: list[str] = []
    kept = Kept()
    yield PassesWanted(
        dataset=load_dataset(root, "rows"), split="train", store=WebStore(root.store.root, web),
        runner=Staying(runner, ThreadSeats(tmp_path / "seats")),
        cache_bytes=0, needs=Needs(block_sum_bytes=100, sum_bytes=100, n_blocks=3), kept=kept, say=said.append,
    )  # fmt: skip
    kept.close()


def seats_of(wanted: PassesWanted) -> ThreadSeats:
    assert isinstance(wanted.runner, Staying)
    assert wanted.runner.seats is not None
    return wanted.runner.seats


def said_of(wanted: PassesWanted) -> list[str]:
    found: list[str] = wanted.say.__self__  # type: ignore[attr-defined]
    return found


def one_job_a_pass(wanted: PassesWanted) -> MapReduceEngine:
    return MapReduceEngine(wanted.dataset, wanted.split, wanted.store, wanted.runner, 0)


def bits(engine: Engine, query: Query = QUERY, columns: Any = None) -> bytes:
    return engine.run(query, columns=columns).encode(Node(0, 0))


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_every_engine_finds_the_same_bits(wanted: PassesWanted, name: str) -> None:
    expected = one_job_a_pass(wanted)
    with closing(ENGINES.get(name)(wanted)) as engine:
        queries: tuple[Query, ...] = (QUERY, MomentsQuery(2), INFERENCE, FOLDED, replace(INFERENCE, factor=True), QUERY)
        for query, columns in zip(queries, (None, COLUMNS, None, None, None, None), strict=True):
            assert bits(engine, query, columns) == bits(expected, query, columns)
        engine.close()


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_an_engine_that_was_never_used_closes(wanted: PassesWanted, name: str) -> None:
    engine = ENGINES.get(name)(wanted)
    engine.close()
    engine.close()
    assert seats_of(wanted).n_started == 0


def damage(file: Path, kind: str) -> None:
    data = bytearray(file.read_bytes())
    if kind == "missing":
        file.unlink()
        return
    if kind == "truncated":
        del data[-10:]
    elif kind == "bit":
        data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("kind", ["missing", "truncated", "bit"])
@pytest.mark.parametrize("name", sorted(ENGINES))
def test_damaged_data_is_called_the_same_and_restored_it_is_read(wanted: PassesWanted, name: str, kind: str) -> None:
    file = Path(wanted.store.root, wanted.dataset.of_split("train")[1].path)
    right, whole = bits(one_job_a_pass(wanted)), file.read_bytes()
    damage(file, kind)
    with pytest.raises(BadDataError) as expected:
        one_job_a_pass(wanted).run(QUERY)
    with closing(ENGINES.get(name)(wanted)) as engine:
        with pytest.raises(BadDataError) as found:
            engine.run(QUERY)
        assert str(found.value) == str(expected.value)
        assert str(file) in str(found.value)
        file.write_bytes(whole)
        assert bits(engine) == right


def test_a_file_that_goes_while_tasks_start_is_called_the_same(wanted: PassesWanted) -> None:
    file = Path(wanted.store.root, wanted.dataset.of_split("train")[1].path)
    seats = seats_of(wanted)
    serve = seats.serve

    def late(*args: Any, **options: Any) -> None:
        file.unlink(missing_ok=True)
        serve(*args, **options)

    seats.serve = late
    with closing(ENGINES.get("resident")(wanted)) as engine, pytest.raises(BadDataError) as found:
        engine.run(QUERY)
    with pytest.raises(BadDataError) as expected:
        one_job_a_pass(wanted).run(QUERY)
    assert str(found.value) == str(expected.value)


# --- auto, and what it falls back from --------------------------------------------------------------------------------


def nobody(*args: Any, **options: Any) -> None:
    """A task that reaches nobody."""


def unreadable(*args: Any, **options: Any) -> bytearray:
    """Read from a node that reaches no storage."""
    raise UnavailableError("no storage")


FALLS_BACK = {
    "no addresses": "no address at which",
    "nobody connects": "none of 2 tasks reached this process",
    "no room": "no task has come",
    "all vanish": "has ended before the last pass",
    "nobody reads": "tasks cannot read by themselves",
    "the job fails": "answer passes has ended: a node is off",
}


@pytest.mark.parametrize("why", FALLS_BACK)
@pytest.mark.parametrize("name", ["auto", "resident"])
def test_without_tasks_auto_goes_on_and_resident_says_why(
    wanted: PassesWanted, name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seats = seats_of(wanted)
    if why == "no addresses":
        wanted = replace(wanted, store=WebStore(wanted.store.root))
    elif why == "nobody connects":
        seats.serve = nobody
    elif why == "nobody reads":
        monkeypatch.setattr(task, "read", unreadable)
    elif why == "no room":
        seats.late, seats.patience_seconds = 2, 0.0
    else:
        seats.faults = [Fault(2, 0.5)] * 2
        seats.error = InternalError("a node is off") if why == "the job fails" else None
    right = bits(one_job_a_pass(wanted))
    with closing(ENGINES.get(name)(wanted)) as engine:
        for _ in range(3):
            if name == "auto":
                assert bits(engine) == right
            else:
                with pytest.raises(NoTasksError, match=FALLS_BACK[why]) as found:
                    engine.run(QUERY)
                assert found.value.exit_code == UnavailableError.exit_code == 69
    lines = [line for line in said_of(wanted) if line.startswith("each pass is a job of its own")]
    assert len(lines) == (name == "auto")
    assert all(FALLS_BACK[why] in line for line in lines)


@pytest.mark.parametrize("name", ["auto", "resident"])
def test_a_job_that_fails_before_a_task_has_come_is_not_tried_otherwise(wanted: PassesWanted, name: str) -> None:
    """Such as where nodes have no numpy, or the cluster does not answer: others would fail like it."""
    seats = seats_of(wanted)
    seats.serve, seats.error = nobody, InternalError("no numpy")
    with closing(ENGINES.get(name)(wanted)) as engine:
        for _ in range(2):
            with pytest.raises(InternalError, match="no numpy"):
                engine.run(QUERY)
    assert said_of(wanted) == []


def test_auto_takes_jobs_where_sums_are_large(wanted: PassesWanted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automatic, "MOST_BYTES", 99)
    with closing(ENGINES.get("auto")(wanted)) as engine:
        assert bits(engine) == bits(one_job_a_pass(wanted))
    assert seats_of(wanted).n_started == 0
    assert len(said_of(wanted)) == 1


def test_auto_takes_jobs_where_tasks_do_not_reach_each_other_and_sums_are_large(
    wanted: PassesWanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: peers.Calls, peer: peers.Peer) -> None:
        raise ConnectionRefusedError("a firewall of the test")

    monkeypatch.setattr(peers.Calls, "_connected", refused)
    monkeypatch.setattr(gathering, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(engine_module, "WIDE_BYTES", 0)
    monkeypatch.setattr(automatic, "MOST_THROUGH_DRIVER_BYTES", 0)
    right = bits(one_job_a_pass(wanted))
    with closing(ENGINES.get("auto")(wanted)) as engine:
        while not said_of(wanted):
            # one task alone needs no other
            assert bits(engine) == right
        assert bits(engine) == right
    (said,) = said_of(wanted)
    assert said.startswith("each pass is a job of its own from here on: tasks that stay do not reach each other: task ")
    assert "a firewall of the test" in said


def test_auto_takes_jobs_where_tasks_do_not_stay(wanted: PassesWanted) -> None:
    assert isinstance(wanted.runner, Staying)
    without = replace(wanted, runner=replace(wanted.runner, seats=None))
    with closing(ENGINES.get("auto")(without)) as engine:
        assert bits(engine) == bits(one_job_a_pass(without))
    assert said_of(wanted) == []


def test_resident_is_refused_where_tasks_do_not_stay(packed: Path) -> None:
    found = Commands(packed, runner=("-r", "inline")).run("train", "rows", "--model", "m", "--engine", "resident")
    assert found.code == 2
    assert "inline do not stay" in found.err


def test_a_unit_that_one_task_cannot_read_is_read_by_another(
    wanted: PassesWanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, lock = over_http.read, threading.Lock()
    both, mine, off = threading.Barrier(2), threading.local(), list[int]()

    def failing(addresses: Any, n_bytes: int, *, where: str) -> bytearray:
        """When both tasks are there, one of them reads nothing."""
        if not hasattr(mine, "came"):
            mine.came = True
            both.wait(resident_tasks.LONG_SECONDS)
        with lock:
            off[:] = off[:1] or [threading.get_ident()]
        if off == [threading.get_ident()]:
            raise UnavailableError("a node that is off")
        return read(addresses, n_bytes, where=where)

    monkeypatch.setattr(task, "read", failing)
    with closing(ENGINES.get("resident")(wanted)) as engine:
        assert bits(engine) == bits(one_job_a_pass(wanted))
    assert len(off) == 1
