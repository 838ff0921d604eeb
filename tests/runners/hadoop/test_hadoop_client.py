"""What the client's last words and YARN's answers make of a job."""

from __future__ import annotations

import contextvars
import threading
from pathlib import Path

import pytest

from mr_ml import progress
from mr_ml.errors import InternalError, UnavailableError
from mr_ml.progress import Listener, Stage
from mr_ml.runners.hadoop.client import HadoopClient, Submission

SUBMITTED = "INFO impl.YarnClientImpl: Submitted application application_1_0004"
LOST = "ERROR streaming.StreamJob: Error Launching job : java.net.ConnectException: Connection refused"
REPORT = """Application Report :
\tApplication-Id : application_1_0004
\tState : FINISHED
\tFinal-State : {state}
\tTracking-URL : http://localhost/
"""


def client(folder: Path, *said: str, code: int, state: str) -> HadoopClient:
    """One whose `hadoop` says something and ends, and whose `yarn` knows in what state the application ended."""
    folder.mkdir(exist_ok=True)
    (folder / "said").write_text("".join(f"{line}\n" for line in said))
    (folder / "report").write_text(REPORT.format(state=state))
    scripts = {
        "hadoop": f"cat {folder}/said\nexit {code}\n",
        "yarn": f'echo "$@" >> {folder}/asked\n[ "$2" != -status ] || cat {folder}/report\n',
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}")
        (folder / name).chmod(0o755)
    return HadoopClient(str(folder / "hadoop"), "streaming.jar", {"PATH": "/usr/bin:/bin"})


def asked(folder: Path) -> list[str]:
    path = folder / "asked"
    return path.read_text().splitlines() if path.exists() else []


def test_a_job_that_the_client_lost_sight_of_may_have_succeeded(tmp_path: Path) -> None:
    submission = Submission("tag")
    client(tmp_path, SUBMITTED, LOST, code=5, state="SUCCEEDED").run(["-D", "a=b"], submission)
    assert submission.ended
    assert asked(tmp_path) == ["application -kill application_1_0004", "application -status application_1_0004"]


@pytest.mark.parametrize("state", ["KILLED", "FAILED", "UNDEFINED", "NOT SUCCEEDED"])
def test_or_not(tmp_path: Path, state: str) -> None:
    with pytest.raises(UnavailableError, match=r"no longer answers, and the job .application_1_0004. may run on"):
        client(tmp_path, SUBMITTED, LOST, code=5, state=state).run(["-D", "a=b"], Submission("tag"))


def test_a_verdict_is_believed(tmp_path: Path) -> None:
    failed = "INFO mapreduce.Job: Job job_1_0004 failed with state FAILED due to: Task failed"
    with pytest.raises(InternalError, match=r"the job .application_1_0004. failed"):
        client(tmp_path, SUBMITTED, failed, code=1, state="SUCCEEDED").run(["-D", "a=b"], Submission("tag"))
    assert asked(tmp_path) == []


def test_a_job_that_was_never_taken_is_not_asked_for(tmp_path: Path) -> None:
    submission = Submission("tag")
    with pytest.raises(UnavailableError, match="did not take the job"):
        client(tmp_path, LOST, code=5, state="SUCCEEDED").run(["-D", "a=b"], submission)
    assert submission.ended
    assert asked(tmp_path) == []


def test_what_it_starts(tmp_path: Path) -> None:
    found = client(tmp_path, code=0, state="SUCCEEDED")
    (tmp_path / "hadoop").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/started\n')
    found.run(["-D", "a=b"], Submission("tag"))
    assert (tmp_path / "started").read_text() == "jar streaming.jar -D a=b\n"


class Told(Listener):
    """The details of stages, and whether these are over."""

    def __init__(self) -> None:
        self.details: list[str] = []
        self.finished_ones: list[str] = []

    def advanced(self, stage: Stage) -> None:
        self.details.append(stage.detail)

    def finished(self, stage: Stage) -> None:
        self.finished_ones.append(stage.name)


def test_who_listens_hears_how_far_it_is(tmp_path: Path) -> None:
    """Also where the job is run in another thread for who listens, as for tasks that stay."""
    lines = [SUBMITTED, "INFO mapreduce.Job:  map 0% reduce 0%", "INFO mapreduce.Job:  map 50% reduce 0%"]
    made = client(tmp_path, *lines, code=0, state="SUCCEEDED")
    told = Told()
    with progress.listening(told):
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: context.run(made.run, ["-D", "a=b"], Submission("tag")))
        thread.start()
        thread.join()
    assert told.details == [
        "application_1_0004", "application_1_0004, map 0 %, reduce 0 %", "application_1_0004, map 50 %, reduce 0 %",
    ]  # fmt: skip
    assert told.finished_ones == ["job on the cluster"]
