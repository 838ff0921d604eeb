"""What a task that stays says of itself to Hadoop, which ends tasks that say nothing for long."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from mr_ml.passes.resident import task
from mr_ml.passes.resident.task import Task
from mr_ml.passes.resident.wire import Message, Wire

LONG_SECONDS = 60.0


class Beats:
    """Counts what is sent."""

    def __init__(self) -> None:
        self.n, self._more = 0, threading.Condition()

    def send(self, header: dict[str, Any], *payloads: Any) -> int:
        with self._more:
            self.n += 1
            self._more.notify_all()
        return 0

    def wait_for(self, n_more: int) -> None:
        with self._more:
            goal = self.n + n_more
            assert self._more.wait_for(lambda: self.n >= goal, LONG_SECONDS)


def test_hadoop_hears_nothing_of_a_task_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it waits it is heard of, and when it goes on; to the driver it beats all the while."""
    monkeypatch.setattr(task, "BEAT_SECONDS", 0.001)
    entered, goes_on, said, wire = threading.Event(), threading.Event(), list[str](), Beats()

    def budget(sums_bytes: int) -> int:
        entered.set()
        assert goes_on.wait(LONG_SECONDS)
        return 0

    one = Task(cast(Wire, wire), secret=b"", budget=budget, name="one", folder=tmp_path)
    beats = threading.Thread(target=one.beat, args=(said.append, 0.0))
    works = threading.Thread(target=one._serve, args=(Message({"kind": "clear", "sums_bytes": 0}, ()),))
    beats.start()
    try:
        wire.wait_for(3)
        assert said
        works.start()
        assert entered.wait(LONG_SECONDS)
        # the one that it begins something is told
        wire.wait_for(2)
        n_said = len(said)
        wire.wait_for(20)
        assert len(said) == n_said
        goes_on.set()
        works.join(LONG_SECONDS)
        one._serve(Message({"kind": "beat"}, ()))
        wire.wait_for(2)
        assert len(said) > n_said
    finally:
        goes_on.set()
        one.ended.set()
        beats.join()
