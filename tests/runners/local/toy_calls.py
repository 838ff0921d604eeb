"""Calls for worker processes; the tests import them, and so do the workers."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

from mr_ml.errors import BadDataError

CALLS_OF_THIS_PROCESS: list[str] = []


class TwoPartError(BadDataError):
    """An error that cannot be made again from its message alone."""

    def __init__(self, file: str, line: int) -> None:
        super().__init__(f"{file}:{line} is bad")


def note(folder: str, name: str) -> None:
    """Leave a file `name` that says who made it and the how manyth call of that process it was."""
    CALLS_OF_THIS_PROCESS.append(name)
    Path(folder, name).write_text(f"{os.getpid()} {len(CALLS_OF_THIS_PROCESS)}")


def append(path: str, line: str) -> None:
    with open(path, "a") as out:
        out.write(line + "\n")


def save(path: str, expression: str) -> None:
    """Pickle something that only the worker can know."""
    seen = {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "sigint": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        "path": list(sys.path),
        "modules": sorted(sys.modules),
        "main": getattr(sys.modules["__main__"], "__file__", None),
        "streams": [getattr(stream, "name", None) for stream in (sys.stdout, sys.stderr)],
    }
    Path(path).write_bytes(pickle.dumps(seen[expression]))


def blas_threads(path: str) -> None:
    import numpy as np
    import scipy.linalg  # noqa: F401
    import threadpoolctl

    np.ones((2, 2)) @ np.ones((2, 2))
    Path(path).write_bytes(pickle.dumps([pool["num_threads"] for pool in threadpoolctl.threadpool_info()]))


def divide_by_zero() -> None:
    _deeper(1)


def _deeper(number: int) -> float:
    return number / 0


def bad_data() -> NoReturn:
    raise BadDataError("part-00003: expected 7 rows, found 6; pack again")


def two_part_error() -> NoReturn:
    raise TwoPartError("a.csv", 3)


def local_error() -> NoReturn:
    class HiddenError(BadDataError):
        pass

    raise HiddenError("of a function")


def disk_full() -> NoReturn:
    raise OSError(28, "No space left on device", "/tmp/x")


def sys_exit(code: int) -> NoReturn:
    sys.exit(code)


def os_exit(code: int) -> NoReturn:
    os._exit(code)


def kill_self(number: int) -> None:
    os.kill(os.getpid(), number)


def leave_a_child_and_die(fifo: str) -> None:
    """Die while a child, which lives until the fifo is opened for writing, holds all pipes of this process open."""
    if os.fork() == 0:
        with open(fifo, "rb"):
            pass
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def close_everything() -> None:
    os.closerange(3, 256)


def interrupt_and_hang(pid: int) -> None:
    os.kill(pid, signal.SIGINT)
    threading.Event().wait()


def interrupt_self() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def meet_then_fail(fifo: str) -> NoReturn:
    """Wait until `meet_then_hang` runs in another worker, then fail."""
    with open(fifo, "rb"):
        pass
    raise BadDataError("first failure")


def meet_then_die(fifo: str) -> None:
    with open(fifo, "rb"):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def meet_then_hang(fifo: str, folder: str) -> None:
    """Tell that this call runs, then never end by itself."""
    Path(folder, "hung").write_text(str(os.getpid()))
    with open(fifo, "wb"):
        pass
    threading.Event().wait()


def announce_and_hang(fifo: str) -> None:
    with open(fifo, "w") as out:
        out.write(f"{os.getpid()}\n")
    threading.Event().wait()


def large_array_on_heap(path: str) -> None:
    """Tell whether malloc takes an array of megabytes from its heap."""
    import numpy as np

    at = np.empty(16 << 20, dtype=np.uint8).ctypes.data
    with open("/proc/self/maps") as maps:
        heaps = [line.split()[0].split("-") for line in maps if line.rstrip().endswith("[heap]")]
    Path(path).write_bytes(pickle.dumps(any(int(begin, 16) <= at < int(end, 16) for begin, end in heaps)))
