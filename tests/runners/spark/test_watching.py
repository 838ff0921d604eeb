"""How far a job on Spark is, as its status tracker says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from mr_ml.progress import Listener, Stage, listening, stage
from mr_ml.runners.spark.watching import tasks_text, watched


class Info(NamedTuple):
    """As `pyspark.SparkStageInfo` is."""

    stageId: int
    currentAttemptId: int
    name: str
    numTasks: int
    numActiveTasks: int
    numCompletedTasks: int
    numFailedTasks: int


class Context:
    """A SparkContext whose tracker has another answer each time, and then none."""

    def __init__(self, answers: list[dict[int, Info | None]]) -> None:
        self.answers: Iterator[dict[int, Info | None]] = iter(answers)
        self.asked = 0

    def statusTracker(self) -> Any:
        self.asked += 1
        self._now = next(self.answers)
        return self

    def getActiveStageIds(self) -> list[int]:
        return list(self._now)

    def getStageInfo(self, number: int) -> Info | None:
        return self._now[number]


class Told(Listener):
    """Hears the details of stages; says when there are as many as expected."""

    hears_stages = True

    def __init__(self, expected: int) -> None:
        self.details: list[str] = []
        self.expected, self.all = expected, threading.Event()

    def advanced(self, stage: Stage) -> None:
        self.details.append(stage.detail)
        if len(self.details) == self.expected:
            self.all.set()


def info(number: int, done: int) -> Info:
    return Info(number, 0, "collect at here", 40, 2, done, 0)


def test_each_change_is_told_once_and_an_end_of_java_ends_it() -> None:
    context = Context(
        [{}, {3: info(3, 0)}, {3: info(3, 0)}, {3: info(3, 12), 4: None}, {5: info(5, 40), 4: info(4, 1)}]
    )
    told = Told(3)
    with listening(told), stage("job on Spark", unit="steps") as made, watched(context, made, every=0.001):
        assert told.all.wait(60)
    assert told.details == [
        "stage 3: 0 of 40 tasks", "stage 3: 12 of 40 tasks", "stage 4: 1 of 40 tasks, stage 5: 40 of 40 tasks"
    ]  # fmt: skip


def test_spark_is_not_asked_for_nobody() -> None:
    context = Context([])
    with stage("job on Spark", unit="steps") as made, watched(context, made, every=0.001):
        pass
    assert context.asked == 0


def test_what_the_job_raises_is_raised() -> None:
    with (
        listening(Told(1)), stage("job on Spark", unit="steps") as made, pytest.raises(ZeroDivisionError),
        watched(Context([]), made, every=0.001),
    ):  # fmt: skip
        _ = 1 / 0


def test_no_stage_that_runs() -> None:
    context = Context([{}])
    assert tasks_text(context.statusTracker()) == ""
