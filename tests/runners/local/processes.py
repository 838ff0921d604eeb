"""Processes that tests of the engine start: where they run, what they left, their end."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

PATIENCE_SECONDS = 60
HERE = str(Path(__file__).parent)
ROOT = str(Path(__file__).parents[3])


def wait_for_end(pid: int) -> None:
    """Wait until a process, of whomever, has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        ended = poll.poll(PATIENCE_SECONDS * 1000)
        if not ended:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        assert ended, f"process {pid} still ran"
    finally:
        os.close(handle)


def notes(folder: Path) -> dict[str, tuple[int, int]]:
    """By name of the call: (process id, how manyth call of that process)."""
    found = {}
    for path in folder.iterdir():
        pid, count = path.read_text().split()
        found[path.name] = int(pid), int(count)
    return found
