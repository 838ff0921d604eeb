"""Wide passes: tasks exchange the query and join the sums among themselves, and whatever happens no bit changes."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import resident_tasks
from resident_cases import Case, bits, ended, line_query, make_case
from resident_tasks import ThreadSeats, Web

from mr_ml.errors import BadDataError, InternalError, UnavailableError
from mr_ml.passes.resident import peers
from mr_ml.passes.resident.application import NoTasksError
from mr_ml.passes.resident.engine import ResidentEngine
from mr_ml.passes.resident.holding import Holding
from mr_ml.passes.resident.invitation import MOST_BYTES
from mr_ml.passes.resident.members import Event, Member, Reception
from mr_ml.passes.resident.peers import Calls, Counter, Peer, UnreachedError
from mr_ml.passes.resident.task import Task
from mr_ml.passes.resident.wire import CALLER, TASK, Message, Payload, RefusedError, Wire
from mr_ml.sums import slices

SHAPE = [[3, 2], [3], [2, 2, 2], [3]]
# six columns in three slices
QUERY = line_query("softmax", hessian=False)
N_PIECES = 3


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with resident_tasks.web() as server:
        yield server


@pytest.fixture(autouse=True)
def narrow_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "FEATURE_BLOCK", 2)


@pytest.fixture
def case(web: Web, tmp_path: Path) -> Case:
    return make_case(tmp_path, web, SHAPE)


def settled(engine: ResidentEngine, case: Case, n_tasks: int) -> None:
    """Run passes until all tasks listen for each other, and hold the units that they will."""
    right, members, held, before = bits(case.oracle.run(QUERY)), list[Member](), list[set[int]](), None
    while len(members) < n_tasks or any(one.peer is None or one.ordered for one in members) or held != before:
        assert bits(engine.run(QUERY)) == right
        members, before = engine.application.members, held
        held = [set(member.units) for member in members]
    assert all(held)


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What passes through the driver: kinds of messages and bytes of their payloads."""
    seen: list[tuple[str, int]] = []
    tell, handle = Member.tell, ResidentEngine._handle

    def told(self: Member, header: dict[str, Any], *payloads: Any) -> None:
        seen.append((header["kind"], sum(len(getattr(one, "data", one)) for one in payloads)))
        tell(self, header, *payloads)

    def handled(self: ResidentEngine, event: Event, now: Any) -> None:
        if event.message is not None:
            seen.append((event.kind, sum(map(len, event.message.payloads))))
        handle(self, event, now)

    monkeypatch.setattr(Member, "tell", told)
    monkeypatch.setattr(ResidentEngine, "_handle", handled)
    return seen


def test_query_and_sums_pass_through_the_driver_once(
    case: Case, tmp_path: Path, passing: list[tuple[str, int]]
) -> None:
    right = case.oracle.run(QUERY)
    with ended(case.engine(ThreadSeats(tmp_path, n_tasks=3), unit_bytes=1, wide_bytes=0)) as engine:
        settled(engine, case, 3)
        passing.clear()
        now = engine.run(QUERY)
        assert bits(now) == bits(right)
        asked = [n for kind, n in passing if kind == "ask"]
        assert len(asked) == 3
        assert max(asked) - min(asked) <= 1
        query_bytes = sum(asked)
        passing.clear()
        engine.wide_bytes = 1 << 60
        engine.run(QUERY)
        assert [n for kind, n in passing if kind == "ask"] == 3 * [query_bytes]
        engine.wide_bytes = 0
        passing.clear()
        engine.run(QUERY)
    assert sorted(kind for kind, n in passing if n) == 3 * ["ask"] + N_PIECES * ["piece"]


@pytest.mark.parametrize("n_tasks", [1, 2, 4])
def test_one_that_is_lost_while_pieces_are_joined_leaves_its_units_and_pieces_to_the_others(
    case: Case, tmp_path: Path, n_tasks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes after its first piece, or before."""
    gone: list[Task] = []
    armed = threading.Event()

    def dying(self: Task, header: dict[str, Any]) -> Any:
        if armed.is_set() and not gone:
            gone.append(self)
            for piece, nodes in self._holding.joined(header):
                payloads = [value.encode(node) for node, value in nodes]
                self._wire.send({"kind": "piece", "piece": piece, "round": header["round"]}, *payloads)
                break
            self.close()
            raise EOFError("a fault of the test")
        return join(self, header)

    join = Task._join
    monkeypatch.setattr(Task, "_join", dying)
    right = bits(case.oracle.run(QUERY))
    said: list[str] = []
    seats = ThreadSeats(tmp_path, n_tasks=n_tasks + 1)
    with ended(case.engine(seats, unit_bytes=1, wide_bytes=0, say=said.append)) as engine:
        settled(engine, case, n_tasks + 1)
        armed.set()
        # where the first piece was its only one, the pass may end before it is missed
        for _ in range(2):
            assert bits(engine.run(QUERY)) == right
        # it was hung up on, and comes again
        assert engine.application.n_came >= n_tasks + 1
        assert engine.application.peers_reach
    assert len(gone) == len(said) == 1
    assert seats.said == []


# --- tasks that do not reach each other -------------------------------------------------------------------------------


def refused(self: Calls, peer: Peer) -> Wire:
    raise ConnectionRefusedError("a firewall of the test")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mr_ml.passes.resident.gathering._PAUSE_SECONDS", 0.0)


@pytest.mark.usefixtures("hasty")
def test_tasks_that_do_not_reach_each_other_send_their_sums_to_the_driver_in_pieces(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passing: list[tuple[str, int]]
) -> None:
    said: list[str] = []
    right = bits(case.oracle.run(QUERY))
    with ended(
        case.engine(ThreadSeats(tmp_path, n_tasks=2), unit_bytes=1, wide_bytes=0, say=said.append)
    ) as engine:  # fmt: skip
        settled(engine, case, 2)
        monkeypatch.setattr(Calls, "_connected", refused)
        assert bits(engine.run(QUERY)) == right
        assert len(said) == 1
        assert "do not reach each other: task " in said[0]
        assert "a firewall of the test" in said[0]
        passing.clear()
        assert bits(engine.run(QUERY)) == right
        assert bits(engine.run(QUERY)) == right
    assert len(said) == 1
    assert {kind for kind, n in passing if n} == {"ask", "given"}
    assert not {"join", "piece"} & {kind for kind, _ in passing}


@pytest.mark.usefixtures("hasty")
def test_a_task_that_can_listen_nowhere_sends_its_sums_to_the_driver(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(self: Holding, **given: Any) -> Peer:
        raise OSError("no port of the test")

    monkeypatch.setattr(Holding, "open", nowhere)
    said: list[str] = []
    engine = case.engine(ThreadSeats(tmp_path, n_tasks=2), unit_bytes=1, wide_bytes=0, say=said.append)
    with ended(engine):
        for _ in range(3):
            assert bits(engine.run(QUERY)) == bits(case.oracle.run(QUERY))
    assert len(said) == 1


@pytest.mark.usefixtures("hasty")
def test_where_that_is_too_much_for_the_driver_another_engine_may_run_the_pass(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = case.engine(ThreadSeats(tmp_path, n_tasks=2), unit_bytes=1, wide_bytes=0, most_bytes=100)
    with ended(engine):
        settled(engine, case, 2)
        monkeypatch.setattr(Calls, "_connected", refused)
        for _ in range(2):
            with pytest.raises(NoTasksError, match=r"do not reach each other.*too much for this process"):
                engine.run(QUERY)


@pytest.mark.usefixtures("hasty")
def test_where_even_the_driver_gets_no_sums_it_says_so(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Holding, *asked: Any) -> Any:
        raise OSError("no room of the test")

    said: list[str] = []
    engine = case.engine(ThreadSeats(tmp_path, n_tasks=1), unit_bytes=1, wide_bytes=0, say=said.append)
    with ended(engine):
        monkeypatch.setattr(Holding, "nodes", full)
        with pytest.raises(UnavailableError, match="no room of the test"):
            engine.run(QUERY)
    assert len(said) == 1


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("kind", ["part", "piece"])
def test_a_peer_that_hangs_is_not_waited_for(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """While it says to the driver that it lives."""
    go, find = threading.Event(), Holding._find

    def hanging(self: Holding, message: Message) -> Any:
        if message.kind == kind:
            assert go.wait(resident_tasks.LONG_SECONDS)
        return find(self, message)

    engine = case.engine(ThreadSeats(tmp_path, n_tasks=2), unit_bytes=1, wide_bytes=0)
    with ended(engine):
        settled(engine, case, 2)
        monkeypatch.setattr(peers, "ANSWER_SECONDS", 0.05)
        monkeypatch.setattr(Holding, "_find", hanging)
        try:
            assert bits(engine.run(QUERY)) == bits(case.oracle.run(QUERY))
        finally:
            go.set()


@pytest.mark.usefixtures("hasty")
def test_a_task_that_is_lost_while_sums_go_to_the_driver_leaves_them_to_the_others(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[Task] = []
    done = Task._done

    def dying(self: Task, message: Message) -> Any:
        if message.kind == "give" and message.header["piece"] == 1 and not gone:
            gone.append(self)
            self.close()
        return done(self, message)

    engine = case.engine(ThreadSeats(tmp_path, n_tasks=3), unit_bytes=1, wide_bytes=0)
    with ended(engine):
        settled(engine, case, 3)
        engine.application.peers_reach = False
        monkeypatch.setattr(Task, "_done", dying)
        assert bits(engine.run(QUERY)) == bits(case.oracle.run(QUERY))
    assert len(gone) == 1


def test_a_peer_that_has_no_part_of_the_query_leaves_the_others_to_the_driver(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(self: Holding, number: int) -> Payload:
        raise LookupError("none of the test")

    engine = case.engine(ThreadSeats(tmp_path, n_tasks=2), unit_bytes=1, wide_bytes=0)
    with ended(engine):
        settled(engine, case, 2)
        monkeypatch.setattr(Holding, "_part", none)
        assert bits(engine.run(QUERY)) == bits(case.oracle.run(QUERY))
        assert engine.application.peers_reach


def test_one_that_is_slow_to_join_is_not_waited_for_and_takes_part_again(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, stalled = threading.Event(), list[Task]()
    join, right = Task._join, bits(case.oracle.run(QUERY))

    def stalling(self: Task, header: dict[str, Any]) -> Any:
        if not stalled:
            stalled.append(self)
            assert go.wait(resident_tasks.LONG_SECONDS)
        return join(self, header)

    engine = case.engine(ThreadSeats(tmp_path, n_tasks=2), unit_bytes=1, wide_bytes=0)
    with ended(engine):
        settled(engine, case, 2)
        engine.slow_seconds = 0.0
        monkeypatch.setattr(Task, "_join", stalling)
        for _ in range(2):
            assert bits(engine.run(QUERY)) == right
        (slow,) = [member for member in engine.application.members if member.is_slow]
        assert not slow.units
        go.set()
        for _ in range(5000):
            assert bits(engine.run(QUERY)) == right
            if slow.units:
                break
        assert slow.units


# --- what is none -----------------------------------------------------------------------------------------------------


def lie(kind: str, nodes: list[Any]) -> list[Any]:
    return {"a node too few": nodes[1:], "a node twice": [*nodes, *nodes]}[kind]


@pytest.mark.parametrize(("kind", "expected"), [("a node too few", "not complete"), ("a node twice", "twice")])
def test_sums_that_are_not_whole_are_none(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, expected: str
) -> None:
    nodes, wrong = Holding.nodes, threading.Event()

    def lying(self: Holding, number: int, asks: Any, piece: int) -> Iterator[Any]:
        found = list(nodes(self, number, asks, piece))
        return iter(lie(kind, found) if wrong.is_set() and piece == 1 else found)

    monkeypatch.setattr(Holding, "nodes", lying)
    engine = case.engine(ThreadSeats(tmp_path, n_tasks=2), unit_bytes=1, wide_bytes=0)
    with ended(engine):
        settled(engine, case, 2)
        wrong.set()
        with pytest.raises(InternalError, match=expected):
            engine.run(QUERY)
        wrong.clear()
        # what is said of that pass now is of no interest
        assert bits(engine.run(QUERY)) == bits(case.oracle.run(QUERY))


def test_an_error_of_a_task_that_joins_is_raised(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: Holding, header: dict[str, Any]) -> Any:
        raise BadDataError("bad data of the test")

    joined = Holding.joined
    engine = case.engine(ThreadSeats(tmp_path, n_tasks=2), unit_bytes=1, wide_bytes=0)
    with ended(engine):
        monkeypatch.setattr(Holding, "joined", failing)
        with pytest.raises(BadDataError, match="bad data of the test"):
            engine.run(QUERY)
        monkeypatch.setattr(Holding, "joined", joined)
        assert bits(engine.run(QUERY)) == bits(case.oracle.run(QUERY))


# --- strangers --------------------------------------------------------------------------------------------------------

SECRET = bytes(range(32))


def found(message: Message) -> tuple[dict[str, Any], list[bytes | Payload]]:
    if message.kind == "nothing":
        raise LookupError("there is nothing")
    return {"kind": message.kind}, [b"some"]


@pytest.fixture
def counter() -> Iterator[Counter]:
    with closing(Counter(host="127.0.0.1", number=7, secret=SECRET, find=found)) as one:
        yield one


def test_a_counter_gives_to_who_knows_the_secret_and_asks_for_it(counter: Counter) -> None:
    peer = counter.peer
    with Calls(SECRET) as calls:
        for _ in range(2):
            assert [bytes(one) for one in calls.fetch(peer, {"kind": "piece"})] == [b"some"]
        with pytest.raises(UnreachedError, match="there is nothing"):
            calls.fetch(peer, {"kind": "nothing"})
        assert calls.fetch(peer, {"kind": "piece"})
    with Calls(bytes(32)) as calls, pytest.raises(UnreachedError):
        calls.fetch(peer, {"kind": "piece"})
    # a connection that was led to another task
    with Calls(SECRET) as calls, pytest.raises(UnreachedError):
        calls.fetch(peer._replace(number=8), {"kind": "piece"})


def test_nobody_speaks_in_a_role_that_is_not_theirs(counter: Counter) -> None:
    """What a task says to the driver proves nothing to a task, nor the other way."""
    with ExitStack() as stack:
        reception = Reception(host="127.0.0.1", ports=[0], secret=SECRET, events=queue.SimpleQueue())
        stack.callback(reception.close)
        for address, role in ((counter.peer[1:], TASK), (reception.address, CALLER)):
            connection = socket.create_connection(address, timeout=resident_tasks.LONG_SECONDS)
            with pytest.raises((RefusedError, EOFError, OSError)):
                Wire(connection, secret=SECRET, role=role, most_bytes=MOST_BYTES)


def test_garbage_at_a_task_that_listens_changes_nothing(case: Case, tmp_path: Path) -> None:
    engine = case.engine(ThreadSeats(tmp_path, n_tasks=2), unit_bytes=1, wide_bytes=0)
    with ended(engine), ExitStack() as stack:
        settled(engine, case, 2)
        for member in engine.application.members:
            assert member.peer is not None
            for said in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(4096)):
                stranger = stack.enter_context(socket.create_connection(member.peer[1:]))
                stranger.sendall(said)
        assert bits(engine.run(QUERY)) == bits(case.oracle.run(QUERY))
