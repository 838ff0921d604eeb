"""Whether the process that made a name is gone; tests/runners/local/test_scratch.py has what is then removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hdfs_layout import owners

MAKE = "import sys; from hdfs_layout.owners import owned; print(owned('holder-'), flush=True); sys.stdin.read()"


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start another process, and return it with a name that it made."""
    command = [sys.executable, "-c", MAKE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()


def test_a_process_is_gone_when_it_was_killed(other: tuple[subprocess.Popen[str], str]) -> None:
    process, name = other
    assert not owners.is_gone(name)
    process.send_signal(signal.SIGSTOP)
    assert not owners.is_gone(name)
    process.kill()
    # as a zombie first
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert owners.is_gone(name)
    process.wait()
    assert owners.is_gone(name)


@pytest.mark.parametrize("name", ["", "note", "holder-00000000-1-1-ab", "holder-zz-1-1-ab"])
def test_nothing_is_known_of_what_another_machine_made(name: str) -> None:
    assert not owners.is_gone(name)


def test_an_id_that_was_given_again_is_another_process() -> None:
    start = owners.start_of(os.getpid())
    assert owners.is_gone(owners.owned("holder-").replace(f"-{start}-", f"-{start - 1}-"))


def test_a_process_that_does_not_show_itself_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another user where /proc is mounted with hidepid; and of one where there is no /proc."""
    name = owners.owned("holder-")

    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", refuse)
        assert not owners.is_gone(name)
        patch.setattr(owners, "start_of", lambda _pid: -1)
        assert not owners.is_gone(name)
    monkeypatch.setattr(owners, "start_of", lambda _pid: -1)
    assert not owners.is_gone(owners.owned("holder-"))
