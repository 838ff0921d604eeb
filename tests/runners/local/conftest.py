"""mrjob must first be imported by the module that keeps quiet about what mrjob imports: toy_jobs imports it plainly."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from runs import make

import mr_ml.runners.local.runner  # noqa: F401
from mr_ml.runners.local import workers
from mr_ml.runners.local.runner import run_job
from mr_ml.runners.local.workers import WorkerPool


@pytest.fixture(params=["inline", "local"])
def runner(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def workers_of_this_module() -> Iterator[None]:
    yield
    workers.shared_pool(2).close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where jobs put their temporary files; empty at the end."""
    path = tmp_path / "scratch"
    path.mkdir()
    yield path
    assert list(path.iterdir()) == []


@pytest.fixture
def run(runner: str, folder: Path) -> Callable[..., Any]:
    def run(job_class: type, *arguments: object) -> Any:
        return run_job(make(job_class, runner, folder, *arguments))

    return run


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2) as pool:
        yield pool


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return str(path)
