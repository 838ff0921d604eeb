"""A dataset that is not what was packed, a task that lost or doubled something: an error, and never a model."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_csv, write_libsvm
from train_commands import INLINE, LOCAL, TRAIN, refuses, trains

from mr_ml.packing import plan


@pytest.fixture(params=[INLINE, LOCAL], ids=["inline", "local"])
def runner(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found: tuple[str, ...] = request.param
    return found


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


# What can happen to partition 1; each returns the numbers of the partitions that may be blamed.


def remove(paths: list[Path]) -> tuple[int, ...]:
    paths[1].unlink()
    return (1,)


def empty(paths: list[Path]) -> tuple[int, ...]:
    paths[1].write_bytes(b"")
    return (1,)


def lose_the_last_byte(paths: list[Path]) -> tuple[int, ...]:
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    return (1,)


def lose_half(paths: list[Path]) -> tuple[int, ...]:
    paths[1].write_bytes(paths[1].read_bytes()[: paths[1].stat().st_size // 2])
    return (1,)


def lose_the_last_block(paths: list[Path]) -> tuple[int, ...]:
    paths[1].write_bytes(b"".join(lines_of(paths[1])[:-1]))
    return (1,)


def lose_a_block_in_the_middle(paths: list[Path]) -> tuple[int, ...]:
    lines = lines_of(paths[1])
    paths[1].write_bytes(b"".join(lines[:1] + lines[2:]))
    return (1,)


def double_a_block(paths: list[Path]) -> tuple[int, ...]:
    lines = lines_of(paths[1])
    paths[1].write_bytes(b"".join([lines[0], *lines]))
    return (1,)


def double_a_block_in_place_of_another(paths: list[Path]) -> tuple[int, ...]:
    lines = lines_of(paths[1])
    (a, b), *_ = [(j, k) for j in range(len(lines)) for k in range(j) if len(lines[j]) == len(lines[k])]
    lines[a] = lines[b]
    paths[1].write_bytes(b"".join(lines))
    return (1,)


def exchange_two_blocks(paths: list[Path]) -> tuple[int, ...]:
    lines = lines_of(paths[1])
    (a, b), *_ = [(j, k) for j in range(len(lines)) for k in range(j) if len(lines[j]) == len(lines[k])]
    lines[a], lines[b] = lines[b], lines[a]
    paths[1].write_bytes(b"".join(lines))
    return (1,)


def renumber_a_block(paths: list[Path]) -> tuple[int, ...]:
    """The address before the block says 0 where it says 1."""
    lines = lines_of(paths[1])
    assert lines[1].startswith(b"1\t1\t")
    lines[1] = b"1\t0\t" + lines[1][4:]
    paths[1].write_bytes(b"".join(lines))
    return (1,)


def add_a_line(paths: list[Path]) -> tuple[int, ...]:
    with paths[1].open("ab") as file:
        file.write(b"\n")
    return (1,)


def copy_over_another(paths: list[Path]) -> tuple[int, ...]:
    paths[1].write_bytes(paths[2].read_bytes())
    return (1,)


def swap(paths: list[Path]) -> tuple[int, ...]:
    one, two = paths[1].read_bytes(), paths[2].read_bytes()
    paths[1].write_bytes(two)
    paths[2].write_bytes(one)
    return (1, 2)


DAMAGES = (
    remove, empty, lose_the_last_byte, lose_half, lose_the_last_block, lose_a_block_in_the_middle, double_a_block,
    double_a_block_in_place_of_another, exchange_two_blocks, renumber_a_block, add_a_line, copy_over_another, swap,
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_partitions(
    mr_ml: Commands, runner: tuple[str, ...], damage: Callable[[list[Path]], tuple[int, ...]], expected: str
) -> None:
    """Before and after the damage the dataset trains in the same process, whose workers know its blocks."""
    trains(mr_ml, runner, expected)
    paths = mr_ml.partition_paths("rows@1")
    whole = [path.read_bytes() for path in paths]
    blamed = damage(paths)
    assert whole != [path.read_bytes() if path.exists() else None for path in paths]
    refuses(mr_ml, runner, *(f"partition {k}" for k in blamed), *(f"part-{k:05d}" for k in blamed))
    found = mr_ml.run("evaluate", "m", "rows", "--split", "train", *runner)
    assert (found.code in (65, 70), found.out) == (True, "")
    for path, data in zip(paths, whole, strict=True):
        path.write_bytes(data)
    trains(mr_ml, runner, expected)


def test_flipped_bytes(mr_ml: Commands, expected: str, chance: random.Random) -> None:
    """One bit of one byte, at 60 places; the first and the last byte among them."""
    path = mr_ml.partition_paths("rows@1")[1]
    whole = path.read_bytes()
    places = [0, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(58))]
    for k, place in enumerate(places):
        data = bytearray(whole)
        data[place] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        refuses(mr_ml, LOCAL if k % 4 == 0 else INLINE, "partition 1", "part-00001")
    path.write_bytes(whole)
    trains(mr_ml, INLINE, expected)
    trains(mr_ml, LOCAL, expected)


def test_a_flipped_byte_under_an_old_time_stamp(mr_ml: Commands, expected: str) -> None:
    """What a disk does: neither size nor time change. A process without the blocks in memory finds it."""
    path = mr_ml.partition_paths("rows@1")[1]
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size // 2)
        byte = file.read(1)
        file.seek(before.st_size // 2)
        file.write(bytes([byte[0] ^ 4]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = mr_ml.process(*TRAIN, *INLINE)
    assert found.code in (65, 70)
    assert "part-00001" in found.err
    assert "that partition is damaged: restore it, or pack the dataset again" in found.err


def test_a_partition_of_another_version(
    tmp_path: Path, runner: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole in itself, of the same number and size, with the same rows in another order."""
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 11)
    mr_ml = Commands(tmp_path / "root")
    rng = np.random.default_rng(2)
    file = write_libsvm(tmp_path / "rows", rng.normal(size=(300, 4)), np.arange(300) % 2)
    for seed in (1, 2):
        mr_ml("pack", file, "--to", "rows", "--seed", seed, *INLINE)
    (ours,), (theirs,) = mr_ml.partition_paths("rows@2"), mr_ml.partition_paths("rows@1")
    assert ours.stat().st_size == theirs.stat().st_size
    mr_ml(*TRAIN, *runner)
    assert mr_ml.coef("m@1").coef.shape == (1, 4)
    ours.write_bytes(theirs.read_bytes())
    refuses(mr_ml, runner, "partition 0", "part-00000")


def test_a_manifest_of_another_dataset(mr_ml: Commands, runner: tuple[str, ...], tmp_path: Path) -> None:
    """A manifest that points to data which it does not describe: the partition is not the one that was packed."""
    mr_ml("pack", write_csv(tmp_path / "a.csv", {"a": [1, 2, 3], "label": [0, 1, 0]}), "--to", "small", *INLINE)
    (small,) = mr_ml.partition_paths("small@1")
    for path in mr_ml.partition_paths("rows@1"):
        path.write_bytes(small.read_bytes())
    refuses(mr_ml, runner, *(f"part-{k:05d}" for k in range(4)))


def test_partitions_seen_through_a_link(
    mr_ml: Commands, runner: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    """A partition moved to another disk and linked is the same partition, until it changes there."""
    path = mr_ml.partition_paths("rows@1")[1]
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    trains(mr_ml, runner, expected)
    data = bytearray(elsewhere.read_bytes())
    data[100] ^= 1
    elsewhere.write_bytes(data)
    refuses(mr_ml, runner, "partition 1", "part-00001")
