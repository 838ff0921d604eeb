"""How many threads the environment allows BLAS changes no bit of what any command makes, nor of what a program makes.

OpenBLAS divides products among threads from some 10,000 numbers on, and rounds otherwise then.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, environment, sha256, write_libsvm

from mr_ml.runners.variables import BLAS_VARIABLES

N_ROWS = 240
# The driver's own products are large enough for several threads: of Cholesky, and of vectors.
WIDE, DENSE = 10_500, 400
LBFGS, NEWTON = ("--solver", "lbfgs", "--max-passes", "6"), ("--solver", "newton", "--max-passes", "3")
SETTINGS = """\
root: {root}
model: nightly
dataset: days
input: {{location: "{days}/dt={{date}}", days: 2}}
reader: {{format: libsvm}}
train: {{loss: logistic, l2: 0.01, solver: lbfgs, tolerance: 0.001}}
gate: {{margin: 10}}
runner: {{name: inline}}
"""
# As a Python program would, without what `mr-ml` does to the environment before numpy is loaded.
API = """import {first}, sys
from mr_ml.cli.parser import make_parser
for line in sys.argv[1:]:
    options = make_parser().parse_args(line.split())
    options.command_module()(options)
"""
COMMAND_LINE = """import sys
from mr_ml.cli import main
for line in sys.argv[1:]:
    assert main(line.split()) == 0
"""
WAYS = {
    "one thread": (API.format(first="os"), "1"),
    "numpy was there": (API.format(first="numpy"), "2"),
    "scipy's was there": (API.format(first="scipy.linalg"), "4"),
    "by the command line": (COMMAND_LINE, "2"),
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text of both shapes, and two nights of the wide one."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(8)
    y = rng.integers(0, 2, N_ROWS)
    wide = rng.normal(size=(N_ROWS, WIDE)) * (rng.random((N_ROWS, WIDE)) < 0.02)
    wide[0, -1] = wide[N_ROWS // 3, -1] = wide[2 * N_ROWS // 3, -1] = 1
    write_libsvm(folder / "wide", wide, y)
    write_libsvm(folder / "dense", rng.normal(size=(N_ROWS, DENSE)), y)
    for day, rows in enumerate(np.array_split(np.arange(N_ROWS), 3), start=1):
        place = folder / "days" / f"dt=2026-03-0{day}"
        place.mkdir(parents=True)
        write_libsvm(place / "rows.libsvm", wide[rows], y[rows])
    return folder


def made(inputs: Path, folder: Path, program: str, threads: str) -> dict[str, Any]:
    """Everything that commands make in a folder: digests of files, and numbers that they print."""
    mr_ml = Commands(folder / "root", runner=("-r", "inline"))
    folder.mkdir()
    (folder / "retrain.yaml").write_text(SETTINGS.format(root=mr_ml.root, days=inputs / "days"))
    commands: list[tuple[object, ...]] = []
    for name, options in (("wide", LBFGS), ("dense", NEWTON)):
        commands += [
            ("pack", inputs / name, "--to", name, "--split", "train=0.7,test=0.3", "--json"),
            ("train", name, "--model", name, "--l2", "0.01", *options, "--json"),
            ("evaluate", name, name, "--json"),
            ("predict", name, inputs / name, "--to", folder / f"{name}.tsv", "--json"),
        ]
    lines = [" ".join(mr_ml.arguments(*command)) for command in commands]
    lines += [f"retrain {folder}/retrain.yaml --for 2026-03-0{day} --json" for day in (2, 3)]
    given = {**environment(), **dict.fromkeys(BLAS_VARIABLES, threads)}
    done = subprocess.run(
        [sys.executable, "-c", program, *lines], capture_output=True, text=True, env=given, check=False
    )
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(said) == len(lines)
    found: dict[str, Any] = {name: sha256(folder / f"{name}.tsv") for name in ("wide", "dense")}
    for name, number in (("wide", 1), ("dense", 1), ("nightly", 1), ("nightly", 2)):
        manifest = json.loads((mr_ml.root / f"models/{name}/v{number:06d}.json").read_bytes())
        assert manifest["training"]["passes"] > 2
        found[f"{name}@{number}"] = manifest["coef"]["sha256"], manifest["training"], manifest.get("decision")
    found["evaluations"] = [line for line in said if "log_loss" in line]
    assert len(found["evaluations"]) == 2
    (measured,) = [check for check in found["nightly@2"][2]["checks"] if "log_loss" in check["name"]]
    found["gate"] = measured
    return found


def test_whatever_the_environment_says_and_whichever_library_was_there_before(inputs: Path, tmp_path: Path) -> None:
    one, *others = [
        made(inputs, tmp_path / f"way{number}", program, threads)
        for number, (program, threads) in enumerate(WAYS.values())
    ]
    for way, other in zip(list(WAYS)[1:], others, strict=True):
        assert other == one, way
