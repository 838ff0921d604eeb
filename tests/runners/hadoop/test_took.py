"""What a job took, by what Hadoop's client said of a real one: three map tasks and a reduce task on Hadoop 3.4.2."""

from __future__ import annotations

from datetime import datetime

import pytest

from mr_ml.runners.hadoop.took import JobTook
from mr_ml.spent import Meter

# fmt: off
SAID = """\
2026-11-28 19:55:03,250 INFO impl.YarnClientImpl: Submitted application application_1795895345859_0002
2026-11-28 19:55:03,337 INFO mapreduce.Job: The url to track the job: http://rm:8088/proxy/application_1795895345859_0002/
2026-11-28 19:55:03,356 INFO mapreduce.Job: Running job: job_1795895345859_0002
2026-11-28 19:55:11,134 INFO mapreduce.Job: Job job_1795895345859_0002 running in uber mode : false
2026-11-28 19:55:11,135 INFO mapreduce.Job:  map 0% reduce 0%
2026-11-28 19:55:19,655 INFO mapreduce.Job:  map 33% reduce 0%
2026-11-28 19:55:20,294 INFO mapreduce.Job:  map 67% reduce 0%
2026-11-28 19:55:21,578 INFO mapreduce.Job:  map 100% reduce 0%
2026-11-28 19:55:26,470 INFO mapreduce.Job:  map 100% reduce 100%
2026-11-28 19:55:26,693 INFO mapreduce.Job: Job job_1795895345859_0002 completed successfully
2026-11-28 19:55:26,781 INFO mapreduce.Job: Counters: 54
\tFile System Counters
\t\tHDFS: Number of bytes read=881118
\tJob Counters
\t\tLaunched map tasks=3
\t\tLaunched reduce tasks=1
\t\tData-local map tasks=3
\t\tTotal time spent by all maps in occupied slots (ms)=101296
\t\tTotal time spent by all reduces in occupied slots (ms)=23688
\t\tTotal time spent by all map tasks (ms)=25324
\t\tTotal time spent by all reduce tasks (ms)=5922
\t\tTotal vcore-milliseconds taken by all map tasks=25324
\t\tTotal megabyte-milliseconds taken by all map tasks=12965888
\t\tMap output bytes=5319
\t\tReduce shuffle bytes=5349
\tFile Input Format Counters
\t\tBytes Read=880719
\tFile Output Format Counters
\t\tBytes Written=1867
"""
# fmt: on
HANDED_OVER = "2026-11-28 19:54:58,000"


def at(line: str, before: float) -> float:
    """When a line came, as its own time stamp has it; counters have none."""
    try:
        return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp()
    except ValueError:
        return before


def told(said: str) -> dict[str, dict[str, float]]:
    now = at(HANDED_OVER, 0.0)
    took, meter = JobTook(now), Meter()
    for line in said.splitlines(keepends=True):
        now = at(line, now)
        took.hear(line, now)
    took.tell(meter)
    return meter.spent


def test_a_job_with_a_reduce_task() -> None:
    """Times from the stamps of its lines, sums of tasks from its counters; the counters of the input, not of HDFS."""
    assert told(SAID) == {
        "seconds": {"start": 13.135, "map": 10.443, "reduce": 5.115},
        "task_seconds": {"map": 25.324, "reduce": 5.922},
        "bytes": {"read": 880719, "shuffled": 5349},
    }


def test_a_job_of_map_tasks_alone() -> None:
    said = "".join(line + "\n" for line in SAID.splitlines() if "reduce tasks" not in line and "shuffle" not in line)
    assert told(said)["seconds"] == {"start": 13.135, "map": pytest.approx(15.558)}
    assert told(said)["bytes"] == {"read": 880719}


def test_map_tasks_that_run_again_count_until_the_last_is_done() -> None:
    again = "2026-11-28 19:55:23,578 INFO mapreduce.Job:  map 67% reduce 30%\n"
    done = "2026-11-28 19:55:24,578 INFO mapreduce.Job:  map 100% reduce 60%\n"
    first = SAID.index("2026-11-28 19:55:26,470")
    assert told(SAID[:first] + again + done + SAID[first:])["seconds"]["map"] == pytest.approx(13.443)


def test_a_job_that_was_too_quick_to_be_seen() -> None:
    said = "".join(line + "\n" for line in SAID.splitlines() if "% reduce" not in line)
    assert told(said)["seconds"] == {"job": 28.693}


def test_a_client_that_lost_sight_of_it_says_nothing() -> None:
    assert told("".join(SAID.partition("19:55:26,693")[:1])) == {}


def test_what_looks_like_a_counter_before_the_end_is_none() -> None:
    assert told("\t\tReduce shuffle bytes=99\n") == {}
