"""Death of the driver, at any instant, and of a worker: nothing half-written is seen, and the next run fixes it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import faulty_jobs
import mr_ml_jobs.pass_job
import pytest
from aftermath import INLINE, LOCAL, TRAIN, check_published, mend, wait_for_the_end_of
from commands import Commands, Outcome, read_coef

DRIVER = str(Path(__file__).with_name("dying_driver.py"))


EACH_PASS, NONE_BEFORE_THE_END = "0", "inf"


def dies(
    mr_ml: Commands, instant: int, *command: object, number: str = "SIGKILL", at_stake: str = EACH_PASS
) -> Outcome:
    """Run a command that ends at that instant."""
    return mr_ml.process(*command, program=(DRIVER, str(instant), number, "", at_stake))


def changes_of(mr_ml: Commands, folder: Path, *command: object, at_stake: str = EACH_PASS) -> int:
    """How many changes the whole command makes."""
    counts = folder / "counts"
    found = mr_ml.process(*command, program=(DRIVER, "0", "SIGKILL", str(counts), at_stake))
    assert found.code == 0, found.err
    return int(counts.read_text())


@pytest.fixture(scope="module")
def undisturbed(pristine: Commands, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """sha256 of the coefficients, and the number of changes on the way there."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(pristine.root, folder / "root")
    commands = Commands(folder / "root")
    n_changes = changes_of(commands, folder, *TRAIN, *INLINE)
    assert n_changes > 40
    return commands.coef("m").sha256, n_changes


# 22 instants: at chance over the whole run, and each around the publication
_CHANCE = random.Random(7)
SHARES = [_CHANCE.random() for _ in range(10)]
BEFORE_THE_END = range(12)


@pytest.mark.parametrize("at", [*SHARES, *BEFORE_THE_END], ids=lambda at: f"{at:.3f}" if at % 1 else f"end-{at}")
def test_killed_driver(mr_ml: Commands, undisturbed: tuple[str, int], at: float) -> None:
    expected, n_changes = undisturbed
    instant = 1 + int(at * n_changes) if at % 1 else n_changes - int(at)
    assert dies(mr_ml, instant, *TRAIN, *INLINE).code == -signal.SIGKILL
    mend(mr_ml, expected)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_killed_driver_whose_passes_share_a_checkpoint(
    mr_ml: Commands, undisturbed: tuple[str, int], tmp_path: Path, share: float
) -> None:
    other = Commands(tmp_path / "other")
    shutil.copytree(mr_ml.root, other.root)
    n_changes = changes_of(other, tmp_path, *TRAIN, *INLINE, at_stake=NONE_BEFORE_THE_END)
    assert n_changes < undisturbed[1]
    instant = 1 + int(share * n_changes)
    assert dies(mr_ml, instant, *TRAIN, *INLINE, at_stake=NONE_BEFORE_THE_END).code == -signal.SIGKILL
    mend(mr_ml, undisturbed[0])


def test_the_last_instants_are_those_around_the_publication(mr_ml: Commands, undisturbed: tuple[str, int]) -> None:
    """A guard for the test above: its last kill comes after the commit, its first before."""
    expected, n_changes = undisturbed
    dies(mr_ml, n_changes, *TRAIN, *INLINE)
    assert check_published(mr_ml, expected) == [1]
    shutil.rmtree(mr_ml.root / "models")
    shutil.rmtree(mr_ml.root / "runs")
    dies(mr_ml, n_changes - max(BEFORE_THE_END), *TRAIN, *INLINE)
    assert check_published(mr_ml, expected) == []


@pytest.mark.parametrize("milliseconds", [_CHANCE.randrange(1, 400) for _ in range(5)])
def test_killed_driver_with_workers(
    mr_ml: Commands, undisturbed: tuple[str, int], marked: str, milliseconds: int
) -> None:
    """At an instant that the clock chooses, wherever that may be; no process outlives the driver."""
    killed = dies(mr_ml, -milliseconds, *TRAIN, *LOCAL)
    assert killed.code in (-signal.SIGKILL, 0)
    wait_for_the_end_of(marked)
    mend(mr_ml, undisturbed[0])


@pytest.mark.parametrize("at", [0.5, 0.9])
def test_workers_end_with_the_driver(mr_ml: Commands, undisturbed: tuple[str, int], marked: str, at: float) -> None:
    """Killed between passes, when the workers are there for certain."""
    killed = dies(mr_ml, int(at * undisturbed[1]), *TRAIN, *LOCAL)
    assert killed.code == -signal.SIGKILL
    assert mr_ml("runs", "list")["runs"][0]["passes"] >= 1
    wait_for_the_end_of(marked)
    mend(mr_ml, undisturbed[0])


@pytest.mark.parametrize("runner", [INLINE, LOCAL], ids=["inline", "local"])
@pytest.mark.parametrize("at", [0.3, 0.95])
def test_interrupted_driver(
    mr_ml: Commands, undisturbed: tuple[str, int], marked: str, runner: tuple[str, ...], at: float
) -> None:
    """Ctrl-C: a sentence instead of a traceback, and the run goes on from where it was."""
    found = dies(mr_ml, int(at * undisturbed[1]), *TRAIN, *runner, number="SIGINT")
    assert found.code == 130
    assert "interrupted" in found.err
    assert "Traceback" not in found.err
    wait_for_the_end_of(marked)
    mend(mr_ml, undisturbed[0])


def test_readers_during_publication(mr_ml: Commands, pristine: Commands) -> None:
    """While versions come out one after the other, every look shows one that is whole."""
    mr_ml(*TRAIN, *INLINE)
    expected = mr_ml.coef("m").sha256
    program = (
        "-c",
        "import sys; from mr_ml.cli import main; sys.exit(max(main(sys.argv[1:]) for _ in range(8)))",
    )
    process = mr_ml.start(*TRAIN, *INLINE, program=program)
    seen = [1]
    while process.poll() is None:
        shown = mr_ml.run("models", "show", "m", "--json")
        assert shown.code == 0, shown.err
        assert read_coef(shown.result).sha256 == expected
        seen.append(shown.result["version"])
    assert process.returncode == 0
    assert seen == sorted(seen)
    assert mr_ml("models", "show", "m")["version"] == 9


def test_two_trainings_at_once(mr_ml: Commands, undisturbed: tuple[str, int]) -> None:
    """Both publish, each once."""
    processes = [mr_ml.start(*TRAIN, *INLINE) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert check_published(mr_ml, undisturbed[0]) == [1, 2]
    runs = mr_ml("runs", "list")["runs"]
    assert sorted(run["model"] for run in runs) == ["m@1", "m@2"]


def test_one_run_resumed_twice_at_once(mr_ml: Commands, undisturbed: tuple[str, int]) -> None:
    """Two impatient operators: one version."""
    expected, n_changes = undisturbed
    assert dies(mr_ml, n_changes // 2, *TRAIN, *INLINE).code == -signal.SIGKILL
    (run,) = mr_ml("runs", "list")["runs"]
    processes = [mr_ml.start("train", "--resume", run["run"], *INLINE) for _ in range(2)]
    codes = [process.wait(timeout=120) for process in processes]
    assert 0 in codes
    assert check_published(mr_ml, expected) == [1]


# Packing


@pytest.fixture(scope="module")
def packing(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[object, ...], dict[str, str], int]:
    """A pack command, the partition files that it gives, and the number of changes on the way."""
    folder = tmp_path_factory.mktemp("packing")
    file = folder / "text"
    file.write_text("".join(f"{k % 2} 1:{k} 2:{k * k % 97}\n" for k in range(400)))
    command = ("pack", file, "--to", "new", "--split", "train=0.7,test=0.3", "--partitions", "3", *INLINE)
    commands = Commands(folder / "root")
    n_changes = changes_of(commands, folder, *command)
    return command, commands.partition_hashes("new@1"), n_changes


@pytest.mark.parametrize("at", [*SHARES[:5], *range(7)], ids=lambda at: f"{at:.3f}" if at % 1 else f"end-{at}")
def test_killed_pack(tmp_path: Path, packing: tuple[Any, dict[str, str], int], at: float) -> None:
    """What is visible is whole; packing again gives the same bytes as if nothing had been."""
    command, expected, n_changes = packing
    mr_ml = Commands(tmp_path / "root")
    instant = 1 + int(at * n_changes) if at % 1 else n_changes - int(at)
    assert dies(mr_ml, instant, *command).code == -signal.SIGKILL
    shown = mr_ml.run("describe", "new", "--json")
    assert shown.code in (0, 74), shown.err
    if shown.code == 0:
        assert mr_ml.partition_hashes("new@1") == expected
        assert mr_ml("train", "new", "--model", "m", "--l2", "1", *INLINE)["converged"]
    version = mr_ml(*command)["version"]
    assert version == (2 if shown.code == 0 else 1)
    assert mr_ml.partition_hashes(f"new@{version}") == expected


@pytest.mark.parametrize("number", ["SIGINT", "SIGKILL"])
def test_interrupted_pack(tmp_path: Path, packing: tuple[Any, dict[str, str], int], number: str) -> None:
    """Ctrl-C removes what was written; after a kill it lies there, unseen."""
    command, _, n_changes = packing
    mr_ml = Commands(tmp_path / "root")
    found = dies(mr_ml, n_changes // 2, *command, number=number)
    assert found.code == (130 if number == "SIGINT" else -signal.SIGKILL)
    left = [path for path in mr_ml.root.rglob("*") if path.is_file()]
    assert bool(left) == (number == "SIGKILL")
    assert mr_ml.run("describe", "new").code == 74


# Workers


def test_killed_worker(mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL from outside, in the middle of a pass: the pass fails with its cause, the next command works."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv("MR_ML_TEST_PIPE", str(pipe))
    # workers take the environment of the moment when they start
    runner = ("-r", "local", "--workers", "3")
    victims: list[int] = []

    def kill() -> None:
        # two tasks may share the partition, and both speak at once
        victims.append(int(pipe.read_text().split()[0]))
        os.kill(victims[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with monkeypatch.context() as patch:
        patch.setattr(mr_ml_jobs.pass_job, "MRPass", faulty_jobs.Waits)
        found = mr_ml.run(*TRAIN, *runner)
    killer.join(timeout=60)
    assert found.code == 70
    assert str(victims[0]) in found.err
    assert "SIGKILL" in found.err
    assert not (mr_ml.root / "models").exists()
    (run,) = mr_ml("runs", "list")["runs"]
    assert run["status"] == "failed"
    assert mr_ml("train", "--resume", run["run"], *runner)["version"] == 1
    assert mr_ml("evaluate", "m", "rows", "--split", "train", *runner)["n_rows"] == 800


def test_killed_worker_of_a_process(mr_ml: Commands, undisturbed: tuple[str, int], tmp_path: Path, marked: str) -> None:
    """The same as a user sees it: an exit code, and no process left behind."""
    program = tmp_path / "driver.py"
    program.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import faulty_jobs, mr_ml_jobs.pass_job\n"
        "mr_ml_jobs.pass_job.MRPass = faulty_jobs.Killed\n"
        "from mr_ml.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    found = mr_ml.process(*TRAIN, *LOCAL, program=(str(program),))
    assert (found.code, "SIGKILL" in found.err, "Traceback" in found.err) == (70, True, False)
    wait_for_the_end_of(marked)
    mend(mr_ml, undisturbed[0])
