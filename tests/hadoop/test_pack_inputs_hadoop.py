"""What `pack -r hadoop` takes for its inputs, and that it packs it as this machine would."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import uuid
from pathlib import Path

import numpy as np
import pytest
import zstandard
from cluster_commands import ClusterCommands, copy, nothing_left
from commands import write_csv
from dev_cluster import HadoopCluster

from hdfs_layout import LocalStore, open_store
from mr_ml.errors import UsageError
from mr_ml.packing import plan
from mr_ml.readers.text.source import expand

CHOICES = ("--folds", "2", "--split-by", "user", "--partitions", "4", "--seed", "3")


def rows(path: Path, n: int, *, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    columns = {
        "x": rng.normal(size=n),
        "colour": rng.choice(["red", "blue"], n).tolist(),
        "user": [f"u{k}" for k in rng.integers(60, size=n)],
        "label": rng.integers(0, 2, n),
    }
    return write_csv(path, columns).read_bytes()


@pytest.mark.slow
def test_globs_of_compressed_files_here_on_hdfs_and_on_s3_with_a_borrowed_schema(
    packed: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes as from copies on this machine, each file in its split; odd names are names.

    What begins with . or _ is left out. On S3 one file is read in place past Hadoop's codec, two are brought to the
    root.
    """
    if on_cluster.s3 is None:
        pytest.skip("the cluster of MR_ML_TEST_HADOOP_DIR was started without --s3")
    on_cluster.s3.use(monkeypatch)
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 11)
    local, here = packed.local, tmp_path / "here"
    here.mkdir()
    rows(here / "first.csv", 300, seed=1)
    local("pack", here / "first.csv", "--to", "first", *CHOICES)
    copy(LocalStore(str(local.root)), packed.store, "datasets/first")

    text = [rows(tmp_path / "any", 200, seed=seed) for seed in range(2, 9)]
    files = {
        "day=1/part-0.csv": text[0].rstrip(b"\n"),
        "day=2/part-1.csv.gz": gzip.compress(text[1][:999]) + gzip.compress(text[1][999:]),
        "day=2/a,b{1}/part-2.csv.bz2": bz2.compress(text[2]),
        "day=3/part 3.csv.zst": zstandard.compress(text[3]),
        "day=3/_SUCCESS": b"",
        "day=3/.part-3.csv.crc": b"not text",
        "else/part-4.csv.gz": gzip.compress(text[4]),
        "else/part-5.csv.bz2": bz2.compress(text[5][:4000]),
        "else/part,6.csv": text[6],
    }
    copies, raw = tmp_path / "copies", f"{on_cluster.hdfs_uri}/user/tests/inputs"
    other = f"s3a://{on_cluster.s3.bucket()}/inputs"
    for path, data in files.items():
        (copies / path).parent.mkdir(parents=True, exist_ok=True)
        (copies / path).write_bytes(data)
        open_store(other if path.startswith("else") else raw).write(path, data)
    name = f"borrowed-{uuid.uuid4().hex[:8]}"
    choices = ("--to", name, "--like", "first", *CHOICES, "--max-bad-rows", "10000")

    def named(days: object, elsewhere: object) -> list[str]:
        splits = (f"train={days}", f"train={here}/first.csv", f"test={elsewhere}/else/part*")
        return [word for split in splits for word in ("--split-inputs", split)]

    expected = local("pack", *named(f"{copies}/day=*", copies), *choices)
    found = packed("pack", *named(f"{raw}/day={{1,2,3}}", other), *choices)
    assert found == expected
    # four files of 200 rows beside the 300 of first.csv, and what is whole of three
    assert found["splits"]["train"] == 1100
    assert found["splits"]["test"] > 400
    ours = packed.store.read(f"datasets/{name}/v000001.json")
    manifest = local.manifest(f"{name}@1")
    theirs = json.loads(ours)["partitions"]
    for key in ("split", "fold", "sha256"):
        assert [partition[key] for partition in theirs] == [partition[key] for partition in manifest["partitions"]]
    assert len({partition["fold"] for partition in manifest["partitions"]}) == 2
    assert nothing_left(packed.store)


def test_patterns_match_what_they_match_on_this_machine(on_cluster: HadoopCluster, tmp_path: Path) -> None:
    names = (
        "a/b/1.csv",
        "a/b/2.csv",
        "a/c/1.csv",
        "a/_c/3.csv",
        "a/.c/3.csv",
        "a/[x]/1.csv",
        "a/1.csv",
        "a/_1.csv",
        "b/1",
    )
    raw = f"{on_cluster.hdfs_uri}/user/tests/patterns"
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        open_store(raw).write(name, b"")

    def there(pattern: str) -> list[str]:
        return [file.path.removeprefix(raw + "/") for file in expand([f"{raw}/{pattern}"])]

    for pattern in (
        "a",
        "a/",
        "a/b",
        "*/b",
        "a/?",
        "a/*",
        "a/*/1.csv",
        "a/**/1.csv",
        "a/[bc]",
        "a/[!b]/*",
        "a/[x]",
        "a/_1.csv",
    ):
        here = [os.path.relpath(file.path, tmp_path) for file in expand([str(tmp_path / pattern)])]
        assert there(pattern) == here, pattern
    assert there("{a/b,b}/{1,2}*") == ["a/b/1.csv", "a/b/2.csv", "b/1"]
    assert there("a/_*") == ["a/_1.csv", "a/_c/3.csv"]
    for pattern in ("a/x*", "a/1.csv/*", "c", "a/[x"):
        with pytest.raises(UsageError, match="expected input files"):
            there(pattern)
