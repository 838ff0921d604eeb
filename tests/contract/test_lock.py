"""What a lock promises wherever it is: kept by the kernel on a folder, and as a lease elsewhere and on real HDFS."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from lock_stores import open_for_lock

from hdfs_layout import Store
from hdfs_layout.errors import LockedError
from hdfs_layout.lock import hold

PATH = "locks/ctr"
REST = {"local": [".lock"], "far": [], "hdfs": [], "s3-versitygw": []}


@dataclass(frozen=True)
class Place:
    """A root, by whatever spelling other processes can open it."""

    kind: str
    root: str
    store: Store

    def names(self) -> list[str]:
        """Everything in the lock's folder."""
        return [entry.name for entry in self.store.entries(PATH, hidden=True)]

    def at_rest(self, number: int) -> list[str]:
        """What is left when holder `number` gave it back, however many there were before."""
        return [*REST[self.kind], f"released-{number:06d}", f"v{number:06d}.json"]


@pytest.fixture(params=REST)
def place(request: pytest.FixtureRequest, make_root: Callable[[str], str]) -> Place:
    kind: str = request.param
    root = f"far:{make_root('local')}" if kind == "far" else make_root(kind)
    return Place(kind, root, open_for_lock(root))


class Process:
    """Another process, which answers each line with a line; see `lock_stores.obey`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.answer()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL


@pytest.fixture
def start(place: Place, other_process: Callable[..., Any]) -> Iterator[Callable[..., Process]]:
    with ExitStack() as stack:

        def start(lease_seconds: float = 60.0) -> Process:
            code = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); from lock_stores import obey; "
            code += f"obey(sys.argv[1], {PATH!r}, {lease_seconds})"
            process = stack.enter_context(other_process(code, place.root))
            stack.callback(process.stdin.close)
            return Process(process)

        yield start


def test_the_second_is_told_who_holds_it(place: Place, start: Callable[..., Process]) -> None:
    other = start()
    with hold(place.store, PATH, what="retrain ctr") as lock:
        told = other.ask("hold")
        assert told.startswith("locked: ")
        for word in ("retrain ctr", os.uname().nodename, f"process {os.getpid()},", "since 20", PATH):
            assert word in told
        lock.check()
    assert other.ask("hold") == "held 2 False"
    with pytest.raises(LockedError, match=f"a test by user .* process {other.pid}, ") as raised:
        hold(place.store, PATH, what="retrain ctr").__enter__()
    assert raised.value.exit_code == 75
    assert other.ask("check") == "still held"
    assert other.ask("release") == "released"
    assert place.names() == place.at_rest(2)


def test_one_process_holds_it_once(place: Place) -> None:
    """Threads too; and who was refused has not taken it away from the one who holds it."""
    refused = []

    def try_it() -> None:
        try:
            with hold(place.store, PATH, what="second"):
                pass
        except LockedError as error:
            refused.append(str(error))

    with hold(place.store, PATH, what="first") as lock:
        threads = [threading.Thread(target=try_it) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        try_it()
        lock.check()
    assert len(refused) == 4
    assert all("for first by" in text for text in refused)
    with hold(place.store, PATH, what="third") as lock:
        assert (lock.number, lock.taken_over) == (2, False)


ROUNDS = {"local": 100, "far": 50, "hdfs": 12, "s3-versitygw": 8}
KILLS = 4


def test_of_processes_at_once_one_holds_it(place: Place, start: Callable[..., Process]) -> None:
    """Also after one that was killed."""
    processes = [start() for _ in range(8)]
    every = ROUNDS[place.kind] // KILLS
    for number in range(1, ROUNDS[place.kind] + 1):
        racing = processes[: 2 + number % 7]
        for process in racing:
            process.tell("hold")
        answers = [process.answer() for process in racing]
        (winner,) = (i for i, answer in enumerate(answers) if answer.startswith("held"))
        assert answers[winner] == f"held {number} {number % every == 1 < number}"
        for answer in answers[:winner] + answers[winner + 1 :]:
            assert answer.startswith("locked: ")
            assert f"process {racing[winner].pid}," in answer or "at this moment" in answer
        assert racing[winner].ask("check") == "still held"
        if number % every:
            assert racing[winner].ask("release") == "released"
        else:
            racing[winner].kill()
            processes[winner] = start()
    with hold(place.store, PATH, what="last") as lock:
        assert lock.number == ROUNDS[place.kind] + 1
    assert place.names() == place.at_rest(lock.number)


def test_a_killed_holder_is_succeeded_at_once(place: Place, start: Callable[..., Process]) -> None:
    """Though a child of it lives on: with that the lock must not have been inherited."""
    for number in (1, 3):
        holder, heir = start(), start()
        assert holder.ask("hold") == f"held {number} False"
        child = int(holder.ask("fork and stay").removeprefix("child "))
        holder.kill()
        assert heir.ask("hold") == f"held {number + 1} True"
        os.kill(child, 0)
        assert heir.ask("release") == "released"
        assert place.names() == place.at_rest(number + 1)


def test_a_forked_child_holds_nothing(place: Place, start: Callable[..., Process]) -> None:
    holder = start()
    holder.ask("hold")
    assert holder.ask("fork") == "the child was refused"
    assert holder.ask("check") == "still held"
    with pytest.raises(LockedError):
        hold(place.store, PATH, what="second").__enter__()


def test_nothing_is_left_of_holders(place: Place) -> None:
    def state() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    with hold(place.store, PATH, what="first"):
        pass
    before = state()
    for number in range(2, 6):
        with suppress(ZeroDivisionError), hold(place.store, PATH, what="again") as lock:
            assert lock.number == number
            raise ZeroDivisionError
    assert state() == before
    assert place.names() == place.at_rest(5)


def test_a_suspended_holder_finds_out(place: Place, start: Callable[..., Process]) -> None:
    """A lease ends; the kernel's lock goes on."""
    holder, heir = start(0.5), start()
    assert holder.ask("hold") == "held 1 False"
    holder.process.send_signal(signal.SIGSTOP)
    answers = [heir.ask("hold")]
    if place.kind != "local":
        while not answers[-1].startswith("held"):
            answers.append(heir.ask("hold"))
        assert answers.pop() == "held 2 True"
    assert all(f"process {holder.pid}," in answer for answer in answers)
    holder.process.send_signal(signal.SIGCONT)
    told = holder.ask("check")
    if place.kind == "local":
        assert told == "still held"
    else:
        assert told.startswith("locked: expected that this process still holds")
        assert heir.ask("check") == "still held"
        # what it does at its end takes nothing from the heir
        assert holder.ask("release") == "released"
        assert heir.ask("check") == "still held"
        assert heir.ask("release") == "released"
        with hold(place.store, PATH, what="third") as lock:
            assert (lock.number, lock.taken_over) == (3, False)
        assert place.names() == place.at_rest(3)
