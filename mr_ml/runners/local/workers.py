"""Worker processes that live as long as the driver and keep their caches between passes.

Call i of a run goes to worker i % n, so the same call of the next run finds what its predecessor left in memory.
A worker holds one end of its own pipe and nothing else of the driver: it ends when that pipe or the driver does, and
the driver learns at once when a worker ends. `concurrent.futures` has neither property: its workers wait for each
other's ends of a shared queue and survive a driver that is killed.

Workers are forked from a server that has imported the heavy modules once. They never import the driver's `__main__`,
so scripts without an `if __name__ == "__main__"` guard and interactive sessions can use them; what is called must
therefore be importable from a module.
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import signal
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait

from hdfs_layout.faults import of_machine
from mr_ml.errors import InternalError, MrMlError
from mr_ml.runners import task_errors
from mr_ml.runners.local import calls as local_calls
from mr_ml.runners.local.fork_server import CONTEXT, start
from mr_ml.runners.variables import BLAS_VARIABLES

# How long a worker that was told to end may take before it is killed.
STOP_SECONDS = 2.0


class WorkerPool:
    """`n_workers` worker processes; started when first needed, stopped by `close`, a `with` block or the driver's end.

    Parameters
    ----------
    n_workers : int
        How many; at least 1.
    """

    def __init__(self, n_workers: int) -> None:
        if n_workers < 1:
            raise ValueError(f"expected at least 1 worker, found {n_workers}")
        self.n_workers = n_workers
        self.owner = os.getpid()
        self._workers: list[_Worker | None] = [None] * n_workers
        self._running = threading.Lock()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers started so far."""
        return tuple(worker.pid for worker in self._workers if worker is not None)

    def run(
        self, calls: Sequence[Callable[[], None]], *, names: Sequence[str] | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """Make every call in a worker, call i in worker i % `n_workers`, and wait for all.

        Parameters
        ----------
        calls : sequence of callables without arguments
            As `mr_ml.runners.local.calls` writes them; what they return is dropped.
        names : sequence of str, optional
            What error messages call them; "task i" by default.
        ended
            Called after each call that was made.

        Raises
        ------
        MrMlError
            If a call raised one: same class, if it is one of `mr_ml.errors`, and same message; the worker's traceback
            is added as a note.
        InternalError
            If a call raised anything else (the message ends with the worker's traceback), called `sys.exit`,
            cannot be sent to a worker, or its worker process died; or in a fork of the pool's process.

        Notes
        -----
        After the first failure no call goes on: workers that are in the middle of one are killed, and the next run
        starts others in their place. Workers that are idle keep their caches.
        """
        if os.getpid() != self.owner:
            raise InternalError(
                f"these workers belong to process {self.owner}; process {os.getpid()} needs a pool of its own"
            )
        names = [f"task {i}" for i in range(len(calls))] if names is None else names
        with self._running:
            busy: dict[int, int] = {}
            try:
                self._run(calls, names, busy, ended)
            except Exception:
                self._discard(*busy)
                raise
            except BaseException:
                self._discard(*range(self.n_workers))
                raise

    def close(self) -> None:
        """Stop the workers. A later `run` starts new ones."""
        # A forked child inherits the pool: the workers stay its parent's.
        if os.getpid() != self.owner:
            return
        stopping = [worker for worker in self._workers if worker is not None]
        self._workers = [None] * self.n_workers
        for worker in stopping:
            worker.connection.close()
        for worker in stopping:
            worker.stop()

    def _run(
        self, calls: Sequence[Callable[[], None]], names: Sequence[str], busy: dict[int, int],
        ended: Callable[[], None],
    ) -> None:  # fmt: skip
        waiting = {slot: deque(range(slot, len(calls), self.n_workers)) for slot in range(self.n_workers)}
        while True:
            for slot, tasks in waiting.items():
                if tasks and slot not in busy:
                    busy[slot] = tasks.popleft()
                    self._worker(slot).send(calls[busy[slot]], name=names[busy[slot]])
            if not busy:
                return
            for slot in self._ready(busy):
                worker = self._worker_at(slot)
                error = worker.receive(name=names[busy[slot]])
                del busy[slot]
                if error is not None:
                    raise error
                ended()

    def _ready(self, busy: dict[int, int]) -> list[int]:
        slots: dict[object, int] = {}
        for slot in busy:
            worker = self._worker_at(slot)
            slots[worker.connection] = slots[worker.process.sentinel] = slot
        return sorted({slots[ready] for ready in wait(list(slots))})  # type: ignore[arg-type]

    def _worker(self, slot: int) -> _Worker:
        worker = self._workers[slot]
        # An idle worker has nothing to say: what can be read is the end of its pipe.
        if worker is not None and (worker.connection.poll() or not worker.process.is_alive()):
            self._discard(slot)
            worker = None
        if worker is None:
            worker = self._workers[slot] = _Worker()
        return worker

    def _worker_at(self, slot: int) -> _Worker:
        worker = self._workers[slot]
        assert worker is not None
        return worker

    def _discard(self, *slots: int) -> None:
        for slot in slots:
            worker, self._workers[slot] = self._workers[slot], None
            if worker is not None:
                worker.kill()


class _Worker:
    """The driver's side of one worker process."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.connection, theirs = CONTEXT.Pipe(duplex=True)
        self._environment: dict[str, str] = {}
        self.process = CONTEXT.Process(target=_serve, args=(theirs,), name="mr_ml worker", daemon=True)
        try:
            start(self.process)
        except (OSError, EOFError) as error:
            self.connection.close()
            known = of_machine(error, what="cannot start a worker process")
            raise known or InternalError(
                f"cannot start a worker process: {error!r}; see the messages above, if any"
            ) from error
        except BaseException:
            self.connection.close()
            raise
        finally:
            theirs.close()
        assert self.process.pid is not None
        self.pid = self.process.pid
        _living.add(self)

    def send(self, call: Callable[[], None], *, name: str) -> None:
        try:
            encoded = local_calls.encode(call)
        except (TypeError, ValueError) as error:
            raise InternalError(f"{name} cannot be sent to a worker process: {error}") from error
        # it may change: say, whom the next call should ask for files, and as whom
        environment = {**os.environ, **dict.fromkeys(BLAS_VARIABLES, "1")}
        new = None if environment == self._environment else environment
        self._environment = environment
        with suppress(OSError):  # then it is dead, which `receive` reports with the cause
            self.connection.send_bytes(json.dumps([name, new]).encode())
            self.connection.send_bytes(encoded)

    def receive(self, *, name: str) -> MrMlError | None:
        """Return the outcome of the call: None is success.

        Raises
        ------
        InternalError
            If the process died before it could tell.
        """
        with suppress(EOFError, OSError):
            if self.connection.poll():
                encoded = self.connection.recv_bytes()
                return task_errors.decode(encoded) if encoded else None
        self.process.join(STOP_SECONDS)
        raise InternalError(f"{name} failed: its worker process {self.pid} {_cause_of_death(self.process.exitcode)}")

    def stop(self) -> None:
        """Wait for an idle worker to end; its pipe must be closed already."""
        self.process.join(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        self.connection.close()
        _living.discard(self)
        self.process.kill()
        self.process.join()
        self.process.close()


_living: weakref.WeakSet[_Worker] = weakref.WeakSet()


@atexit.register
def _end_workers() -> None:
    """At the end of this process, before multiprocessing ends them by a signal to which they are deaf."""
    for worker in list(_living):
        if worker.owner == os.getpid():
            worker.process.kill()


def _cause_of_death(status: int | None) -> str:
    if status is None:
        return "closed its pipe; the task must not close file descriptors that it did not open"
    if status >= 0:
        return f"ended with exit status {status} in the middle of it; something in the task ends the whole process"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    if -status == signal.SIGKILL:
        return (
            f"was killed by {name}, as the system does when memory runs out; use fewer workers or a smaller memory "
            "budget, and look for an out-of-memory message in the system's log"
        )
    return f"was killed by {name}"


def _serve(connection: Connection) -> None:
    """Do what the driver asks until it closes the pipe: the whole life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_driver, daemon=True).start()
    if "numpy" in sys.modules and os.environ.get(BLAS_VARIABLES[0]) != "1":
        # Somebody else started the fork server, with BLAS threads.
        from threadpoolctl import threadpool_limits

        threadpool_limits(limits=1)
    # The driver's folder may vanish, and without a current folder nothing that asks for it works.
    os.chdir("/")
    with suppress(EOFError, ConnectionError):
        while True:
            name, environment = json.loads(connection.recv_bytes())
            if environment is not None:
                os.environ.clear()
                os.environ.update(environment)
            connection.send_bytes(_perform(name, connection.recv_bytes()))


def _perform(name: str, call: bytes) -> bytes:
    """Make a call; its error, or nothing."""
    where = f"{name} in worker process {os.getpid()}"
    try:
        function = local_calls.decode(call)
    except Exception as error:
        return task_errors.encode(InternalError(f"{where} failed: the worker cannot import it: {error!r}"))
    try:
        function()
    except BaseException as error:
        return task_errors.encode(task_errors.as_mr_ml_error(error, where=where))
    return b""


def _end_with_driver() -> None:
    """End this process in the middle of whatever it does when the driver ends."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


_shared: WorkerPool | None = None


def shared_pool(n_workers: int) -> WorkerPool:
    """Give the driver's pool, so that every job finds the same warm workers.

    There is one at a time: asking for another number of workers stops those of the last one, and their caches go.
    """
    global _shared
    if _shared is None or _shared.n_workers != n_workers or _shared.owner != os.getpid():
        if _shared is not None:
            _shared.close()
        _shared = WorkerPool(n_workers)
    return _shared
