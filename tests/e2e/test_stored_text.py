"""Text in a store that no process can open by a path: packed and predicted as the same files of this machine are.

The stores are that of `far_store`, which needs no server, and S3.
"""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from commands import Commands, write_csv
from far_store import far_stores
from s3_servers import S3Server
from toys import environment

from hdfs_layout import LocalStore, open_store
from mr_ml.data import from_store
from mr_ml.readers.text import fetch, source

CHOICES = ("--split", "train=0.75,test=0.25", "--folds", "2", "--partitions", "4", "--seed", "3")


@pytest.fixture(autouse=True)
def _far() -> Iterator[None]:
    with far_stores():
        yield


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many ranges a file, many requests a range, many chunks."""
    monkeypatch.setattr(source, "RANGE_BYTES", 2000)
    monkeypatch.setattr(source, "_FIRST_REQUEST_BYTES", 7)
    monkeypatch.setattr(from_store, "REQUEST_BYTES", 150)
    monkeypatch.setattr(fetch, "_LOOK_AHEAD_BYTES", 11)


def table(path: Path, n: int, *, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    columns = {
        "x": rng.normal(size=n), "colour": rng.choice(["red", "blue"], n).tolist(), "label": rng.integers(0, 2, n),
    }  # fmt: skip
    return write_csv(path, columns).read_bytes()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Every compression, odd names, an empty file, and what is no data."""
    text = [table(tmp_path / "any", 150, seed=seed) for seed in range(5)]
    files = {
        "day=1/part-0.csv": text[0].rstrip(b"\n"),
        "day=2/part-1.csv.gz": gzip.compress(text[1][:999]) + gzip.compress(text[1][999:]),
        "day=2/a,b{1}/part ü?2.csv.bz2": bz2.compress(text[2]),
        "day=3/part-3.csv.zst": zstandard.compress(text[3]),
        "day=3/empty.csv": b"",
        "day=3/_SUCCESS": b"",
        "day=3/.part-3.csv.crc": b"not text",
        "else/part-4.csv": text[4],
    }
    for path, data in files.items():
        (tmp_path / "raw" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw" / path).write_bytes(data)
    return tmp_path / "raw"


@pytest.fixture(params=["far", "s3"])
def stored(request: pytest.FixtureRequest, raw: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder `raw` in a store; processes that are started from now on know the store."""
    if request.param == "far":
        monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
        return f"far://{raw}"
    server: S3Server = request.getfixturevalue("versitygw_server")
    server.use(monkeypatch)
    place = f"s3://{server.bucket()}/raw"
    for path, data in files_below(raw).items():
        open_store(place).write(path, data)
    return place


@pytest.mark.parametrize("inputs", [["day={1,2}", "else", "day=3/*"], ["**/part*"]])
def test_the_packed_bytes_are_those_of_a_folder(
    mr_ml: Commands, raw: Path, stored: str, small: None, inputs: list[str]
) -> None:
    for name, start in (("here", f"{raw}"), ("there", stored), ("uri", f"file://{raw}")):
        found = mr_ml("pack", *(f"{start}/{given}" for given in inputs), "--to", name, *CHOICES, "-r", "inline")
        assert found["n_rows"] == 750
    assert mr_ml.partition_hashes("there@1") == mr_ml.partition_hashes("here@1") == mr_ml.partition_hashes("uri@1")


def test_worker_processes_open_the_store_themselves(mr_ml: Commands, raw: Path, stored: str, tmp_path: Path) -> None:
    """With splits by file; then predictions, of a folder and of one file."""
    for name, start, run in (("here", f"{raw}", mr_ml.run), ("there", stored, mr_ml.process)):
        splits = ("--split-inputs", f"train={start}/day=*", "--split-inputs", f"test={start}/else")
        assert run("pack", *splits, "--to", name, "--seed", "3").code == 0
    assert mr_ml.partition_hashes("there@1") == mr_ml.partition_hashes("here@1")
    mr_ml("train", "there", "--model", "m", "--l2", "0.1")
    mr_ml("predict", "m", raw / "day=2", "--to", tmp_path / "here")
    found = mr_ml.process("predict", "m", f"{stored}/day=2", "--to", f"{stored}/out", "--json")
    out = open_store(f"{stored}/out")
    assert found.result["outputs"] == [out.uri(path) for path in ("a,b{1}/part ü?2.csv", "part-1.csv")]
    assert {path: out.read(path) for path in out.walk("")} == files_below(tmp_path / "here")
    mr_ml("predict", "m", f"{stored}/else/part-4.csv", "--to", f"{stored}/one", "-r", "inline")
    assert len(open_store(stored).read("one").splitlines()) == 151
    assert not [entry for entry in open_store(stored).entries("", hidden=True) if entry.name.startswith(".")]


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_bad_rows_and_damage_name_the_file_as_its_user_does(mr_ml: Commands, tmp_path: Path, small: None) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    rows = [f"{k % 2} 1:{k}\n" for k in range(2000)]
    rows[1234] = "0 1:x\n"
    (folder / "rows").write_text("".join(rows))
    (folder / "rows.gz").write_bytes(gzip.compress("".join(rows).encode()))
    said = []
    for start in ("", "far://"):
        bad = mr_ml.run("pack", f"{start}{folder}", "--to", "rows", "-r", "inline")
        (folder / "half.gz").write_bytes((folder / "rows.gz").read_bytes()[:-9])
        half = mr_ml.run("pack", f"{start}{folder}/h*", "--to", "rows", "-r", "inline")
        nothing = mr_ml.run("pack", f"{start}{folder}/x*", "--to", "rows", "-r", "inline")
        (folder / "half.gz").unlink()
        assert (bad.code, half.code, nothing.code) == (65, 65, 2)
        said.append([found.err.replace(f"{start}{folder}", "RAW") for found in (bad, half, nothing)])
    assert said[0] == said[1]
    assert "RAW/rows:1235: 0 1:x" in said[0][0]
    assert "RAW/rows.gz:1235: 0 1:x" in said[0][0]
    assert "RAW/half.gz: expected more gzip data" in said[0][1]


@pytest.mark.parametrize("n_others", [0, 40])
@pytest.mark.parametrize("change", [lambda old: old[:-10], lambda old: old.replace(b"1", b"2"), lambda old: old + old])
def test_a_file_that_changes_while_it_is_read(
    mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes], n_others: int
) -> None:
    """Few files are looked at again one by one, many by the listings of their folders."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in ("rows", *map(str, range(n_others))):
        (folder / name).write_bytes(b"1 1:1\n0 1:2\n" * 20)
    os.utime(folder / "rows", (1, 1))
    chunks = fetch.StoredText.chunks

    def changed(*args: Any) -> Iterator[bytes]:
        yield from chunks(*args)
        old = (folder / "rows").read_bytes()
        if os.stat(folder / "rows").st_mtime == 1:
            (folder / "rows").write_bytes(change(old))

    monkeypatch.setattr(fetch.StoredText, "chunks", changed)
    found = mr_ml.run("pack", f"far://{folder}", "--to", "rows", "-r", "inline", "--max-bad-rows", "9")
    assert found.code == 65
    assert f"far://{folder}/rows changed while it was read" in found.err
    assert not (mr_ml.root / "datasets/rows/v000001.json").exists()


@pytest.mark.parametrize("n_files", [1, 40])
def test_a_folder_that_goes_while_it_is_read(
    mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_files: int
) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in map(str, range(n_files)):
        (folder / name).write_bytes(b"1 1:1\n0 1:2\n")
    check_rest = source.check_rest

    def without(files: Sequence[source.TextFile]) -> None:
        folder.rename(tmp_path / "elsewhere")
        check_rest(files)

    monkeypatch.setattr(source, "check_rest", without)
    found = mr_ml.run("pack", f"far://{folder}", "--to", "rows", "-r", "inline")
    assert found.code == 65
    assert f"far://{folder}/0 changed while it was read" in found.err


def test_text_is_asked_for_once_in_requests_of_some_megabytes(
    mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a header by a small one."""
    asked: list[tuple[str, int, int]] = []
    read_range = LocalStore.read_range

    def noted(store: LocalStore, path: str, *, offset: int, length: int) -> bytes:
        asked.append((path.rpartition("/")[2], offset, length))
        return read_range(store, path, offset=offset, length=length)

    monkeypatch.setattr(LocalStore, "read_range", noted)
    row = b"1," + b"7" * 70 + b"\n"
    (tmp_path / "rows.csv").write_bytes(b"label,x\n" + row * 200_000)
    mr_ml("pack", f"far://{tmp_path}/rows.csv", "--to", "rows", "-r", "inline", "--memory", "1G")
    size = (tmp_path / "rows.csv").stat().st_size
    first, *others = asked
    assert first == ("rows.csv", 0, 1 << 16)
    assert max(length for _, _, length in others) == from_store.REQUEST_BYTES
    # all but the header, of which the line feed shows where the first row begins
    assert sum(min(length, size - offset) for _, offset, length in others) == size - len("label,x")


def test_an_output_that_is_there_stays(mr_ml: Commands, raw: Path, tmp_path: Path) -> None:
    mr_ml("pack", raw / "else", "--to", "rows")
    mr_ml("train", "rows", "--model", "m", "--l2", "0.1")
    far = open_store(f"far://{tmp_path}")
    far.write("there", b"theirs")
    found = mr_ml.run("predict", "m", raw / "else", "--to", f"far://{tmp_path}/there")
    assert (found.code, f"--to far://{tmp_path}/there exists" in found.err) == (2, True)
    assert far.read("there") == b"theirs"
    (raw / "else" / "bad.csv").write_text("label,colour,x\n1,red,no\n")
    assert mr_ml.run("predict", "m", raw / "else", "--to", f"far://{tmp_path}/out").code == 65
    assert sorted(entry.name for entry in far.entries("", hidden=True)) == ["any", "raw", "root", "there"]


def test_stores_that_there_are_not(mr_ml: Commands) -> None:
    found = mr_ml.run("pack", "gopher://host/rows", "--to", "rows")
    assert (found.code, "hdfs://" in found.err, "gopher://host/rows" in found.err) == (2, True, True)
    found = mr_ml.run("pack", "far:///tmp/../etc/passwd", "--to", "rows")
    assert (found.code, "expected an input whose path a store can have" in found.err) == (2, True)
