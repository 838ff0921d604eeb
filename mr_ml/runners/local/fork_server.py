"""The server from which worker processes are forked, and the start of one of them.

It has imported the heavy modules once. What a terminal or a supervisor sends to the whole group of processes is for the
driver, which ends its workers: server and workers are deaf to it from their first moment on.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import resource
import sys
import threading
import types
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from multiprocessing import forkserver, process, resource_tracker
from multiprocessing.context import ForkServerProcess

from mr_ml import interrupts
from mr_ml.errors import StorageError
from mr_ml.runners.local.scratch import socket_folder
from mr_ml.runners.variables import BLAS_VARIABLES, set_within

PRELOAD = ("numpy", "mr_ml.runners.local.mixin", "mr_ml.runners.local.workers")
# glibc gives arrays of some megabytes back to the system when they are freed, and to have the next ones mapped and
# cleared page by page takes as long as to compute with them. So freed memory is kept, up to this much.
HEAP = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
LEAST_OPEN_FILES = 32

CONTEXT = multiprocessing.get_context("forkserver")
_STARTING = threading.Lock()


def prepare(modules: Sequence[str] = ()) -> None:
    """Start importing the modules that workers need, in the background. Optional: it saves time at the first `start`.

    Parameters
    ----------
    modules
        Those that their tasks will import, so that each worker finds them there. The first call counts.

    Raises
    ------
    StorageError
        If there is no folder for the server's socket, or too few files may be open.
    OSError
        If the server cannot be started.
    """
    with _STARTING, _server_environment():
        CONTEXT.set_forkserver_preload([*PRELOAD, *modules])
        _check_open_files()
        _choose_socket_folder()
        with interrupts.blocked():
            resource_tracker.ensure_running()
        # once more: the start of the tracker lets signals in
        with interrupts.blocked():
            forkserver.ensure_running()


def fork(modules: Sequence[str] = ()) -> None:
    """As `prepare`, for a command that begins: its server is a fork of itself, if nothing speaks against that.

    Parameters
    ----------
    modules
        As of `prepare`; they are loaded here.

    Raises
    ------
    StorageError, OSError
        As `prepare`.
    """
    from mr_ml.runners.local.forked_server import forks, is_alone

    if not interrupts.is_installed():
        # within somebody's program
        prepare(modules)
        return
    for name in (*PRELOAD, *modules):
        # as the server: who needs it will say that it is not there
        with suppress(ImportError):
            importlib.import_module(name)
    with forks() if is_alone() else nullcontext():
        prepare(modules)


def start(worker: ForkServerProcess) -> None:
    """Start a worker process.

    Raises
    ------
    OSError, EOFError
        If the server cannot, or is gone.
    """
    prepare()
    # a process that is started half would complain
    with _STARTING, _hidden_main(), interrupts.uninterrupted():
        worker.start()


def _check_open_files() -> None:
    """Refuse a low limit on open files: the server needs some, and its own error would not say so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < LEAST_OPEN_FILES:
        if hard < LEAST_OPEN_FILES:
            raise StorageError(
                f"expected that a process may have {LEAST_OPEN_FILES} files open, found a limit of {hard}; raise it "
                "(ulimit -n), or use `runner` inline"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (LEAST_OPEN_FILES, hard))


def _choose_socket_folder() -> None:
    """Have the server's socket in a scratch folder: paths of sockets are short, and those of folders may be long."""
    config = process.current_process()._config  # type: ignore[attr-defined]
    if not os.path.isdir(config.get("tempdir") or ""):
        config["tempdir"] = str(socket_folder())


def _server_environment() -> AbstractContextManager[None]:
    """Return the environment in which the fork server starts: it keeps that of its first moment.

    It finds the same modules as the driver, but none in the current folder, where a file of the user's may have the
    name of a module of the standard library.
    """
    path = os.pathsep.join(os.path.abspath(p) for p in sys.path if os.path.exists(p) and os.pathsep not in p)
    settings = {**dict.fromkeys(BLAS_VARIABLES, "1"), **HEAP, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    if sys.version_info < (3, 12):
        # mrjob imports distutils: the standard library's loads in half the time of the copy in setuptools.
        settings["SETUPTOOLS_USE_DISTUTILS"] = "stdlib"
    return set_within(settings)


@contextmanager
def _hidden_main() -> Iterator[None]:
    """Keep multiprocessing from importing the driver's script, which it finds by this name, again in every worker."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
