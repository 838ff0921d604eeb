"""Notification by a command of the user's: JSON on its stdin, what matters in its environment, no shell."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import IO

from mr_ml.interrupts import uninterrupted
from mr_ml.retraining.notify_error import NotToldError, one_line

#: How long a command may take, and how long it then has to end by itself.
LIMIT_SECONDS, GRACE_SECONDS = 60.0, 2.0
# Of its output, what is kept and what is shown.
_KEPT_BYTES, _SHOWN = 65_536, 300


def run_command(
    command: Sequence[str],
    *,
    stdin: bytes,
    variables: Mapping[str, str],
    without: Collection[str],
    hide: Callable[[str], str],
) -> None:
    """Run a command, for a limited time.

    Parameters
    ----------
    command
        A program and its arguments.
    stdin
        What it reads.
    variables, without
        What its environment has beside this process's, and what of that it lacks.
    hide
        Leaves secrets out of what it wrote.

    Raises
    ------
    NotToldError
        If it cannot be started, takes too long (all of its process group is ended), or its exit code is not 0.
    """
    environment = {name: value for name, value in os.environ.items() if name not in without}
    # not a pipe, which it need not read; and in memory, as a full disk is to be told of
    with os.fdopen(os.memfd_create("notification"), "w+b") as given:
        given.write(stdin)
        given.seek(0)
        try:
            with uninterrupted():
                process = subprocess.Popen(
                    list(command), stdin=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    start_new_session=True, env={**environment, **variables},
                )  # fmt: skip
        except (OSError, ValueError) as error:
            raise NotToldError(f"expected a program that can be run, found {_why(error)}") from None
    assert process.stdout is not None
    written = bytearray()
    # whatever it writes is read, or it would wait; a process that it left behind may keep the pipe open
    reader = threading.Thread(target=_read, args=(process.stdout, written), daemon=True)
    reader.start()
    try:
        code = process.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        raise NotToldError(f"expected an end within {LIMIT_SECONDS:g} seconds, found none; it was ended") from None
    finally:
        _end(process)
    if code:
        reader.join(GRACE_SECONDS)
        said = _shown(bytes(written), hide)
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        raise NotToldError(f"expected exit code 0, found {how}{f': {said}' if said else ''}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that is at work, with all that is in its process group."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    # the group lives as long as one process of it; nobody else can have its number until then
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(pipe: IO[bytes], into: bytearray) -> None:
    with pipe:
        while part := os.read(pipe.fileno(), 65_536):
            into += part[: _KEPT_BYTES - len(into)]


def _shown(written: bytes, hide: Callable[[str], str]) -> str:
    text = written.decode("utf-8", "replace")
    if len(written) >= _KEPT_BYTES:
        # half a secret at the cut would not be found
        text = text[:-4096]
    line = one_line(hide(text), len(text) * 8 + 8)
    return line if len(line) <= _SHOWN else f"...{line[-_SHOWN:]}"


def _why(error: Exception) -> str:
    return f"{error.strerror}" if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}"
