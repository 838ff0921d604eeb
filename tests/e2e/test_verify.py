"""--verify holds partitions against their sha256, which no pass does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_libsvm

from hdfs_layout import decode_document, encode_document

COMMANDS = (
    ("describe", "rows", "--verify"),
    ("train", "rows", "--model", "new", "--verify"),
    ("evaluate", "m", "rows", "--split", "train", "--verify"),
)


@pytest.fixture
def rows(mr_ml: Commands, tmp_path: Path) -> Commands:
    x = np.random.default_rng(0).normal(size=(60, 2))
    mr_ml = Commands(mr_ml.root, runner=("-r", "inline"))
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, np.arange(60) % 2), "--to", "rows", "--partitions", "3")
    mr_ml("train", "rows", "--model", "m", "--l2", "0.1")
    return mr_ml


def test_whole_partitions_pass(rows: Commands) -> None:
    plain = rows("describe", "rows")
    assert rows("describe", "rows", "--verify") == {**plain, "verified_partitions": 3}
    assert plain["verified_partitions"] == 0
    assert "3 partitions verified" in rows.run("describe", "rows", "--verify").out
    assert rows("train", "rows", "--model", "m", "--l2", "0.1", "--verify")["version"] == 2
    rows("evaluate", "m", "rows", "--split", "train", "--verify")


def test_what_only_a_sha256_tells(rows: Commands) -> None:
    """Checksums of blocks and their digest as in the manifest, the bytes not those of its sha256."""
    path = rows.root / "datasets/rows/v000001.json"
    document = decode_document(path.read_bytes(), where="")
    document["partitions"][1]["sha256"] = "0" * 64
    path.write_bytes(encode_document(document))
    rows("evaluate", "m", "rows", "--split", "train")
    before = sorted((rows.root / "runs").iterdir())
    for command in COMMANDS:
        found = rows.run(*command)
        assert (found.code, found.out, "Traceback" in found.err) == (65, "", False)
        assert "partition 1: expected sha256 " + "0" * 64 in found.err
        assert "part-00001" in found.err
    assert sorted((rows.root / "runs").iterdir()) == before


def test_every_bad_partition_is_named(rows: Commands) -> None:
    first, second, third = rows.partition_paths("rows@1")
    data = first.read_bytes()
    first.write_bytes(data[:9] + bytes([data[9] ^ 1]) + data[10:])
    second.write_bytes(second.read_bytes()[:-1])
    third.unlink()
    for command in COMMANDS:
        found = rows.run(*command)
        assert found.code == 65
        for words in ("partition 0: expected sha256", "partition 1: expected", "partition 2 is missing"):
            assert words in found.err
