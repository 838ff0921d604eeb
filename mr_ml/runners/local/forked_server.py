"""The fork server as a fork of the command that needs it.

A new interpreter would load once more what the command has loaded: Python itself, numpy, mrjob, the tasks. That takes
as much time of the processors as all that the command does on some megabytes of data. So a command that has one thread
and no open files yet forks the server of itself. It gets what `multiprocessing` gives a new one: the files that it
needs and no others, and the handling of signals that a program begins with.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import traceback
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker, util
from typing import Any, NoReturn

from mr_ml import interrupts

_TASKS = "/proc/self/task"
# of glibc's mallopt
_MALLOC_OPTIONS = {"MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_MMAP_THRESHOLD_": -3}


def is_alone() -> bool:
    """Whether this thread is the only one of the process; not where that cannot be found out."""
    try:
        return len(os.listdir(_TASKS)) == 1
    except OSError:
        return False


@contextmanager
def forks() -> Iterator[None]:
    """Have `multiprocessing` fork its helpers within the block where it would start new interpreters.

    A version of Python that starts them in another way does so still.
    """
    before = util.spawnv_passfds
    util.spawnv_passfds = _fork
    try:
        yield
    finally:
        util.spawnv_passfds = before


def _fork(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:
    """Do what `multiprocessing.util.spawnv_passfds` does, by a fork; returns the process id."""
    for stream in (sys.stdout, sys.stderr):
        # what is left there would be written twice
        with suppress(OSError):
            stream.flush()
    pid = os.fork()
    if not pid:
        _be(_tracker if resource_tracker.__name__ in args[-1] else _server, passfds)
    return pid


def _be(helper: Any, files: Sequence[int]) -> NoReturn:
    """Be the helper, in the new process, until it ends."""
    code = 1
    try:
        for number in (*interrupts.SIGNALS, signal.SIGALRM):
            # else it was started to be ignored
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        # tasks have nothing of the program whose command this is
        sys.modules["__main__"] = types.ModuleType("__main__")
        _close_all_but(files)
        # collections would look through all that the command has loaded, and have its pages copied
        gc.freeze()
        helper(files)
        code = 0
    except SystemExit:
        code = 0
    except BaseException:
        with suppress(OSError):
            traceback.print_exc()
    finally:
        os._exit(code)


def _tracker(files: Sequence[int]) -> None:
    resource_tracker.main(files[-1])


def _server(files: Sequence[int]) -> None:
    _keep_freed_memory()
    listener, alive, *key = files
    # since Python 3.14 it reads a key from a third one
    further: dict[str, Any] = {"authkey_r": key[0]} if key else {}
    forkserver.main(listener, alive, [], **further)


def _close_all_but(files: Sequence[int]) -> None:
    first = 3
    for kept in sorted({file for file in files if file >= first}):
        os.closerange(first, kept)
        first = kept + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def _keep_freed_memory() -> None:
    """Have malloc do what the environment tells one that starts."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for name, option in _MALLOC_OPTIONS.items():
            mallopt(option, int(os.environ[name]))
