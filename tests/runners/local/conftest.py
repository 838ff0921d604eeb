"""mrjob must first be imported by the module that keeps quiet about what mrjob imports: toy_jobs imports it plainly."""

import os

import pytest
from runs import make

import mr_ml.runners.local.runner  # noqa: F401
from mr_ml.runners.local import workers
from mr_ml.runners.local.runner import run_job
from mr_ml.runners.local.workers import WorkerPool


@pytest.fixture(params=["inline", "local"])
def runner(request):
    return request.param


@pytest.fixture(scope="module")
def workers_of_this_module():
    yield
    workers.shared_pool(2).close()


@pytest.fixture
def folder(tmp_path):
    """Where jobs put their temporary files; empty at the end."""
    path = tmp_path / "scratch"
    path.mkdir()
    yield path
    assert list(path.iterdir()) == []


@pytest.fixture
def run(runner, folder):
    def run(job_class, *arguments):
        return run_job(make(job_class, runner, folder, *arguments))

    return run


@pytest.fixture
def pool():
    with WorkerPool(2) as pool:
        yield pool


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return str(path)
