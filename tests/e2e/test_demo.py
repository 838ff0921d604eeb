"""What a newcomer runs first: the rows are those that are promised, and a model finds what they were drawn by."""

from __future__ import annotations

import csv
import math
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Commands, read_coef

from mr_ml import demo
from mr_ml.cli import main


def test_a_model_finds_what_the_customers_were_drawn_by(mr_ml: Commands, tmp_path: Path) -> None:
    found = mr_ml("demo", tmp_path / "demo")
    assert (found["dataset"], found["model"]) == ("customers", "churn")
    of_demo = replace(mr_ml, root=Path(found["root"]))
    shown = of_demo("models", "show", "churn")
    with Path(tmp_path / "demo" / "customers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == demo.N_CUSTOMERS
    # of a slope the standard error is about 1 / (sd sqrt(n p (1 - p))), or half as much again
    coef = dict(zip(shown["feature_names"], read_coef(shown).coef[0], strict=True))
    share = sum(row["left"] == "yes" for row in rows) / len(rows)
    for name, slope in demo.SLOPES.items():
        values = [float(row[name]) for row in rows if row[name]]
        mean = sum(values) / len(values)
        deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
        assert abs(coef[name] - slope) < 5 / (deviation * math.sqrt(0.8 * len(rows) * share * (1 - share))), name
    contracts = [coef[f"contract={name}"] - demo.EFFECTS[name] for name in ("monthly", "yearly", "two-year")]
    assert max(contracts) - min(contracts) < 0.5


def test_it_says_each_command_and_they_work_as_they_stand(mr_ml: Commands, tmp_path: Path) -> None:
    told = mr_ml.run("demo", tmp_path / "demo").out
    said = [line.removeprefix("$ mr-ml ").split() for line in told.splitlines() if line.startswith("$ mr-ml ")]
    assert [words[0] for words in said] == ["pack", "train", "evaluate", "models", "predict"]
    assert (tmp_path / "demo" / "predictions.tsv").read_text().count("\n") == 1 + demo.N_NEW
    assert "the first of them" in told
    assert main(said[2]) == 0


def test_it_writes_over_nothing(mr_ml: Commands, tmp_path: Path) -> None:
    (tmp_path / "new_customers.csv").write_text("mine")
    found = mr_ml.run("demo", tmp_path)
    assert found.code == 2
    assert "is there already" in found.err
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["new_customers.csv"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_asked(mr_ml: Commands, tmp_path: Path, number: signal.Signals) -> None:
    """Not only the command that it is at."""
    process = mr_ml.start("demo", tmp_path / "demo")
    runs = tmp_path / "demo" / "mr_ml_data" / "runs"
    while process.poll() is None and not runs.exists():
        pass
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert not (tmp_path / "demo" / "predictions.tsv").exists()
