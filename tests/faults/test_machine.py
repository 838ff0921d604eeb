"""Disks that fail, fill up or lose the network, too little memory: the exit code says so, the message says where,
nothing half-written is visible, and what is visible counts as published."""

from __future__ import annotations

import builtins
import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aftermath import INLINE, LOCAL, TRAIN, mend
from commands import Commands, environment

from hdfs_layout import owners

CHANGES = ("fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir")
FAULTS = ("EIO", "ESTALE", "ENOSPC", "EDQUOT", "EROFS", "EACCES", "EMFILE", "ENFILE", "EFBIG")


class Striking:
    """Lets the n-th change of a file below a folder fail; afterwards all is well again."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = str(folder)
        self.count = self.at = 0
        self.number = errno.EIO
        self.late = False
        for name in CHANGES:
            patch.setattr(os, name, self.watch(getattr(os, name)))

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            place = os.readlink(f"/proc/self/fd/{args[0]}") if function.__name__ == "fsync" else os.fspath(args[0])
            if not place.startswith(self.folder):
                return function(*args, **kwargs)
            self.count += 1
            if self.count != self.at:
                return function(*args, **kwargs)
            if self.late:
                # done, but the answer is an error, as networks do it
                function(*args, **kwargs)
            raise OSError(self.number, os.strerror(self.number), place)

        return watched


@pytest.mark.parametrize("late", [False, True], ids=["not done", "done"])
def test_a_pack_that_fails_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    """It is published, or nothing of it is left."""
    mr_ml = Commands(tmp_path / "root")
    text = tmp_path / "text"
    text.write_text("".join(f"{k % 2} 1:{k} 2:{k * k % 97}\n" for k in range(40)))
    command = ("pack", text, "--to", "new", "--split", "train=0.7,test=0.3", *INLINE)
    mr_ml(*command)
    expected = mr_ml.partition_hashes("new@1")
    striking = Striking(monkeypatch, mr_ml.root)
    striking.late = late
    found = []
    while striking.count >= striking.at:
        shutil.rmtree(mr_ml.root, ignore_errors=True)
        striking.count, striking.at = 0, striking.at + 1
        outcome = mr_ml.run(*command)
        found.append(outcome.code)
        assert "Traceback" not in outcome.err
        if outcome.code:
            assert outcome.code == 74, outcome.err
            assert str(mr_ml.root) in outcome.err
            assert "Errno" not in outcome.err
            assert not list(mr_ml.root.glob("datasets/new/v*"))
            assert not list(mr_ml.root.glob("datasets/new/data/*")), striking.at
        else:
            assert mr_ml.partition_hashes("new@1") == expected
    assert found[-1] == 0
    assert found.count(74) > 15


@pytest.mark.parametrize("late", [False, True], ids=["not done", "done"])
def test_a_training_that_fails_anywhere_after_its_passes(
    mr_ml: Commands, pristine: Commands, expected_of_four: str, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """It says that it published exactly if it did; resumed, it publishes once."""
    striking = Striking(monkeypatch, mr_ml.root)
    striking.late = late
    mr_ml(*TRAIN, *INLINE)
    total = striking.count
    codes = []
    for at in range(total - 14, total + 1):
        shutil.rmtree(mr_ml.root)
        shutil.copytree(pristine.root, mr_ml.root)
        striking.count, striking.at = 0, at
        outcome = mr_ml.run(*TRAIN, *INLINE)
        codes.append(outcome.code)
        assert outcome.code in (0, 74), outcome.err
        assert (outcome.code == 0) == (mr_ml.root / "models/m/v000001.json").exists(), outcome.err
        striking.at = 0
        mend(mr_ml, expected_of_four)
    assert {*codes} == {0, 74}


@pytest.fixture(scope="module")
def expected_of_four(pristine: Commands, tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("four") / "root"
    shutil.copytree(pristine.root, root)
    Commands(root)(*TRAIN, *INLINE)
    return Commands(root).coef("m").sha256


@contextmanager
def unreadable(path: Path, number: int, *, at: str) -> Iterator[None]:
    """Let opening or reading a file fail."""
    real = builtins.open

    class Failing:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Failing:
            return self

        def __exit__(self, *exception: object) -> None:
            self.file.close()

        def __getattr__(self, name: str) -> Any:
            # whoever asks for the number of the file reads by it
            if name.startswith("read") or name == "fileno":
                raise OSError(number, os.strerror(number))
            return getattr(self.file, name)

    def open_(file: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(file, int) and os.fspath(file) == str(path):
            if at == "open":
                raise OSError(number, os.strerror(number), file)
            return Failing(real(file, *args, **kwargs))
        return real(file, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "open", open_)
        yield


@pytest.mark.parametrize("at", ["open", "read"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_task_that_cannot_read(mr_ml: Commands, tmp_path: Path, fault: str, at: str) -> None:
    number = getattr(errno, fault)
    partition = mr_ml.partition_paths("rows@1")[1]
    with unreadable(partition, number, at=at):
        found = mr_ml.run(*TRAIN, *INLINE)
    assert (found.code, str(partition) in found.err, fault in found.err) == (74, True, True), found.err
    assert "Traceback" not in found.err
    text = tmp_path / "text"
    text.write_text("0 1:1\n1 1:2\n")
    with unreadable(text, number, at=at):
        found = mr_ml.run("pack", text, "--to", "new", *INLINE)
    assert (found.code, str(text) in found.err, fault in found.err) == (74, True, True), found.err
    assert "Traceback" not in found.err


def limited(what: int, most: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(what, (most, most))


@pytest.mark.parametrize("runner", [INLINE, LOCAL], ids=["inline", "local"])
def test_a_file_that_may_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: tuple[str, ...]) -> None:
    # Python 3.11 keeps the piece of a compiled module that it could write, at which all later processes fail
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    text = tmp_path / "text"
    text.write_text("".join(f"{k % 2} 1:{k} 2:{k * k % 97}\n" for k in range(40_000)))
    mr_ml = Commands(tmp_path / "root")
    limit = limited(resource.RLIMIT_FSIZE, 20_000)
    found = mr_ml.process("pack", text, "--to", "new", *runner, preexec_fn=limit)
    assert (found.code, "Traceback" in found.err, "EFBIG" in found.err) == (74, False, True), found.err
    assert "/" in found.err
    assert not list(mr_ml.root.glob("datasets/new/data/*"))


def test_too_little_memory_or_too_few_files(mr_ml: Commands) -> None:
    found = mr_ml.process(*TRAIN, *INLINE, preexec_fn=limited(resource.RLIMIT_AS, 100 << 20))
    assert (found.code, "Traceback" in found.err, "ulimit -v" in found.err) == (69, False, True), found.err
    for runner, most in ((LOCAL, 12), (INLINE, 6)):
        found = mr_ml.process(*TRAIN, *runner, preexec_fn=limited(resource.RLIMIT_NOFILE, most))
        assert (found.code, "Traceback" in found.err, "ulimit -n" in found.err) == (74, False, True), found.err


def test_a_long_folder_for_temporary_files(mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    found = mr_ml.process(*TRAIN, *LOCAL)
    assert (found.code, list(folder.iterdir())) == (0, []), found.err


def test_what_a_killed_pack_left_goes_with_the_next_one(mr_ml: Commands, tmp_path: Path) -> None:
    """Unless a version has the data, or the process lives."""
    gone = owners.owned(".packing-").replace(f"-{owners.start_of(os.getpid())}-", "-1-")
    folder = mr_ml.root / "datasets" / "rows"
    published = mr_ml.manifest("rows@1")["data_id"]
    for note, data_id in ((gone, "orphan"), (gone, published), (owners.owned(".packing-"), "alive")):
        (folder / f"{note}.{data_id}").touch()
        (folder / "data" / data_id).mkdir(exist_ok=True)
        (folder / "data" / data_id / "file").touch()
    staged = [folder / owners.owned(".staged-"), folder / gone.replace("packing", "staged")]
    for path in staged:
        path.touch()
    text = tmp_path / "text"
    text.write_text("0 1:1\n1 1:2\n")
    mr_ml("pack", text, "--to", "rows", *INLINE)
    new = mr_ml.manifest("rows@2")["data_id"]
    assert {path.name for path in (folder / "data").iterdir()} == {published, "alive", new}
    notes = [path.name for path in folder.glob(".packing-*")]
    assert [note.rpartition(".")[2] for note in notes] == ["alive"]
    assert [path.exists() for path in staged] == [True, False]
    assert mr_ml("describe", "rows@1")["n_rows"] == 800


def test_what_a_killed_prediction_left_goes_with_the_next_one(mr_ml: Commands, tmp_path: Path) -> None:
    mr_ml(*TRAIN, *INLINE)
    text, out = tmp_path / "text", tmp_path / "out"
    text.write_text("0 1:1\n1 1:2\n")
    out.mkdir()
    alive = owners.owned(".predict-")
    for name in (alive, alive.replace(f"-{owners.start_of(os.getpid())}-", "-1-")):
        (out / name).mkdir()
        (out / name / "lines").touch()
    mr_ml("predict", "m", text, "--to", out / "predictions", *INLINE)
    assert sorted(path.name for path in out.iterdir()) == [alive, "predictions"]


@pytest.mark.parametrize("command", [("models", "list"), ("--help",), ("describe", "--help")])
def test_whoever_reads_the_output_may_go(mr_ml: Commands, command: tuple[str, ...]) -> None:
    """As other programs end then: without a word, as if by SIGPIPE. Of help not even that is known if Python does not
    buffer it, since argparse does not tell."""
    read, write = os.pipe()
    os.close(read)
    arguments = command if "--help" in command else mr_ml.arguments(*command)
    done = subprocess.run(
        [sys.executable, "-m", "mr_ml", *arguments], env=environment(), stdout=write,
        stderr=subprocess.PIPE, timeout=240,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 141 or (done.returncode == 0 and "--help" in command)
    # a list of nothing says where it looked
    assert not [line for line in done.stderr.splitlines() if not line.startswith(b"no models in ")]


def test_output_that_cannot_hold_a_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    text = tmp_path / "u.csv"
    text.write_text("a,label\n1,naïve\n2,other\n", encoding="utf-8")
    mr_ml = Commands(tmp_path / "root")
    found = mr_ml.process("pack", text, "--to", "u", *INLINE)
    assert (found.code, "na\\xefve" in found.out) == (0, True), found.err
