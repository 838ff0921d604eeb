"""mr-ml runs show --plot."""

from __future__ import annotations

import math
from typing import cast

import pytest
from commands import Commands
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.catalog.run_log import PassEvent
from mr_ml.cli.plot import convergence


def passes(norms: list[float]) -> list[PassEvent]:
    return [cast("PassEvent", {"number": k, "gradient_norm": norm}) for k, norm in enumerate(norms, start=1)]


def test_each_pass_has_its_place() -> None:
    lines = convergence(passes([1.0, 1e-2, 1e-4, math.nan, 1e-6]), tolerance=1e-6, columns=40)
    assert lines == [
        "|gradient|; ---- is the tolerance, 1e-06",
        "   1 |*",
        "     |",
        "     |",
        "     |",
        "0.01 |        *",
        "     |",
        "     |",
        "     |",
        "     |",
        "1e-4 |                *",
        "     |",
        "     |",
        "     |",
        "1e-6 |--------------------------------*",
        "     +---------------------------------",
        "      1             pass              5",
    ]


@given(st.lists(st.floats(), min_size=1), st.none() | st.floats(), st.integers(1, 300))
def test_whatever_the_numbers_are(norms: list[float], tolerance: float | None, columns: int) -> None:
    lines = convergence(passes(norms), tolerance=tolerance, columns=columns)
    assert len(lines) == 17
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert max(map(len, lines[1:])) <= max(columns, 34)
    assert ("*" in "".join(lines[1:15])) is any(norm == norm for norm in norms)


@pytest.mark.parametrize("columns", ["40", "120"])
def test_in_a_terminal(mr_ml: Commands, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    rows = mr_ml.root.parent / "rows.csv"
    rows.write_text("label,x\n" + "".join(f"{k * k % 3 % 2},{k}\n" for k in range(60)))
    mr_ml("pack", rows, "--to", "rows", "--split", "train=1")
    run = mr_ml("train", "rows", "--model", "m", "--solver", "lbfgs", "-r", "inline")["run"]
    shown = mr_ml.run("runs", "show", run, "--plot").out
    assert "|gradient|; ---- is the tolerance, 1e-06" in shown
    assert 30 < max(len(line) for line in shown.splitlines() if "*" in line or "--" in line) <= int(columns) + 2
    assert "\x1b" not in shown
    assert mr_ml("runs", "show", run, "--plot")["log"] == mr_ml("runs", "show", run)["log"]
