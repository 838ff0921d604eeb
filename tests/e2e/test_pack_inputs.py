"""What packing says of its inputs through the command line: bad rows, empty files, folders, hostile names."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from commands import Commands

from mr_ml.readers.text import chunks as text
from mr_ml.readers.text import source

# Bad rows

BAD_LINES = {
    "not_finite": "1 1:nan",
    "duplicate_id": "0 3:1 3:2",
    "overflow": "0 1:1e400",
    "underscore": "1 2:1_000",
    "descending_ids": "1 5:1 4:1",
}


def lines_with_bad_ones(n: int, seed: int) -> tuple[list[str], dict[str, list[int]]]:
    """Lines of uneven length, and the 1-based numbers of the bad ones by kind."""
    rng = np.random.default_rng(seed)
    lines = [f"{k % 2} 1:{k} 2:{'1' * int(rng.integers(1, 60))}" for k in range(n)]
    lines[3] = "# a comment line"
    lines[10] = ""
    where: dict[str, list[int]] = {}
    numbers = iter((rng.choice(np.arange(12, n + 1), 4 * len(BAD_LINES), replace=False)).tolist())
    for kind, line in BAD_LINES.items():
        where[kind] = sorted(next(numbers) for _ in range(4))
        for number in where[kind]:
            lines[number - 1] = line
    return lines, where


def expect_report(err: str, where: Iterable[tuple[Path, dict[str, list[int]]]]) -> None:
    """All counts, and the first three of each kind, by file and line."""
    for kind in BAD_LINES:
        places = [(str(path), number) for path, kinds in sorted(where) for number in kinds[kind]]
        assert f"{kind} ({len(places)})" in err
        for path, number in places[:3]:
            assert f"\n    {path}:{number}: {BAD_LINES[kind]}\n" in err + "\n"
        for path, number in places[3:]:
            assert f"{path}:{number}:" not in err


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_bad_rows_name_file_and_line(
    mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line_end: str
) -> None:
    """Also where the text is cut into many ranges, and these into many chunks."""
    lines, where = lines_with_bad_ones(400, seed=1)
    file = tmp_path / "rows"
    file.write_text(line_end.join(lines) + line_end, newline="")
    zipped = tmp_path / "zipped.gz"
    zipped.write_bytes(gzip.compress(file.read_bytes()))

    found = mr_ml.run("pack", file, "--to", "bad")
    assert found.code == 65
    assert "20 bad rows beside" in found.err
    assert "--max-bad-rows 20" in found.err
    expect_report(found.err, [(file, where)])

    monkeypatch.setattr(source, "RANGE_BYTES", 1000)
    found = mr_ml.run("pack", file, "--to", "bad")
    assert found.code == 65
    expect_report(found.err, [(file, where)])

    monkeypatch.setattr(source, "RANGE_BYTES", 3000)
    monkeypatch.setattr(text, "_LOOK_AHEAD_BYTES", 64)
    for function in (text.read_range, text.open_chunks):
        assert function.__kwdefaults__ is not None
        monkeypatch.setitem(function.__kwdefaults__, "chunk_bytes", 300)
    found = mr_ml.run("pack", file, zipped, "--to", "bad", "-r", "inline")
    assert found.code == 65
    expect_report(found.err, [(file, where), (zipped, where)])

    assert mr_ml.run("describe", "bad").code == 74
    assert not list(mr_ml.root.rglob("part-*"))


def test_allowed_bad_rows(mr_ml: Commands, tmp_path: Path) -> None:
    lines, where = lines_with_bad_ones(300, seed=2)
    file = tmp_path / "rows"
    file.write_text("\n".join(lines) + "\n")
    assert mr_ml.run("pack", file, "--to", "bad", "--max-bad-rows", "19").code == 65
    found = mr_ml.run("pack", file, "--to", "bad", "--max-bad-rows", "20", "--json")
    assert found.code == 0
    expect_report(found.err, [(file, where)])
    assert found.result["n_rows"] == 300 - 2 - 20
    assert found.result["bad_rows"] == dict.fromkeys(BAD_LINES, 4)
    assert mr_ml("describe", "bad")["bad_rows"] == dict.fromkeys(BAD_LINES, 4)
    assert mr_ml.run("pack", file, "--to", "bad", "--max-bad-rows", "20", "--quiet").err == ""


def test_bad_csv_rows(mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines count from the header, which is line 1, in every file and however it is cut."""
    rng = np.random.default_rng(3)
    lines = ["a,b,label", *(f"{k},{'2' * int(rng.integers(1, 40))},{k % 2}" for k in range(200))]
    lines[20] = "1,2"
    lines[150] = "1,2,3,4"
    lines[151] = "1,,0"
    files = [tmp_path / "first.csv", tmp_path / "second.csv.gz", tmp_path / "third.csv.bz2"]
    whole = ("\n".join(lines) + "\n").encode()
    for file, data in zip(files, (whole, gzip.compress(whole), bz2.compress(whole)), strict=True):
        file.write_bytes(data)
    for range_bytes in (1 << 20, 500):
        monkeypatch.setattr(source, "RANGE_BYTES", range_bytes)
        found = mr_ml.run("pack", *files, "--to", "bad")
        assert found.code == 65
        for file in files:
            assert f"{file}:21: " in found.err
            assert f"{file}:151: " in found.err
            assert f"{file}:152: " in found.err
        assert "9 bad rows beside 591 good ones" in found.err
    shape = mr_ml("pack", files[0], "--to", "bad", "--missing", "drop", "--max-bad-rows", "2")
    assert (shape["n_rows"], shape["bad_rows"]) == (197, {"too_few_fields": 1, "too_many_fields": 1})
    assert mr_ml("pack", files[0], "--to", "bad", "--missing", "zero", "--max-bad-rows", "2")["n_rows"] == 198


# Inputs


def test_empty_inputs(mr_ml: Commands, tmp_path: Path) -> None:
    empty, blank, header = tmp_path / "empty", tmp_path / "blank", tmp_path / "header.csv"
    empty.write_bytes(b"")
    blank.write_bytes(b"\n# nothing here\n\n")
    header.write_bytes(b"a,label\n")
    for file in (empty, blank, header):
        found = mr_ml.run("pack", file, "--to", "nothing")
        assert found.code == 65
        assert "expected rows, found none" in found.err
    (tmp_path / "headless.csv").write_bytes(b"")
    assert mr_ml.run("pack", tmp_path / "headless.csv", "--to", "nothing").code == 65
    rows = tmp_path / "rows"
    rows.write_text("1 1:1\n0 1:2\n")
    zipped, nothing = tmp_path / "empty.gz", tmp_path / "nothing.bz2"
    zipped.write_bytes(b"")
    nothing.write_bytes(bz2.compress(b""))
    assert mr_ml("pack", empty, zipped, nothing, rows, blank, "--to", "some")["n_rows"] == 2
    for inputs in ((zipped,), (zipped, empty)):
        found = mr_ml.run("pack", *inputs, "--to", "nothing")
        assert (found.code, f"{zipped}: expected gzip data" in found.err) == (65, True)


def test_folders_and_globs(mr_ml: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deeper").mkdir(parents=True)
    (folder / ".hidden").write_text("nonsense")
    (folder / "_SUCCESS").write_text("")
    for k, name in enumerate(("a.txt", "b.txt", "deeper/c.txt", "with [brackets]*.txt", "héllo wörld.txt")):
        (folder / name).write_text(f"{k % 2} 1:{k + 1}\n" * (k + 1))
    assert mr_ml("pack", folder, "--to", "all")["n_rows"] == 15
    assert mr_ml("pack", folder / "?.txt", "--to", "two")["n_rows"] == 3
    assert mr_ml("pack", folder / "**" / "*.txt", "--to", "all")["n_rows"] == 15
    assert mr_ml("pack", folder / "with [brackets]*.txt", folder / "a.txt", "--to", "two")["n_rows"] == 5
    found = mr_ml.run("pack", folder, folder / "a.txt", "--to", "twice")
    assert (found.code, str(folder / "a.txt") in found.err, "more than once" in found.err) == (2, True, True)
    found = mr_ml.run("pack", folder / "*.csv", "--to", "none")
    assert (found.code, "nothing that matches" in found.err) == (2, True)


def test_file_names_do_not_reach_the_terminal_raw(mr_ml: Commands, tmp_path: Path) -> None:
    hostile = tmp_path / "evil\x1b]0;title\x07.txt"
    hostile.write_text("1 1:nan\n")
    found = mr_ml.run("pack", hostile, "--to", "evil")
    assert found.code == 65
    assert not {"\x1b", "\x07"} & set(found.err)
    undecodable = bytes(tmp_path) + b"/caf\xe9.txt"
    Path(undecodable.decode("utf-8", "surrogateescape")).write_text("1 1:1\n0 1:2\n")
    done = mr_ml.process("pack", undecodable.decode("utf-8", "surrogateescape"), "--to", "cafe", "--json")
    assert (done.code, done.result["n_rows"]) == (0, 2)


def test_truncated_compressed_input(mr_ml: Commands, tmp_path: Path) -> None:
    whole = b"".join(b"%d 1:%d\n" % (k % 2, k * 7919) for k in range(20_000))
    for name, data in (("rows.gz", gzip.compress(whole)), ("rows.bz2", bz2.compress(whole))):
        file = tmp_path / name
        file.write_bytes(data[: len(data) // 2])
        found = mr_ml.run("pack", file, "--to", "half")
        assert (found.code, name in found.err) == (65, True)
        file.write_bytes(data)
        assert mr_ml("pack", file, "--to", "whole")["n_rows"] == 20_000


def test_globs_leave_out_what_jobs_leave_beside_their_output(mr_ml: Commands, tmp_path: Path) -> None:
    """`_SUCCESS` and the like; a pattern that begins with _ means them."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-0").write_text("1 1:1\n0 1:2\n")
    (tmp_path / "out" / "_log").write_text("this is no row\n")
    assert mr_ml("pack", f"{tmp_path}/out/*", "--to", "rows")["n_rows"] == 2
    found = mr_ml.run("pack", f"{tmp_path}/out/_*", "--to", "log")
    assert (found.code, "_log:1" in found.err) == (65, True)
