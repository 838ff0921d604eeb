"""Amazon EMR and S3 on loopback, and that no test leaves a cluster running."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent import Agent, Clock, Steps, running_agent
from far_nights import processes  # noqa: F401

from mr_ml.runners.emr.service import Emr


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[Agent, Any]]:
    """The agent, and a client of it."""
    with running_agent() as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.environment.items():
            patch.setenv(name, value)
        yield found, Emr.connect(None).client


@pytest.fixture
def agent(server: tuple[Agent, Any], steps: Steps, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    found, _ = server
    found.reset(steps)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    yield found
    states = {cluster.id: cluster.state for cluster in found.clusters()}
    assert set(states.values()) <= {"TERMINATED", "TERMINATED_WITH_ERRORS"}, states


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def emr(agent: Agent, server: tuple[Agent, Any], clock: Clock) -> Emr:
    return Emr(server[1], clock.pause, clock)


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], str]:
    """Writes a settings file; its path."""

    def write(text: str) -> str:
        path = tmp_path / "emr.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write
