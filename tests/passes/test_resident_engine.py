"""Resident tasks, as threads of this process: the bits of the in-memory engine, whoever is lost or comes late."""

from __future__ import annotations

import re
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pytest
import resident_tasks
from commands import Commands, write_libsvm
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from resident_cases import N_FEATURES, bits, ended, line_query, make_case
from resident_tasks import Fault, Staying, ThreadSeats, Web, WebStore

from mr_ml import spent
from mr_ml.errors import InternalError
from mr_ml.models.linear.losses import LOSSES, name_in
from mr_ml.passes.mapreduce import encoded_request
from mr_ml.passes.resident import task
from mr_ml.passes.resident.invitation import Invitation
from mr_ml.passes.resident.members import Event, Member
from mr_ml.passes.resident.shares import Shares
from mr_ml.passes.resident.task import Task
from mr_ml.passes.resident.wire import DRIVER, Wire
from mr_ml.session import Session
from mr_ml.sums import slices
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.query import Query
from mr_ml.sums.several import SeveralQueries


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with resident_tasks.web() as server:
        yield server


# how query and sums come to the tasks and back
WAYS = ("to the driver", "from task to task")
COLUMNS = np.array([0, 2, 3], np.int32)
# what a pass asks, and about which columns; softmax knows all labels of the rows
ASKED: dict[str, tuple[Query, Any]] = {
    "moments": (MomentsQuery(N_FEATURES), None),
    "squared": (line_query("squared"), None),
    "softmax": (line_query("softmax"), None),
    "another reading": (line_query("squared", weight_exponent=-3), None),
    "some columns": (MomentsQuery(len(COLUMNS)), COLUMNS),
    "some columns read": (line_query("softmax", len(COLUMNS), weight_exponent=2), COLUMNS),
    "in slices": (line_query("softmax", hessian=False), None),
    "several": (SeveralQueries((MomentsQuery(N_FEATURES), line_query("softmax"))), None),
    "several readings": (
        SeveralQueries((line_query("squared", weight_exponent=1), line_query("softmax", weight_exponent=-1))),
        None,
    ),
}


# many of one block, few of many, none at all between; one has a block
SHAPES = st.lists(st.lists(st.integers(1, 6), max_size=6), min_size=1, max_size=6).filter(any)
FAULTS = st.builds(Fault, st.integers(0, 12), st.sampled_from([0.0, 0.1, 0.5, 0.99]))


@pytest.mark.parametrize("is_wide", [False, True], ids=WAYS)
@examples(30)
@given(data=st.data())
def test_the_same_bits_whoever_is_lost_or_late(web: Web, is_wide: bool, data: st.DataObject) -> None:
    shape = data.draw(SHAPES, "rows of blocks of partitions")
    n_tasks = data.draw(st.sampled_from([1, 2, 6]), "tasks")
    again = data.draw(st.booleans(), "lost tasks come again")
    late = data.draw(st.integers(0, n_tasks - 1), "late tasks")
    # one stays, or comes again
    faults = data.draw(st.lists(FAULTS, max_size=n_tasks - late - (not again)), "faults")
    names = data.draw(st.lists(st.sampled_from(sorted(ASKED)), min_size=1, max_size=4), "passes")
    budget = data.draw(st.sampled_from([0, 600, 1500, 1 << 30]), "memory")
    unit_bytes = data.draw(st.sampled_from([1, 700, 1 << 20]), "bytes of a unit")
    options: dict[str, Any] = {"unit_bytes": unit_bytes}
    if is_wide:
        options["wide_bytes"] = 0
    with tempfile.TemporaryDirectory() as folder, patch.object(slices, "FEATURE_BLOCK", 2 if is_wide else 1 << 18):
        case = make_case(Path(folder), web, shape)
        seats = ThreadSeats(
            Path(folder), n_tasks=n_tasks, memory_bytes=budget, faults=faults, again=again, late=late
        )  # fmt: skip
        with ended(case.engine(seats, **options)) as engine:
            for name in names:
                query, columns = ASKED[name]
                found = engine.run(query, columns=columns)
                assert bits(found) == bits(case.oracle.run(query, columns=columns))
                seats.come.set()
        assert seats.said == []


def test_the_fault_of_a_test_is_one(web: Web, tmp_path: Path) -> None:
    """Else the test above would show nothing."""
    case = make_case(tmp_path, web, [[3, 3], [3, 3]])
    said: list[str] = []
    faults = [Fault(0), Fault(1, 0.5), Fault(4, 0.9)]
    seats = ThreadSeats(tmp_path, n_tasks=4, faults=faults, late=1)
    with ended(case.engine(seats, unit_bytes=1, say=said.append)) as engine:
        seats.come.set()
        assert bits(engine.run(MomentsQuery(N_FEATURES))) == bits(case.oracle.run(MomentsQuery(N_FEATURES)))
    assert seats.said == []


def test_a_late_task_takes_a_share_and_what_the_first_gave_away_it_forgets(web: Web, tmp_path: Path) -> None:
    case = make_case(tmp_path, web, [[3, 3], [3, 3], [3, 3]])
    seats = ThreadSeats(tmp_path, n_tasks=2, late=1)
    query = MomentsQuery(N_FEATURES)
    with ended(case.engine(seats, unit_bytes=1)) as engine:
        engine.run(query)
        assert [len(member.units) for member in engine.application.members] == [6]
        seats.come.set()
        while len(engine.application.members) < 2:
            assert bits(engine.run(query)) == bits(case.oracle.run(query))
        engine.run(query)
        held = [member.units for member in engine.application.members]
        assert sorted(map(len, held)) == [3, 3]
        assert set.union(*held) == set(range(6))


@pytest.mark.parametrize("wide_bytes", [0, 1 << 30], ids=["from task to task", "to the driver"])
def test_a_pass_says_what_it_took(web: Web, tmp_path: Path, wide_bytes: int) -> None:
    """Its parts are within its time; what each task got is the query at least where all get it from the driver."""
    case = make_case(tmp_path, web, [[3, 3], [3, 3]])
    query = line_query("squared")
    with ended(case.engine(ThreadSeats(tmp_path, n_tasks=2), unit_bytes=1, wide_bytes=wide_bytes)) as engine:
        told = []
        for _ in range(2):
            began = time.monotonic()
            with spent.metering() as meter:
                engine.run(query)
            told.append(meter.spent)
            seconds = meter.spent["seconds"]
            assert {"start", "map"} <= seconds.keys() <= {"start", "map", "reduce"}
            assert 0 < sum(seconds.values()) <= time.monotonic() - began + 1e-5
            assert ("reduce" in seconds) == (wide_bytes == 0)
            assert meter.spent["bytes"]["received"] > 0
        # the first pass also told tasks what to read
        assert told[0]["bytes"]["sent"] > told[1]["bytes"]["sent"] > 0
        if wide_bytes:
            size = len(encoded_request(query, case.dataset.tree("train"), case.dataset, "train", columns=None))
            assert told[1]["bytes"]["sent"] > size


# --- answers that are none --------------------------------------------------------------------------------------------


class Lying(Task):
    """A task that answers as `lie` says."""

    lie = ""

    def _sums(self, header: dict[str, Any], payloads: Any) -> Any:
        answer, payloads = super()._sums(header, payloads)
        send = self._wire.send
        if self.lie == "doubled":
            send(answer, *payloads)
        elif self.lie == "late":
            send({**answer, "ask": answer["ask"] - 1}, *payloads)
        elif self.lie == "of no ask":
            send({**answer, "ask": 10**6}, *payloads)
        elif self.lie == "an error of no ask":
            send({"kind": "error", "error": '["InternalError", "old", []]', "elsewhere": False, "ask": 10**6})
        elif self.lie == "loaded what nobody ordered":
            send({"kind": "loaded", "unit": 10**6})
        elif self.lie == "hello twice":
            send({"kind": "hello", "name": "again"})
        elif self.lie == "of a kind that there is not":
            send({"kind": "whatever"})
        elif self.lie == "empty":
            payloads = []
        elif self.lie == "a node too few":
            payloads = payloads[1:]
        elif self.lie == "a node twice":
            payloads = [*payloads, payloads[0]]
        elif self.lie == "damaged":
            payloads = [payloads[0][:-1] + bytes([payloads[0][-1] ^ 1]), *payloads[1:]]
        return answer, payloads


HARMLESS = [
    "doubled", "late", "of no ask", "an error of no ask", "loaded what nobody ordered", "hello twice",
    "of a kind that there is not",
]  # fmt: skip
LIES = {"empty": "not complete", "a node too few": "not complete", "a node twice": "twice", "damaged": "the answer of"}


@pytest.mark.parametrize("lie", [*HARMLESS, *LIES])
def test_an_answer_that_is_none_changes_nothing_or_raises(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    case = make_case(tmp_path, web, [[3, 3, 2], [3, 3]])
    monkeypatch.setattr(Lying, "lie", lie)
    monkeypatch.setattr(task, "Task", Lying)
    query = MomentsQuery(N_FEATURES)
    with ended(case.engine(ThreadSeats(tmp_path, n_tasks=1), unit_bytes=1)) as engine:
        for _ in range(3):
            if lie in HARMLESS:
                assert bits(engine.run(query)) == bits(case.oracle.run(query))
            else:
                with pytest.raises(InternalError if lie != "damaged" else Exception, match=LIES[lie]):
                    engine.run(query)
        assert len(engine.application.members) == 1


def test_a_task_that_was_given_up_is_not_heard_again_and_comes_back_as_another(web: Web, tmp_path: Path) -> None:
    case = make_case(tmp_path, web, [[3], [3]])
    query = MomentsQuery(N_FEATURES)
    with ended(case.engine(ThreadSeats(tmp_path, n_tasks=2), unit_bytes=1)) as engine:
        engine.run(query)
        while len(engine.application.members) < 2:
            engine.run(query)
        gone = engine.application.members[0]
        engine.application._events.put(Event("lost", gone, error=OSError("a network of the test")))
        engine.application._events.put(Event("lost", gone, error=OSError("once more")))
        assert bits(engine.run(query)) == bits(case.oracle.run(query))
        assert gone not in engine.application.members
        # the task itself goes by what it finds, which is that it was hung up on
        while len(engine.application.members) < 2:
            assert bits(engine.run(query)) == bits(case.oracle.run(query))
        engine.run(query)
        assert [len(member.units) for member in engine.application.members] == [1, 1]
        assert gone not in engine.application.members


class Failing(Task):
    """Of all tasks together, the one that is asked first cannot answer, nor can it when it comes again."""

    bad: str
    made: list[Task]

    def __init__(self, wire: Wire, **options: Any) -> None:
        super().__init__(wire, **options)
        self.where = str(options["folder"])
        self.made.append(self)

    def _sums(self, header: dict[str, Any], payloads: Any) -> Any:
        if not self.bad:
            Failing.bad = self.where
        if self.bad == self.where:
            raise OSError("a disk of the test")
        return super()._sums(header, payloads)


def test_a_task_that_cannot_answer_does_not_come_back(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make_case(tmp_path, web, [[3], [3]])
    monkeypatch.setattr(Failing, "bad", "", raising=False)
    monkeypatch.setattr(Failing, "made", [], raising=False)
    monkeypatch.setattr(task, "Task", Failing)
    query = MomentsQuery(N_FEATURES)
    with ended(case.engine(ThreadSeats(tmp_path, n_tasks=2), unit_bytes=1)) as engine:
        for _ in range(5):
            assert bits(engine.run(query)) == bits(case.oracle.run(query))
    assert len(Failing.made) == 2


def test_a_task_that_is_hung_up_on_before_it_answers_tries_a_few_times(tmp_path: Path) -> None:
    secret, n_came = b"s" * 32, 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        invitation = Invitation(addresses=(listener.getsockname(),), secret=secret.hex(), memory_bytes=1)
        thread = threading.Thread(target=task.run, args=(invitation,), kwargs={"environment": {}, "folder": tmp_path})
        thread.start()
        listener.settimeout(0.01)
        while thread.is_alive():
            with suppress(TimeoutError):
                Wire(listener.accept()[0], secret=secret, role=DRIVER, most_bytes=1 << 20).close()
                n_came += 1
        thread.join()
    assert n_came == 3


class Stalling(Task):
    """Of all tasks together, the one that is asked first stalls there until it may go on."""

    stalled: list[Task]
    go: threading.Event
    both: threading.Barrier
    has_read = False

    def _load(self, header: dict[str, Any]) -> Any:
        if not self.has_read:
            self.has_read = True
            self.both.wait(resident_tasks.LONG_SECONDS)
        return super()._load(header)

    def _sums(self, header: dict[str, Any], payloads: Any) -> Any:
        if not self.stalled:
            self.stalled.append(self)
            assert self.go.wait(resident_tasks.LONG_SECONDS)
        return super()._sums(header, payloads)


@pytest.mark.parametrize("wide_bytes", [1 << 60, 0], ids=WAYS)
def test_a_slow_task_is_not_waited_for_and_takes_part_again(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wide_bytes: int
) -> None:
    case = make_case(tmp_path, web, [[3], [3], [3], [3]])
    monkeypatch.setattr(Stalling, "stalled", [], raising=False)
    monkeypatch.setattr(Stalling, "go", threading.Event(), raising=False)
    monkeypatch.setattr(Stalling, "both", threading.Barrier(2), raising=False)
    monkeypatch.setattr(task, "Task", Stalling)
    query = MomentsQuery(N_FEATURES)
    right = bits(case.oracle.run(query))
    seats, options = ThreadSeats(tmp_path, n_tasks=2), {"unit_bytes": 1, "wide_bytes": wide_bytes}
    with ended(case.engine(seats, slow_seconds=0.0, **options)) as engine:
        assert bits(engine.run(query)) == right
        members = engine.application.members
        slow = [member for member in members if member.is_slow]
        assert len(slow) == 1
        assert bits(engine.run(query)) == right
        Stalling.go.set()
        for _ in range(5000):
            assert bits(engine.run(query)) == right
            if slow[0].units:
                break
        assert slow[0].units


def test_where_none_but_slow_tasks_are_left_they_must_do() -> None:
    ordered = []
    shares = Shares(cast(Any, {0: "a unit"}), lambda member, unit: ordered.append((member, unit)))
    slow = Member(cast(Any, None), is_slow=True)
    shares.members = [slow]
    shares.give_out()
    assert ordered == [(slow, 0)]


# --- whole trainings --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    folder = tmp_path_factory.mktemp("trainings")
    commands = Commands(folder / "root", runner=("-r", "inline"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 4)) * (rng.random((240, 4)) < 0.8)
    margin = x @ [1.0, -2.0, 0.5, 0.0] + rng.logistic(size=240) / 2
    labels = {
        "two": margin > 0, "three": np.digitize(margin, [-1, 1]), "numbers": margin,
        "counts": rng.poisson(np.exp(margin / 2)), "amounts": np.exp(margin / 2),
    }  # fmt: skip
    for name, y in labels.items():
        text = write_libsvm(folder / name, x, np.asarray(y, float))
        commands("pack", text, "--to", name, "--partitions", "5")
    return commands


# On which of these labels each is trained.
TRAINED = {
    "logistic": "two", "probit": "two", "cloglog": "two", "squared_hinge": "two", "softmax": "three",
    "squared": "numbers", "huber:delta=1": "numbers", "quantile:level=0.3,width=0.5": "numbers", "poisson": "counts",
    "tweedie:power=1.5": "counts", "negative_binomial:theta=2": "counts", "gamma": "amounts",
    "gamma:link=inverse": "amounts", "inverse_gaussian": "amounts",
}  # fmt: skip


def test_every_built_in_loss_is_trained() -> None:
    assert {name_in(loss) for loss in TRAINED} == set(LOSSES.built_in)


@pytest.mark.parametrize("solver", ["proximal-newton", "proximal-lbfgs"])
def test_so_does_one_with_penalties_that_are_not_smooth(
    web: Web, trained: Commands, tmp_path: Path, solver: str
) -> None:
    rules = {"1": {"factor": 0.0}, "2": {"lower": -0.1, "upper": 0.1}, "3": {"prior_mean": 1.0, "prior_precision": 0.1}}
    options = {"loss": "softmax", "solver": solver, "l1": 0.02, "l2": 0.01, "max_passes": 6, "per_feature": rules}
    with Session.open(trained.root, runner="inline") as session:
        session.train(session.spec("linear", "three", f"{solver}-one", "train", options))
    seats = ThreadSeats(tmp_path, n_tasks=3, faults=[Fault(4, 0.5)], late=1)
    seats.come.set()
    with Session.open(trained.root, runner="inline", engine="resident") as session:
        store = WebStore(session.root.store.root, web)
        with replace(session, runner=Staying(session.runner, seats), root=replace(session.root, store=store)) as here:
            here.train(here.spec("linear", "three", f"{solver}-other", "train", options))
    assert seats.n_started == 1
    assert trained.coef(f"{solver}-one").sha256 == trained.coef(f"{solver}-other").sha256


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("loss", TRAINED)
@pytest.mark.parametrize("is_wide", [False, True], ids=WAYS)
def test_a_training_comes_to_the_bits_of_inline(
    web: Web, trained: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_wide: bool, loss: str, solver: str
) -> None:
    if is_wide:
        monkeypatch.setattr(slices, "FEATURE_BLOCK", 2)
        monkeypatch.setattr("mr_ml.passes.resident.engine.WIDE_BYTES", 0)
    one = re.sub(r"[^a-z0-9]+", "-", f"{loss}-{solver}-{'wide' if is_wide else 'plain'}")
    other = f"{one}-resident"
    options = {"loss": loss, "solver": solver, "l2": 0.01, "max_passes": 6}
    words = ["--loss", loss, "--solver", solver, "--l2", "0.01", "--max-passes", "6"]
    trained("train", TRAINED[loss], "--model", one, *words)
    seats = ThreadSeats(tmp_path, n_tasks=3, faults=[Fault(4, 0.5)], late=1)
    seats.come.set()
    with Session.open(trained.root, runner="inline", engine="resident") as session:
        store = WebStore(session.root.store.root, web)
        with replace(session, runner=Staying(session.runner, seats), root=replace(session.root, store=store)) as here:
            here.train(here.spec("linear", TRAINED[loss], other, "train", options))
    assert seats.n_started == 1
    assert seats.said == []
    assert trained.coef(one).sha256 == trained.coef(other).sha256
