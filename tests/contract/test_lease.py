"""Time, lost answers and damage, on a store that is no local folder: `FarStore`, whose clock the tests set."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from lock_stores import Clock, FarStore

from hdfs_layout import Entry
from hdfs_layout.errors import LockedError, StorageError, StoreUnavailableError
from hdfs_layout.lock import Lock, hold

PATH = "locks/ctr"
LEASE = 60.0
# Far from that of this machine: in 1970.
START = 1_000_000.0


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> FarStore:
    return FarStore(str(tmp_path / "root"), clock)


class Uptime:
    """The clock that a holder counts by."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def uptime(monkeypatch: pytest.MonkeyPatch) -> Uptime:
    clock = Uptime()
    monkeypatch.setattr("hdfs_layout.lease._uptime", clock)
    return clock


Take = Callable[..., Lock]


@pytest.fixture
def take() -> Iterator[Take]:
    """Take the lock and not give it back before the test ends."""
    with ExitStack() as stack:

        def take(store: FarStore, *, lease_seconds: float = LEASE) -> Lock:
            return stack.enter_context(hold(store, PATH, what="another test", lease_seconds=lease_seconds))

        yield take


def names(store: FarStore) -> list[str]:
    return [entry.name for entry in store.entries(PATH, hidden=True)]


def is_free(store: FarStore) -> bool:
    """Whether it can be taken; it is given back."""
    try:
        with hold(store, PATH, what="a look"):
            return True
    except LockedError:
        return False


# --- expiry -----------------------------------------------------------------------------------------------------------


def test_a_lock_is_free_when_the_lease_of_its_holder_has_ended(store: FarStore, clock: Clock, take: Take) -> None:
    """The holder's lease, not that of who comes; by the store's clock, and never before."""
    stale = take(store)
    for age in (0, LEASE / 2, LEASE, -3600):
        clock.now = START + age
        with pytest.raises(LockedError, match=rf"sign of life is {max(age, 0):.0f} s old.* is 60 s old"):
            hold(store, PATH, what="a test", lease_seconds=0.001).__enter__()
    clock.now = START + LEASE + 1.5
    lock = take(store)
    assert (lock.number, lock.taken_over) == (2, True)
    lock.check()
    with pytest.raises(LockedError, match=r"it was taken over \(another test by user"):
        stale.check()


def test_a_renewed_lock_is_not_free(store: FarStore, clock: Clock, take: Take) -> None:
    take(store)
    clock.now += 100
    store.write(f"{PATH}/beat-000001", b"")
    clock.now += LEASE
    assert not is_free(store)
    clock.now += 1.5
    assert is_free(store)


def test_no_clock_of_a_machine_matters(store: FarStore, monkeypatch: pytest.MonkeyPatch, take: Take) -> None:
    """A machine's clock is set back an hour, and forth by a year."""
    lock = take(store)
    real = time.time
    for jump in (-3600, 365 * 86_400):
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        lock.check()
        assert not is_free(store)


# --- the holder -------------------------------------------------------------------------------------------------------


def test_a_holder_that_was_away_for_its_lease_has_lost_it_for_good(store: FarStore, uptime: Uptime) -> None:
    """Nobody else need have taken it."""
    with hold(store, PATH, what="a test", lease_seconds=LEASE) as lock:
        uptime.now += LEASE - 0.01
        lock.check()
        uptime.now += 0.01
        for _ in range(2):
            with pytest.raises(LockedError, match="not renewed within 60 s"):
                lock.check()


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end


def is_lost(lock: Lock) -> bool:
    try:
        lock.check()
    except LockedError:
        return True
    return False


def test_a_holder_renews(store: FarStore, clock: Clock, uptime: Uptime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hdfs_layout.lease._RENEWALS_PER_LEASE", 6000)
    threads = threading.active_count()
    with hold(store, PATH, what="a test", lease_seconds=LEASE) as lock:
        for _ in range(3):
            uptime.now += LEASE - 1
            # the second of two renewals has begun after that
            for _ in range(2):
                clock.now += LEASE / 2
                until(lambda: Entry("beat-000001", False, 0, clock.now) in store.entries(PATH))
            lock.check()
        uptime.now += LEASE
        until(lambda: threading.active_count() == threads)
        assert is_lost(lock)
    assert names(store) == ["released-000001", "v000001.json"]


@dataclass(frozen=True)
class Broken(FarStore):
    """Does not write what has a name that begins so."""

    names: str = ""

    def write(self, path: str, data: bytes | Iterable[bytes], *, private: bool = False) -> None:
        if path.startswith(f"{PATH}/{self.names}"):
            raise StoreUnavailableError("out of order")
        super().write(path, data)


def test_a_holder_that_cannot_renew_has_lost_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Broken(str(tmp_path), names="beat")
    threads = threading.active_count()
    with hold(store, PATH, what="a test", lease_seconds=0.3) as lock:
        until(lambda: is_lost(lock))
        assert threading.active_count() <= threads + 1
    assert threading.active_count() == threads
    assert "could not be renewed: out of order" in caplog.text


def test_a_lock_that_cannot_be_given_back_is_said(store: FarStore, caplog: pytest.LogCaptureFixture) -> None:
    with hold(Broken(store.root, store.clock, names="released"), PATH, what="a test"):
        pass
    assert "could not be given back: out of order" in caplog.text
    with pytest.raises(LockedError), hold(store, PATH, what="another test"):
        pytest.fail("taken")


# --- numbers and answers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interrupted(FarStore):
    """Between looking and publishing others come and go."""

    others: int = 0

    def publish(self, staged: str, target: str) -> None:
        for number in range(self.others):
            with hold(FarStore(self.root, self.clock), PATH, what=f"other {number}"):
                pass
        super().publish(staged, target)


@pytest.mark.parametrize("others", [1, 2, 5])
def test_a_number_is_never_given_twice(store: FarStore, others: int) -> None:
    """Not even one whose holder was removed meanwhile."""
    with pytest.raises(LockedError), hold(Interrupted(store.root, store.clock, others), PATH, what="slow"):
        pytest.fail("holds a number that was given before")
    assert names(store) == [f"released-{others:06d}", f"v{others:06d}.json"]
    with hold(store, PATH, what="a test") as lock:
        assert (lock.number, lock.taken_over) == (others + 1, False)


@dataclass(frozen=True)
class Deaf(FarStore):
    """Answers of publish get lost, before it was carried out or after it."""

    carried_out: bool = True
    blind: bool = False

    def publish(self, staged: str, target: str) -> None:
        if self.carried_out:
            super().publish(staged, target)
        raise StoreUnavailableError("no answer")

    def read(self, path: str) -> bytes:
        if self.blind:
            raise StoreUnavailableError("still no answer")
        return super().read(path)


def test_a_lost_answer_is_looked_up(store: FarStore) -> None:
    with hold(Deaf(store.root, store.clock), PATH, what="a test") as lock:
        lock.check()
        assert (lock.number, is_free(store)) == (1, False)
    with (
        pytest.raises(StoreUnavailableError, match="no answer"),
        hold(Deaf(store.root, store.clock, carried_out=False), PATH, what="a test"),
    ):
        pytest.fail("holds what was not published")
    assert names(store) == ["released-000001", "v000001.json"]


def test_a_lost_answer_that_cannot_be_looked_up_is_free_after_the_lease(
    store: FarStore, clock: Clock, take: Take
) -> None:
    with (
        pytest.raises(StoreUnavailableError, match="still no answer"),
        hold(Deaf(store.root, clock, blind=True), PATH, what="a test", lease_seconds=LEASE),
    ):
        pytest.fail("holds what it cannot see")
    assert not is_free(store)
    clock.now += LEASE + 1.5
    lock = take(store)
    assert (lock.number, lock.taken_over) == (2, True)


def test_another_is_not_taken_for_oneself(store: FarStore, take: Take) -> None:
    """A name that is taken, by another that was quicker, is no lost answer."""
    with hold(store, PATH, what="first"):
        pass

    @dataclass(frozen=True)
    class Late(FarStore):
        def publish(self, staged: str, target: str) -> None:
            take(FarStore(self.root, self.clock))
            super().publish(staged, target)

    with pytest.raises(LockedError, match="for another test by user"), hold(Late(store.root), PATH, what="late"):
        pytest.fail("two hold it")


# --- damage and remains -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"{}", b"junk", b"\xff\xfe"])
def test_a_damaged_document_neither_opens_nor_blocks_a_lock(
    store: FarStore, clock: Clock, content: bytes, take: Take
) -> None:
    lock = take(store)
    store.write(f"{PATH}/v000001.json", content)
    with pytest.raises(LockedError, match="whose note is damaged"):
        take(store, lease_seconds=5)
    clock.now += 7
    assert take(store, lease_seconds=5).number == 2
    assert is_lost(lock)


def test_a_lock_whose_folder_was_removed_is_lost(store: FarStore) -> None:
    with hold(store, PATH, what="a test") as lock:
        store.remove_tree("locks")
        with pytest.raises(LockedError, match="it was removed"):
            lock.check()
    assert not store.exists(PATH)


def test_hostile_words_are_not_printed(store: FarStore, take: Take) -> None:
    with hold(store, PATH, what="\x1b[2J\r\n\udc80" + "x" * 10_000), pytest.raises(LockedError) as raised:
        take(store)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1000


def test_what_killed_holders_left_goes_with_time(store: FarStore, clock: Clock) -> None:
    """Of other machines: nothing tells whether a process there is gone."""
    for name in (".staged-0a1b2c3d-77-123-aa", ".writing-0a1b2c3d-77-123-bb", "beat-000001", "released-000001", "note"):
        store.write(f"{PATH}/{name}", b"")
    for number in range(2):
        clock.now += 3600
        with hold(store, PATH, what="a test"):
            pass
        assert (".staged-0a1b2c3d-77-123-aa" in names(store)) is (number == 0)
        clock.now += 86_400
    assert names(store) == ["note", "released-000002", "v000002.json"]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_a_lease_is_a_positive_number(store: FarStore, seconds: float) -> None:
    with pytest.raises(Exception, match="lease_seconds") as raised, hold(store, PATH, what="", lease_seconds=seconds):
        pytest.fail("taken")
    assert getattr(raised.value, "exit_code", None) == 2


def test_a_store_that_fails_is_no_held_lock(store: FarStore) -> None:
    with suppress(StorageError):
        store.write("locks", b"a file in the way")
    with pytest.raises(StorageError), hold(store, PATH, what="a test"):
        pytest.fail("taken")
