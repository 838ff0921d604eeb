"""The shell scripts: they parse, and what they cannot fix they say, with an exit code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
SHELL = sorted([*SCRIPTS.glob("*.sh"), SCRIPTS.parent / ".ci" / "run"])


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_scripts_parse_and_can_be_run(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    assert os.access(script, os.X_OK)
    assert "set -e" in script.read_text(encoding="utf-8") or "set -E" in script.read_text(encoding="utf-8")


def setup_env(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPTS / "setup_env.sh"), str(folder), "test"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_without_python_it_says_what_to_install(tmp_path: Path) -> None:
    found = setup_env(tmp_path / "env", MR_ML_PYTHON="/nowhere/python3")
    assert found.returncode == 69
    assert "apt-get install python3 python3-venv" in found.stderr
    assert not (tmp_path / "env").exists()


def test_what_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    found = setup_env(tmp_path, MR_ML_PYTHON=sys.executable)
    assert found.returncode == 69
    assert "is not a virtual environment" in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_without_venv_it_names_the_package(tmp_path: Path) -> None:
    """As root it tries to install it, by an apt-get that does nothing here; else it says what to do."""
    (tmp_path / "ensurepip.py").write_text("raise ImportError")
    (tmp_path / "apt-get").write_text("#!/bin/sh\n")
    (tmp_path / "apt-get").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    found = setup_env(tmp_path / "env", MR_ML_PYTHON=sys.executable, PYTHONPATH=str(tmp_path), PATH=path)
    assert found.returncode == 69
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    expected = f"apt-get did not install {package}" if os.getuid() == 0 else f"sudo apt-get install {package}"
    assert expected in found.stderr
    assert not (tmp_path / "env").exists()


def test_lowest_pins_whatever_is_needed() -> None:
    """Exact versions, none left open, of all that the code cannot do without and of what the tests need."""
    script = [sys.executable, str(SCRIPTS / "lowest.py")]
    lines = subprocess.run(script, capture_output=True, text=True, check=True).stdout.split()
    pinned = dict(line.split("==") for line in lines)
    assert len(pinned) == len(lines)
    needed = {re.split("[^A-Za-z0-9_-]", line)[0] for line in metadata.requires("mr_ml") or () if ";" not in line}
    assert needed | {"pytest", "scikit-learn", "urllib3"} <= set(pinned)
