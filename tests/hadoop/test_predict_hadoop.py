"""A model on HDFS in use: the bytes and digits of `-r local`, whatever Hadoop does with splits and attempts."""

from __future__ import annotations

import gzip
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from cluster_commands import ClusterCommands, copy, jvm_starts, nothing_left
from commands import write_csv, write_libsvm
from dev_cluster import HadoopCluster

from hdfs_layout import LocalStore, Store, open_store
from mr_ml.errors import UsageError
from mr_ml.ids import unique_id
from mr_ml.prediction.output import Output


@pytest.fixture(scope="module")
def scored(packed: ClusterCommands, tmp_path_factory: pytest.TempPathFactory) -> ClusterCommands:
    """The models `numbered`, of libsvm text, and `named`, of CSV with a label that holds a tab; here and on HDFS."""
    folder = tmp_path_factory.mktemp("scored")
    rng = np.random.default_rng(8)
    columns = {
        "x": rng.normal(size=60), "colour": rng.choice(["red", "blue"], 60).tolist(),
        "label": rng.choice(['"yes\tindeed"', "no"], 60).tolist(),
    }  # fmt: skip
    packed.local("train", "rows", "--model", "numbered", "--l2", "0.01")
    packed.local("pack", write_csv(folder / "named.csv", columns), "--to", "named")
    packed.local("train", "named", "--model", "named", "--l2", "0.01")
    copy(LocalStore(str(packed.local.root)), packed.store, "models")
    return packed


def raw_files(folder: Path) -> Path:
    """Every kind of text: long, with CRLF, compressed, empty, without a last line feed, with lines that hold no row."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=(700, 6))
    (folder / "day=1").mkdir(parents=True)
    (folder / "day=2").mkdir()
    write_libsvm(folder / "day=1" / "part-0", x, np.zeros(700))
    write_libsvm(folder / "day=1" / "part-1", x[:40], np.ones(40), end="\r\n")
    whole = write_libsvm(folder / "day=2" / "part-0", x[40:80], np.ones(40))
    whole.write_bytes(b"# a comment\n\n0 1:x\n" + whole.read_bytes().rstrip(b"\n"))
    (folder / "day=2" / "part-1").write_bytes(b"")
    packed = write_libsvm(folder / "part-2", x[80:180], np.ones(100))
    (folder / "day=2" / "part-2.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    (folder / "_SUCCESS").write_bytes(b"")
    return folder


def upload(folder: Path, store: Store) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            store.write(path.relative_to(folder).as_posix(), path.read_bytes())


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_folder(
    scored: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One job; a tree of files in, the same tree out; what is there stays."""
    folder = raw_files(tmp_path / "raw")
    place = f"{on_cluster.hdfs_uri}/user/tests/{unique_id()}"
    raw, to = f"{place}/raw", f"{place}/out"
    upload(folder, open_store(raw))
    trace = tmp_path / "trace"
    monkeypatch.setenv("MR_ML_HADOOP_TRACE", str(trace))
    # a slow machine says how far it is
    asked = "predict", "numbered", "--progress", "none"
    found = scored.run(*asked, raw, "--to", to, "--max-bad-rows", "1", "--json", jobconf="{mapreduce.job.maps: 2}")
    assert found.code == 0, found.err
    assert jvm_starts(trace) == ["jar"]
    here = scored.local.run(*asked, folder, "--to", tmp_path / "out", "--max-bad-rows", "1", "--json")
    assert found.err == here.err.replace(str(folder), raw)
    assert {**found.result, "outputs": []} == {**here.result, "outputs": []}
    assert (found.result["n_rows"], found.result["bad_rows"]) == (880, 1)
    store = open_store(to)
    assert [store.uri(path) for path in store.walk("")] == found.result["outputs"]
    assert {path: store.read(path) for path in store.walk("")} == files_of(tmp_path / "out")
    parts = ["day=1/part-0", "day=1/part-1", "day=2/part-0", "day=2/part-1", "day=2/part-2"]
    assert sorted(files_of(tmp_path / "out")) == parts

    again = scored.run(*asked, raw, "--to", to)
    assert (again.code, f"--to {to} exists" in again.err) == (2, True)
    assert jvm_starts(trace) == ["jar"]
    assert nothing_left(scored.store)
    assert open_store(place).list("") == ("out", "raw")


@pytest.mark.slow
def test_an_attempt_that_is_killed_leaves_nothing(
    scored: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path
) -> None:
    """CSV in several splits; each first attempt writes a part of its lines, then dies. The output lies here."""
    rng = np.random.default_rng(10)
    file = write_csv(
        tmp_path / "rows.csv", {"colour": rng.choice(["red", "blue"], 400).tolist(), "x": rng.normal(size=400)}
    )
    raw = f"{on_cluster.hdfs_uri}/user/tests/score-csv"
    open_store(raw).write("rows.csv", file.read_bytes())
    deaths = tmp_path / "deaths"
    deaths.touch()
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$mapreduce_task_attempt_id" in *_0)\n  {sys.executable} "$@" | head -c 500\n'
        f'  echo died >>{deaths}\n  kill -9 $$;;\nesac\nexec {sys.executable} "$@"\n'
    )
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    found = scored(
        "predict", "named", f"{raw}/rows.csv", "--to", tmp_path / "out", python=python,
        jobconf="{mapreduce.job.maps: 2}",
    )  # fmt: skip
    assert len(deaths.read_text().splitlines()) >= 2
    scored.local("predict", "named", file, "--to", tmp_path / "expected")
    assert found["outputs"] == [str(tmp_path / "out")]
    assert (tmp_path / "out").read_bytes() == (tmp_path / "expected").read_bytes()
    assert len((tmp_path / "out").read_bytes().splitlines()) == 401
    assert nothing_left(scored.store)


@pytest.mark.slow
def test_bad_rows_refuse_the_whole(scored: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path) -> None:
    file = tmp_path / "bad.libsvm"
    # Hadoop ends lines that tasks print at a carriage return
    bad = "0 2:x\n" + "0 2:1\r1\n"
    file.write_bytes(("1 1:0.5\n" * 30 + bad + "1 2:0.25\n" * 30 + "0 2:1 1:1\n").encode())
    raw = f"{on_cluster.hdfs_uri}/user/tests/score-bad"
    open_store(raw).write(file.name, file.read_bytes())
    found = scored.run(
        "predict",
        "numbered",
        f"{raw}/{file.name}",
        "--to",
        f"{raw}/out",
        "--progress",
        "none",
        jobconf="{mapreduce.job.maps: 3}",
    )
    here = scored.local.run("predict", "numbered", file, "--to", tmp_path / "out")
    assert (found.code, here.code) == (65, 65)
    assert found.err == here.err.replace(str(file), f"{raw}/{file.name}")
    assert f"{raw}/{file.name}:31: 0 2:x" in found.err
    assert open_store(raw).list("") == (file.name,)
    assert nothing_left(scored.store)


@pytest.mark.parametrize("name", ["", "day=1/part-0"])
def test_a_name_that_is_taken_meanwhile_stays_as_it_is(on_cluster: HadoopCluster, name: str) -> None:
    """The output is a file or a folder; what came first was empty or not, a file or a folder."""
    store = open_store(f"{on_cluster.hdfs_uri}/user/tests/taken")
    for first in ("out", "out/of/another"):
        store.remove_tree("out")
        with Output(store.uri("out")) as output:
            output.write(name, [b"ours\n"])
            store.write(first, b"theirs")
            with pytest.raises(UsageError, match="exists"):
                output.publish()
        assert store.walk("") == (first,)
        assert store.read(first) == b"theirs"
    store.remove_tree("out")
    with Output(store.uri("out")) as output:
        output.write(name, [b"ours\n"])
        assert store.walk("") == ()
        output.publish()
    assert store.walk("") == (f"out/{name}".rstrip("/"),)
    assert output.uri(name) == store.uri(f"out/{name}".rstrip("/"))


def test_what_cannot_be_scored(scored: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path) -> None:
    """Said before any job."""
    raw = f"{on_cluster.hdfs_uri}/user/tests/nothing"
    missing = scored.run("predict", "numbered", raw, "--to", tmp_path / "out")
    assert (missing.code, raw in missing.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_evaluate_and_the_commands_without_jobs(
    scored: ClusterCommands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every digit of the metrics, from one job; and what there is, said of a root on HDFS."""
    trace = tmp_path / "trace"
    monkeypatch.setenv("MR_ML_HADOOP_TRACE", str(trace))
    assert scored("evaluate", "numbered", "rows", "--split", "train") == scored.local(
        "evaluate", "numbered", "rows", "--split", "train"
    )
    assert jvm_starts(trace) == ["jar"]
    assert scored.here("describe", "rows") == scored.local("describe", "rows")
    # but for when that was, by each storage's clock
    there, local = scored.here("models", "list")["models"], scored.local("models", "list")["models"]
    assert [{**one, "published": ""} for one in there] == [{**one, "published": ""} for one in local]
    shown, here = scored.here("models", "show", "numbered"), scored.local("models", "show", "numbered")
    assert shown["coef_uri"].startswith(scored.root)
    assert {**shown, "coef_uri": ""} == {**here, "coef_uri": ""}
    copy(LocalStore(str(scored.local.root)), scored.store, f"runs/{here['run']}")
    runs = {run["run"]: run for run in scored.here("runs", "list")["runs"]}
    assert runs[here["run"]]["status"] == "done"
    assert scored.here("runs", "show", here["run"]) == scored.local("runs", "show", here["run"])
    assert jvm_starts(trace) == ["jar"]
