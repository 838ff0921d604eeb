"""The programs of scripts/soak, a little of each: kills, races, stale owners, full disks, clocks, nights, bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SOAK = CHECKOUT / "scripts" / "soak"
# How much of each: what takes some seconds.
LITTLE = {"kills": 6, "races": 3, "owners": 2, "full": 6, "clock": 20, "nights": 8, "hostile": 6}


@pytest.mark.slow
@pytest.mark.parametrize("part", LITTLE)
def test_a_little_of(part: str, tmp_path: Path) -> None:
    """No fault is found, and something was done. A process of its own: it forks, which one with threads must not."""
    folders = [CHECKOUT, SOAK, CHECKOUT / "tests", CHECKOUT / "tests" / "retraining"]
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, SOAK / f"{part}.py", str(LITTLE[part]), tmp_path / "work", "--json", figures],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert figures.exists(), done.stderr
    found: dict[str, Any] = json.loads(figures.read_text())
    assert found["faults"] == []
    assert done.returncode == 0
    assert DONE[part](found)


DONE: dict[str, Callable[[dict[str, Any]], bool]] = {
    "kills": lambda found: found["killed before their end"] > 3 and found["documents and models that it read"] > 100,
    "races": lambda found: found["worked"] == 3 and found["exit 75"] >= 3,
    "owners": lambda found: found["refused while the lease lasted"] > 0,
    "full": lambda found: any("74" in codes for codes in found["exit codes"].values()),
    "clock": lambda found: set(found["windows found"].values()) == {LITTLE["clock"]},
    "nights": lambda found: found["runs"] >= 5 and found["mean passes, warm"] <= found["mean passes, cold"],
    "hostile": lambda found: found["refused as bad data"] > 0,
}
