"""`mr-ml env check` on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from commands import Commands


@pytest.mark.parametrize("runner", [("-r", "inline"), ("-r", "local", "--workers", "2")])
def test_this_machine_can_run_tasks(tmp_path: Path, runner: tuple[str, ...]) -> None:
    found = Commands(tmp_path / "root")("env", "check", *runner)
    assert found["here"]["packages"]["numpy"] == np.__version__
    assert {node["bits"] for node in found["nodes"]} == {found["here"]["bits"]}
    assert len(found["nodes"]) == (1 if "inline" in runner else 2)
    assert (found["problems"], found["warnings"]) == ([], [])
    assert not [path for path in (tmp_path / "root").rglob("*") if path.is_file()]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_root_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir(mode=0o500)
    assert Commands(tmp_path / "root").run("env", "check", "-r", "inline").code == 74


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    found = Commands(tmp_path / "root").run("env", "check", "-r", "inline")
    assert found.code == 2
    assert str(tmp_path / "root") in found.err


def test_numbers_of_tasks(tmp_path: Path) -> None:
    found = Commands(tmp_path / "root").run("env", "check", "--tasks", "0")
    assert (found.code, "--tasks" in found.err) == (2, True)
