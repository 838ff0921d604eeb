"""Running `mr-ml` in tests: in this process where that is enough, as a process of its own where a process matters."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mr_ml_jobs
import numpy as np
from numpy.typing import NDArray

import mr_ml
from hdfs_layout import Store
from mr_ml.cli import main

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The JSON object on the last line of stdout."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


@dataclass(frozen=True)
class Commands:
    """`mr-ml` with one root and, for the commands that run jobs, a default runner.

    Called as ``commands("pack", "rows.libsvm", "--to", "rows")``: runs in this process, expects success, returns the
    JSON result.
    """

    root: Path
    runner: tuple[str, ...] = ("-r", "local", "--workers", "2")

    def __call__(self, *args: object) -> dict[str, Any]:
        found = self.run(*args, "--json")
        assert found.code == 0, f"mr-ml {' '.join(map(str, args))}: exit code {found.code}\n{found.err}"
        return found.result

    def run(self, *args: object) -> Outcome:
        """Run a command in this process, whatever comes of it."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(self.arguments(*args))
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
        return Outcome(code, out.getvalue(), err.getvalue())

    def process(self, *args: object, program: Sequence[str] = ("-m", "mr_ml"), **options: Any) -> Outcome:
        """Run a command as a process of its own."""
        done = subprocess.run(
            [sys.executable, *program, *self.arguments(*args)],
            capture_output=True, text=True, env=environment(), timeout=240, **options,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *args: object, program: Sequence[str] = ("-m", "mr_ml"), **options: Any) -> subprocess.Popen[bytes]:
        """Start a command as a process of its own; where `options` do not say otherwise, nobody hears what it says."""
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
        return subprocess.Popen([sys.executable, *program, *self.arguments(*args)], env=environment(), **options)

    def arguments(self, *args: object) -> list[str]:
        """The command line: the root added, and the runner where the command takes one and none is given."""
        words = [str(arg) for arg in args]
        if words[:1] in (["models"], ["runs"]):
            return [*words, "--root", str(self.root)]
        runs_jobs = words[:1] in (["pack"], ["train"], ["evaluate"], ["predict"])
        runner = [] if "-r" in words or not runs_jobs else list(self.runner)
        return [*words, "--root", str(self.root), *runner]

    def coef(self, model: str) -> Coef:
        """The published coefficients of a model."""
        return read_coef(self("models", "show", model))

    def partition_hashes(self, reference: str) -> dict[str, str]:
        """sha256 of each partition file as it lies there, by the name and version of the dataset."""
        manifest = self.manifest(reference)
        names = [partition["uri"] for partition in manifest["partitions"]]
        return {os.path.basename(name): sha256(self.root / name) for name in names}

    def manifest(self, reference: str) -> dict[str, Any]:
        """The manifest of a dataset version `name@3`."""
        name, _, version = reference.partition("@")
        found: dict[str, Any] = json.loads((self.root / f"datasets/{name}/v{int(version):06d}.json").read_bytes())
        return found

    def partition_paths(self, reference: str) -> list[Path]:
        """The partition files of a dataset version `name@3`, in order."""
        return [self.root / partition["uri"] for partition in self.manifest(reference)["partitions"]]


@dataclass(frozen=True, eq=False)
class Coef:
    """coef (n_outputs, n_features) and intercept (n_outputs,) in raw feature space, and the file's sha256."""

    coef: Floats
    intercept: Floats
    sha256: str


def read_coef(shown: dict[str, Any]) -> Coef:
    """Open what `models show --json` points to."""
    found = sha256(Path(shown["coef_uri"]))
    assert found == shown["coef_sha256"]
    with np.load(shown["coef_uri"], allow_pickle=False) as arrays:
        return Coef(arrays["coef"], arrays["intercept"], found)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def environment() -> dict[str, str]:
    """An environment in which a child finds the package under test, from any folder."""
    # the jobs may lie in another checkout that is installed, which has a package of its own beside them
    folders = dict.fromkeys(
        os.path.dirname(os.path.dirname(os.path.abspath(str(m.__file__)))) for m in (mr_ml, mr_ml_jobs)
    )
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*folders, *filter(None, given)])}


def packed(mr_ml: Commands, name: str, *args: object) -> str:
    """Pack unless it is there already."""
    if not (mr_ml.root / "datasets" / name).exists():
        mr_ml("pack", *args, "--to", name)
    return name


def write_libsvm(path: Path, x: Any, y: Any, *, qid: Sequence[int] | None = None, end: str = "\n") -> Path:
    """Write rows with ids from 1 and every number in full; zeros are left out."""
    lines = []
    for i, (row, label) in enumerate(zip(np.asarray(x), np.asarray(y).tolist(), strict=True)):
        group = "" if qid is None else f" qid:{qid[i]}"
        entries = "".join(f" {j + 1}:{value!r}" for j, value in enumerate(row.tolist()) if value)
        lines.append(f"{label!r}{group}{entries}{end}")
    path.write_text("".join(lines), encoding="ascii", newline="")
    return path


def write_csv(path: Path, columns: Mapping[str, Any]) -> Path:
    """Write columns under a header, floats in full."""
    rows = zip(
        *(values.tolist() if isinstance(values, np.ndarray) else values for values in columns.values()), strict=True
    )
    text = [",".join(columns), *(",".join(v if isinstance(v, str) else repr(v) for v in row) for row in rows)]
    path.write_text("\n".join(text) + "\n", encoding="utf-8", newline="")
    return path


def copy(source: Store, target: Store, folder: str = "") -> None:
    """All files of a store, or of one of its folders, into another one."""
    for path in source.walk(folder):
        target.write(path, source.read(path))
