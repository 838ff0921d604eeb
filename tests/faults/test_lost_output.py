"""Tasks that lose, double or garble what they were given or wrote, or end: an error, and never a model."""

from __future__ import annotations

from pathlib import Path

import faulty_jobs
import mr_ml_jobs.pack_job
import mr_ml_jobs.pass_job
import mr_ml_jobs.predict_job
import mr_ml_jobs.scan_job
import numpy as np
import pytest
from commands import Commands, write_libsvm
from train_commands import INLINE, LOCAL, TRAIN, refuses, trains

from mr_ml.readers.text import source

# Tasks that lose, double or garble

SURVIVES_INLINE = [
    faulty_jobs.ExitsPolitely, faulty_jobs.ExitsAtTheEnd, faulty_jobs.ForgetsItsOutput, faulty_jobs.ForgetsALine,
    faulty_jobs.RepeatsItsOutput, faulty_jobs.SkipsABlock, faulty_jobs.SkipsAPartition, faulty_jobs.ReadsARangeTwice,
    faulty_jobs.ReadsAnotherPlace, faulty_jobs.GarblesALine, faulty_jobs.CutsALine, faulty_jobs.ReducerLosesALine,
    faulty_jobs.ReducerLosesAnInput, faulty_jobs.ReducerRepeatsALine, faulty_jobs.Raises,
]  # fmt: skip
# these end the whole process
ENDS_THE_PROCESS = [faulty_jobs.ExitsHalfWay, faulty_jobs.Killed, faulty_jobs.ReducerExits]

NAMES_THE_PARTITION = {
    faulty_jobs.ForgetsItsOutput, faulty_jobs.ForgetsALine, faulty_jobs.RepeatsItsOutput, faulty_jobs.SkipsABlock,
    faulty_jobs.SkipsAPartition, faulty_jobs.ReadsARangeTwice, faulty_jobs.ReadsAnotherPlace,
    faulty_jobs.ReducerLosesALine, faulty_jobs.ReducerLosesAnInput, faulty_jobs.ReducerRepeatsALine,
}  # fmt: skip


@pytest.mark.parametrize(
    ("job", "runner"),
    [
        *[pytest.param(job, INLINE, id=f"{job.__name__}-inline") for job in SURVIVES_INLINE],
        *[pytest.param(job, LOCAL, id=f"{job.__name__}-local") for job in [*SURVIVES_INLINE, *ENDS_THE_PROCESS]],
    ],
)
def test_tasks_of_a_pass(
    mr_ml: Commands, job: type, runner: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(mr_ml_jobs.pass_job, "MRPass", job)
        said = refuses(mr_ml, runner, "partition" if job in NAMES_THE_PARTITION else "")
    if job is faulty_jobs.Raises:
        assert "ZeroDivisionError: the test's own" in said
    if job is faulty_jobs.Killed:
        assert "SIGKILL" in said
    if job is faulty_jobs.ExitsHalfWay:
        assert "exit status 0" in said
    trains(mr_ml, runner, expected)


def test_the_faulty_jobs_are_used(mr_ml: Commands, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a fault of its own the toy job gives the undisturbed model: only the faults make the difference."""
    monkeypatch.setattr(mr_ml_jobs.pass_job, "MRPass", faulty_jobs.Struck)
    trains(mr_ml, INLINE, expected)
    trains(mr_ml, LOCAL, expected)


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows that a scan sees in several ranges."""
    monkeypatch.setattr(source, "RANGE_BYTES", 2000)
    return write_libsvm(tmp_path / "text", np.random.default_rng(5).normal(size=(300, 5)), np.arange(300) % 2)


@pytest.mark.parametrize("like", [(), ("--like", "rows")], ids=["own-schema", "like"])
@pytest.mark.parametrize(
    ("job", "runner"),
    [
        (faulty_jobs.ScanExits, LOCAL),
        (faulty_jobs.ScanForgets, INLINE),
        (faulty_jobs.PackExits, LOCAL),
        (faulty_jobs.PackExitsPolitely, INLINE),
        (faulty_jobs.PackForgetsRows, INLINE),
        (faulty_jobs.PackRepeatsRows, INLINE),
        (faulty_jobs.PackForgetsTheReport, INLINE),
        (faulty_jobs.PackRepeatsEverything, INLINE),
        (faulty_jobs.PackReducerForgets, INLINE),
        (faulty_jobs.PackReducerForgets, LOCAL),
        (faulty_jobs.PackReducerLosesInput, INLINE),
        (faulty_jobs.PackReducerExits, LOCAL),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else value[1],
)
def test_tasks_of_packing(
    mr_ml: Commands,
    job: type,
    runner: tuple[str, ...],
    like: tuple[str, ...],
    text: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = ("pack", text, "--to", "new", "--partitions", "3", *like, *runner)
    module = mr_ml_jobs.scan_job if issubclass(job, mr_ml_jobs.scan_job.MRScan) else mr_ml_jobs.pack_job
    with monkeypatch.context() as patch:
        patch.setattr(module, job.__mro__[1].__name__, job)
        found = mr_ml.run(*command)
    assert found.code in (65, 70), found
    assert found.out == ""
    assert not [path for path in mr_ml.root.glob("datasets/new/**/*") if path.is_file()]
    assert mr_ml(*command)["n_rows"] == 300


@pytest.mark.parametrize(("job", "runner"), [(faulty_jobs.PredictExits, LOCAL), (faulty_jobs.PredictForgets, INLINE)])
def test_tasks_of_predicting(
    mr_ml: Commands, job: type, runner: tuple[str, ...], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mr_ml(*TRAIN, *INLINE)
    command = ("predict", "m", text, "--to", tmp_path / "out", *runner)
    before = sorted(tmp_path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(mr_ml_jobs.predict_job, "MRPredict", job)
        found = mr_ml.run(*command)
    assert found.code in (65, 70)
    assert sorted(tmp_path.iterdir()) == before
    assert mr_ml(*command)["n_rows"] == 300


def test_input_that_changes_while_it_is_packed(mr_ml: Commands, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that come, go or become bad between the scan and the shuffle, or change a value."""
    whole = text.read_text()
    for changed in (
        "1 1:1\n" + whole,
        whole + "1 1:1\n",
        whole[: whole.rindex("\n", 0, -1) + 1],
        whole.replace("1:", "1:nan", 1),
        whole.replace("2:0.", "2:7.", 1),
    ):
        text.write_text(whole)
        monkeypatch.setattr(faulty_jobs.ChangesTheInput, "changed", (text, changed))
        with monkeypatch.context() as patch:
            patch.setattr(mr_ml_jobs.pack_job, "MRPack", faulty_jobs.ChangesTheInput)
            found = mr_ml.run("pack", text, "--to", "new", *INLINE)
        assert found.code == 65, found
        assert "changed while it was" in found.err
        assert not [path for path in mr_ml.root.glob("datasets/new/**/*") if path.is_file()]
