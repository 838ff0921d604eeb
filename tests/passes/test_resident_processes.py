"""Resident tasks as processes of their own, which are killed again and again wherever they are: the same bits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import resident_tasks
from resident_cases import bits, ended, make_case
from resident_tasks import ThreadSeats
from test_resident_engine import ASKED

from mr_ml.passes.resident.application import Application
from mr_ml.passes.resident.invitation import Invitation
from mr_ml.passes.resident.members import Event

N_KILLS, N_TASKS = 30, 3
# A task, and another one whenever it was killed, as a cluster does it: forked, so that none has anything to import. It
# is waited for only when nobody kills it any more, so that its number is nobody else's.
_SEAT = """
import os, sys
from pathlib import Path
import mr_ml.models.linear.line_query, mr_ml.sums.moments, mr_ml.sums.several
from mr_ml.passes.resident import task
from mr_ml.passes.resident.invitation import Invitation

invitation, status = Invitation.decode(sys.stdin.readline().encode()), -9
while status < 0:
    pid = os.fork()
    if not pid:
        status = 1
        try:
            task.run(invitation, environment={}, folder=Path(sys.argv[1]))
            status = 0
        finally:
            os._exit(status)
    print(pid, flush=True)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    print("ended", flush=True)
    sys.stdin.readline()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(status, flush=True)
"""


@dataclass
class Processes:
    """The tasks that live, and with what those ended that do not."""

    alive: set[int] = field(default_factory=set)
    ends: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, invitation: Invitation, *, folder: Path) -> None:
        """Have a seat."""
        command = [sys.executable, "-c", _SEAT, str(folder)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as seat:
            assert seat.stdin is not None
            assert seat.stdout is not None
            print(invitation.encode().decode(), file=seat.stdin, flush=True)
            while line := seat.stdout.readline():
                pid = int(line)
                with self.lock:
                    self.alive.add(pid)
                assert seat.stdout.readline() == "ended\n"
                with self.lock:
                    self.alive.remove(pid)
                print(file=seat.stdin, flush=True)
                with self.lock:
                    self.ends[int(seat.stdout.readline())] += 1


def test_the_same_bits_while_tasks_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processes, chance = Processes(), random.Random(1)
    killed: list[int] = []

    def kill_at_times(application: Application, event: Event, seen: Any = Application._seen) -> Event | None:
        """At times, when the driver hears something, kill a task, be it this one or another."""
        with processes.lock:
            if len(killed) < N_KILLS and processes.alive and chance.random() < 0.2:
                killed.append(chance.choice(sorted(processes.alive)))
                os.kill(killed[-1], signal.SIGKILL)
        found: Event | None = seen(application, event)
        return found

    monkeypatch.setattr(Application, "_seen", kill_at_times)
    with resident_tasks.web() as web:
        case = make_case(tmp_path, web, [[40, 40, 20], [], [30], [25, 5, 5, 5]])
        expected = {name: bits(case.oracle.run(query, columns=columns)) for name, (query, columns) in ASKED.items()}
        # room for some of the blocks
        seats = ThreadSeats(tmp_path, n_tasks=N_TASKS, memory_bytes=2000, serve=processes.serve)
        with ended(case.engine(seats, unit_bytes=1)) as engine:
            while len(killed) < N_KILLS:
                for name, (query, columns) in ASKED.items():
                    assert bits(engine.run(query, columns=columns)) == expected[name]
    assert seats.said == []
    # the last one of each seat was told to end; of the others some were killed twice before they were gone
    assert set(processes.ends) == {0, -9}
    assert processes.ends[0] == N_TASKS
    assert processes.ends[-9] > N_KILLS // 2
