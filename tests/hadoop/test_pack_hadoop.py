"""Packing raw files that lie on HDFS: the same bytes as packing them on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cluster_commands import ClusterCommands, jvm_starts, nothing_left
from commands import write_csv
from dev_cluster import HadoopCluster

from hdfs_layout import open_store
from mr_ml.packing import plan

# each partition is a reduce task
OPTIONS = ("--split", "train=0.75,test=0.25", "--partitions", "3", "--seed", "3")


@pytest.mark.slow
def test_the_same_files_and_facts(
    packed: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two CSV files with headers, cut into several splits; one ends without a line feed, one has CRLF."""
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 11)
    rng = np.random.default_rng(5)
    folder = tmp_path / "raw"
    folder.mkdir()
    raw = f"{on_cluster.hdfs_uri}/user/tests/raw"
    for name, n in (("a.csv", 500), ("b.csv", 300)):
        path = write_csv(
            folder / name,
            {
                "x": rng.normal(size=n),
                "colour": rng.choice(["red", "blue"], n).tolist(),
                "label": rng.integers(0, 2, n),
            },
        )
        text = path.read_bytes()
        path.write_bytes(text.rstrip(b"\n") if name == "a.csv" else text.replace(b"\n", b"\r\n"))
        open_store(raw).write(name, path.read_bytes())
    trace = tmp_path / "trace"
    monkeypatch.setenv("MR_ML_HADOOP_TRACE", str(trace))
    found = packed("pack", raw, "--to", "colours", "--format", "csv", *OPTIONS, jobconf="{mapreduce.job.maps: 3}")
    expected = packed.local("pack", folder, "--to", "colours", "--format", "csv", *OPTIONS)
    assert found == expected
    assert jvm_starts(trace) == ["jar"]
    here = json.loads(packed.store.read("datasets/colours/v000001.json"))
    there = packed.local.manifest("colours@1")
    assert here["schema"] == there["schema"]
    facts = ("partition", "split", "blocks", "rows", "nnz", "bytes", "sha256", "digest", "line_bytes")
    assert [[p[key] for key in facts] for p in here["partitions"]] == [
        [p[key] for key in facts] for p in there["partitions"]
    ]
    for ours, theirs in zip(here["partitions"], there["partitions"], strict=True):
        assert packed.store.read(ours["uri"]) == (packed.local.root / theirs["uri"]).read_bytes()
    for split, ours in here["moments"].items():
        assert packed.store.read(ours["uri"]) == (packed.local.root / there["moments"][split]["uri"]).read_bytes()
    data = here["partitions"][0]["uri"].rpartition("/")[0]
    assert [name for name in packed.store.list(data) if not name.startswith("moments-")] == [
        f"part-{number:05d}" for number in range(3)
    ]
    by_driver = packed("pack", raw, "--to", "colours", "--format", "csv", *OPTIONS, pack_in_driver_mb=256)
    assert by_driver == {**expected, "version": 2}
    assert jvm_starts(trace) == ["jar"]
    again = json.loads(packed.store.read("datasets/colours/v000002.json"))
    assert [p["sha256"] for p in again["partitions"]] == [p["sha256"] for p in here["partitions"]]
    assert nothing_left(packed.store)


@pytest.mark.slow
def test_equal_rows_are_dealt_as_on_this_machine(
    packed: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path
) -> None:
    """Few distinct rows, each many times and in both files: they meet, and one more job deals them."""
    rng = np.random.default_rng(9)
    folder = tmp_path / "few"
    folder.mkdir()
    raw = f"{on_cluster.hdfs_uri}/user/tests/few"
    for name, n in (("a.libsvm", 400), ("b.libsvm", 200)):
        text = "".join(f"{k % 2} 1:{k % 3} {2 + k % 5}:1\n" for k in rng.integers(0, 12, n).tolist())
        (folder / name).write_text(text)
        open_store(raw).write(name, text.encode())
    # a map task for each file
    found = packed("pack", raw, "--to", "few", *OPTIONS, jobconf="{mapreduce.job.maps: 1}")
    assert found == packed.local("pack", folder, "--to", "few", *OPTIONS)
    # by chance 0.25 of 600 rows are 150; by whole kinds of rows it would be a multiple of 50
    assert 110 < found["splits"]["test"] < 190
    here, there = json.loads(packed.store.read("datasets/few/v000001.json")), packed.local.manifest("few@1")
    for ours, theirs in zip(here["partitions"], there["partitions"], strict=True):
        assert packed.store.read(ours["uri"]) == (packed.local.root / theirs["uri"]).read_bytes()
    assert nothing_left(packed.store)


@pytest.mark.slow
def test_bad_rows_are_found_where_they_are(packed: ClusterCommands, on_cluster: HadoopCluster) -> None:
    raw = f"{on_cluster.hdfs_uri}/user/tests/bad"
    open_store(raw).write("rows.libsvm", b"1 1:0.5\n0 1:1\r2\n1 1:0.25\n0 2:x\n")
    found = packed.run("pack", f"{raw}/rows.libsvm", "--to", "bad")
    assert found.code == 65
    assert "2 bad rows beside 2 good ones" in found.err
    assert f"{raw}/rows.libsvm:2: " in found.err
    assert f"{raw}/rows.libsvm:4: 0 2:x" in found.err
    # but for the folder that was the job's
    assert not packed.store.exists("datasets/bad") or not packed.store.walk("datasets/bad")
    assert nothing_left(packed.store)


def test_inputs_that_cannot_be_packed(packed: ClusterCommands, on_cluster: HadoopCluster) -> None:
    raw = f"{on_cluster.hdfs_uri}/user/tests/odd"
    store = open_store(raw)
    store.write("rows.libsvm.gz", b"")
    store.write("plain.libsvm.gz", b"1 1:1\n")
    store.write("rows.libsvm.xz", b"")
    store.write("mark.libsvm", b"\xef\xbb\xbf1 1:1\n")
    store.write("hidden/_SUCCESS", b"")
    for given, code, said in (
        ("rows.libsvm", 2, "nothing that matches 'rows.libsvm'"),
        (f"{raw}/none", 2, f"nothing that matches '{raw}/none'"),
        (f"{raw}/no*ne", 2, f"nothing that matches '{raw}/no*ne'"),
        (f"{raw}/hidden", 2, f"nothing that matches '{raw}/hidden'"),
        (f"{raw}/hidden/*", 2, f"nothing that matches '{raw}/hidden/*'"),
        ("gs://bucket/mark.libsvm", 2, "there is no store"),
        (f"{raw}/rows.libsvm.xz", 2, "decompress it"),
        (f"{raw}/rows.libsvm.gz", 65, "found an empty file"),
        (f"{raw}/plain.libsvm.gz", 65, "found other data"),
        (f"{raw}/mark.libsvm", 65, "byte order mark"),
    ):
        found = packed.run("pack", given, "--to", "odd")
        assert (found.code, said in found.err) == (code, True), found.err
