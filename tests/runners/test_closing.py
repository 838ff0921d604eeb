"""Whoever opens a runner closes it, whatever comes of its jobs: it may keep a cluster that costs money."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from commands import Commands
from daily import SETTINGS, Daily

import mr_ml
from mr_ml.errors import InternalError, UsageError
from mr_ml.runners.base import RUNNERS, Pair, Runner, RunnerKind, RunnerOptions
from mr_ml.runners.local.machine import LocalJobRunner


class Keeper:
    """Counts how many are open; its jobs fail if it is told so."""

    def __init__(self) -> None:
        self.here = LocalJobRunner("inline", 1)
        self.opened = self.n_open = 0
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.here, name)

    def run(self, job: Any, **options: Any) -> list[Pair]:
        self._is_used()
        return self.here.run(job, **options)

    def left(self, job: Any, **options: Any) -> Any:
        self._is_used()
        return self.here.left(job, **options)

    def _is_used(self) -> None:
        assert self.n_open == 1
        if self.fails:
            raise InternalError("the cluster is gone")

    def of_work(self, work: str) -> Keeper:
        return self

    def open(self) -> Runner:
        self.opened += 1
        self.n_open += 1
        return cast(Runner, self)

    def close(self) -> None:
        self.n_open -= 1


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    found = Keeper()
    RUNNERS.register("keeper", RunnerKind(description="a keeper", open=lambda root, options: found.open()))
    yield found
    RUNNERS.unregister("keeper")


def test_commands_and_functions_close_their_runner(keeper: Keeper, tmp_path: Path) -> None:
    daily = Daily(tmp_path)
    daily.add(0, 4)
    daily.configure(SETTINGS.replace("inline", "keeper"))
    commands = Commands(daily.root, runner=("-r", "keeper"))
    rows = tmp_path / "days"
    model = tmp_path / "days" / "dt=2026-03-01"
    for fails in (False, True):
        keeper.fails = fails
        for command in (
            ("pack", rows, "--to", "rows", "--label-column", "clicked"),
            ("train", "rows", "--model", "m"),
            ("evaluate", "m", "rows", "--split", "train"),
            ("predict", "m", model, "--to", tmp_path / f"out-{fails}"),
        ):
            assert commands.run(*command).code == (70 if fails else 0), command
            assert keeper.n_open == 0
        assert daily.run(3 + fails).code == (70 if fails else 0)
        assert keeper.n_open == 0
    with pytest.raises(InternalError):
        mr_ml.train(daily.root, "rows", "m", runner="keeper")
    with pytest.raises(InternalError):
        mr_ml.evaluate(daily.root, "m", "rows", split="train", runner="keeper")
    assert (keeper.opened, keeper.n_open) == (12, 0)


@pytest.mark.parametrize("runner", ["inline", "local", "hadoop"])
@pytest.mark.parametrize("options", [RunnerOptions(cluster_id="j-1"), RunnerOptions(master="yarn")])
def test_options_of_another_runner_are_refused(runner: str, options: RunnerOptions) -> None:
    with pytest.raises(UsageError, match=rf"`(cluster_id|master)` .* not for `runner` {runner}"):
        RUNNERS.get(runner).check(None, options)
