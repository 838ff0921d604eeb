"""What Hadoop's client says of a job that runs, in lines as its releases log them."""

from __future__ import annotations

import pytest

from mr_ml.runners.hadoop.seen import JobSeen

APPLICATION = "application_1764300000000_0042"
SUBMITTED = f"2026-11-28 10:00:01,123 INFO impl.YarnClientImpl: Submitted application {APPLICATION}"
TRACK = f"2026-11-28 10:00:01,200 INFO mapreduce.Job: The url to track the job: http://rm:8088/proxy/{APPLICATION}/"
RUNNING = "2026-11-28 10:00:01,201 INFO mapreduce.Job: Running job: job_1764300000000_0042"
UBER = "2026-11-28 10:00:09,300 INFO mapreduce.Job: Job job_1764300000000_0042 running in uber mode : false"
SHARES = ["map 0% reduce 0%", "map 37% reduce 0%", "map 100% reduce 0%", "map 100% reduce 100%"]


def lines(shares: str) -> str:
    return f"2026-11-28 10:00:14,356 INFO mapreduce.Job:  {shares}"


def test_a_job_from_its_submission_to_its_end() -> None:
    seen, told = JobSeen(), []
    for line in (SUBMITTED, TRACK, RUNNING, UBER, *map(lines, SHARES), lines(SHARES[-1]), "\tMap-Reduce Framework"):
        now = seen.after(line)
        if now is not seen:
            told.append(now.text)
        seen = now
    url = f"http://rm:8088/proxy/{APPLICATION}/"
    assert told == [
        APPLICATION,
        f"{APPLICATION}, {url}",
        f"{APPLICATION}, map 0 %, reduce 0 %, {url}",
        f"{APPLICATION}, map 37 %, reduce 0 %, {url}",
        f"{APPLICATION}, map 100 %, reduce 0 %, {url}",
        f"{APPLICATION}, map 100 %, reduce 100 %, {url}",
    ]


def test_emr_logs_the_thread_too() -> None:
    line = "2026-11-28 10:00:14,356 INFO org.apache.hadoop.mapreduce.Job (main): map 12% reduce 3%"
    assert (JobSeen().after(line).map, JobSeen().after(line).reduce) == (12, 3)


@pytest.mark.parametrize(
    "line",
    [
        "", "map 5 reduce 3", "map 1234% reduce 0%", "mapx 5%",
        "The url to track the job: http://rm:8088/\x1b[31m", "The url to track the job: file:///etc/passwd",
        "The url to track the job: http://" + "x" * 400,
    ],
)  # fmt: skip
def test_what_says_nothing_of_it(line: str) -> None:
    seen = JobSeen()
    assert seen.after(line) is seen


def test_another_attempt_counts_anew() -> None:
    seen = JobSeen().after(lines("map 100% reduce 40%")).after(lines("map 50% reduce 0%"))
    assert (seen.map, seen.reduce) == (50, 0)
