from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.runners.local import tasks as local_tasks
from mr_ml.runners.local.tasks import Files, cut_between_keys, sort_lines

# Tabs, ends of lines and bytes that are not ASCII matter to sorting; keys are few so that they collide.
KEYS = st.sampled_from([b"", b"a", b"aa", b"A", b"a b", b"\xff", b"\x01", b"\r", b"z" * 40])
LINES = st.lists(st.tuples(KEYS, st.binary(max_size=6).map(lambda value: value.replace(b"\n", b"")))).map(
    lambda pairs: [key + b"\t" + value + b"\n" for key, value in pairs]
)


def key_of(line: bytes) -> bytes:
    return line.split(b"\t", 1)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lines")


def write(folder: Path, files: list[list[bytes]]) -> list[str]:
    paths = [folder / f"in{i}" for i in range(len(files))]
    for path, lines in zip(paths, files, strict=True):
        path.write_bytes(b"".join(lines))
    return [str(path) for path in paths]


@given(st.lists(LINES, max_size=4))
def test_sorting_is_by_key_and_stable_in_the_order_of_the_files(folder, files):
    sort_lines(write(folder, files), str(folder / "out"), sort_values=False, tmp_dir=str(folder))
    expected = [line for file in files for line in file]
    # Insertion sort by key: nothing that Python's sort could share a mistake with.
    for i in range(1, len(expected)):
        while i and key_of(expected[i - 1]) > key_of(expected[i]):
            expected[i - 1], expected[i] = expected[i], expected[i - 1]
            i -= 1
    assert (folder / "out").read_bytes() == b"".join(expected)


@pytest.mark.skipif(shutil.which("sort") is None, reason="there is no sort program")
@pytest.mark.parametrize("sort_values", [False, True])
def test_the_sort_program_agrees(tmp_path, monkeypatch, sort_values):
    files = [[b"%s\t%d\n" % (key, i) for i in (3, 1, 2) for key in (b"b", b"\xc3\xa4", b"A", b"a", b"a b")]] * 2
    paths = write(tmp_path, files)
    sort_lines(paths, str(tmp_path / "memory"), sort_values=sort_values, tmp_dir=str(tmp_path))
    monkeypatch.setattr(local_tasks, "SORT_IN_MEMORY_BYTES", 1)
    monkeypatch.setattr(local_tasks, "_sort_in_memory", None)
    sort_lines(paths, str(tmp_path / "program"), sort_values=sort_values, tmp_dir=str(tmp_path))
    assert (tmp_path / "program").read_bytes() == (tmp_path / "memory").read_bytes() != b""


@given(LINES, st.integers(1, 5))
def test_cuts_keep_every_line_in_order_and_every_key_whole(folder, lines, n):
    lines = sorted(lines, key=key_of)
    (source,) = write(folder, [lines])
    paths = [folder / f"part{i}" for i in range(n)]
    cut_between_keys(source, [str(path) for path in paths])
    parts = [
        path.read_bytes().splitlines(keepends=True)
        if b"\r" not in path.read_bytes()
        else [line + b"\n" for line in path.read_bytes().split(b"\n")[:-1]]
        for path in paths
    ]
    assert [line for part in parts for line in part] == lines
    keys = [{key_of(line) for line in part} for part in parts]
    assert sum(map(len, keys)) == len(set().union(*keys))


@pytest.mark.parametrize("n", [2, 3, 10])
def test_cuts_are_about_equal(tmp_path, n):
    (source,) = write(tmp_path, [[b"%05d\tvalue\n" % i for i in range(1000)]])
    paths = [tmp_path / f"part{i}" for i in range(n)]
    cut_between_keys(source, [str(path) for path in paths])
    sizes = [path.stat().st_size for path in paths]
    assert max(sizes) - min(sizes) <= 2 * len(b"00000\tvalue\n")


@pytest.mark.parametrize("n_keys", [2, 5, 6, 7, 24])
@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("light", [b"!light", b"zlight"])
def test_lines_of_light_keys_do_not_count(tmp_path, n_keys, n, light):
    # pointers of keys differ by some digits, and what is light has many bytes, in front or behind
    keys = [b"%02d" % k for k in range(n_keys)]
    lines = [b"%s\t%d\n" % (key, 10 ** (j % 3)) for key in keys for j in range(4)]
    lines += [light + b"\t" + b"x" * 500 + b"\n"] * 4
    (source,) = write(tmp_path, [sorted(lines, key=key_of)])
    paths = [tmp_path / f"part{i}" for i in range(n)]
    cut_between_keys(source, [str(path) for path in paths], light={light})
    dealt = [{key_of(line + b"\n") for line in path.read_bytes().splitlines()} - {light} for path in paths]
    assert sorted(key for some in dealt for key in some) == keys
    sizes = [len(some) for some in dealt]
    assert max(sizes) - min(sizes) <= 1


def test_files_are_listed_in_order(tmp_path):
    for name in ("b/2", "b/10", "a/x", "c", "[b]"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    here = len(str(tmp_path)) + 1
    assert [path[here:] for path in Files().ls(str(tmp_path))] == ["[b]", "c", "a/x", "b/10", "b/2"]
    assert [path[here:] for path in Files().ls(str(tmp_path / "[b]"))] == ["[b]"]
    assert [path[here:] for path in Files().ls(str(tmp_path / "[ab]"))] == ["a/x", "b/10", "b/2"]
    assert Files().exists(str(tmp_path / "[b]"))
    assert not Files().exists(str(tmp_path / "[x]"))
