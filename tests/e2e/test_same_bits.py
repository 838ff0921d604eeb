"""The same bits from every engine, runner, number of workers, cut into tasks and restart; from every order of input."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, read_coef, write_libsvm
from mr_ml_jobs.pass_job import MRPass

from hdfs_layout import open_root
from mr_ml import session
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.catalog.run import RunDocument, start_run
from mr_ml.data.partition_file import BlockRange
from mr_ml.errors import InternalError
from mr_ml.ids import unique_id
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.packing import plan
from mr_ml.passes import mapreduce
from mr_ml.passes.in_memory import InMemoryEngine
from mr_ml.passes.mapreduce import MapReduceEngine
from mr_ml.passes.request import assign
from mr_ml.readers.text import source
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic
from mr_ml.training.train import fit, publish

PROBLEMS = {
    "sparse-logistic": ("--loss", "logistic", "--l2", "0.01"),
    "dense-logistic": ("--loss", "logistic", "--l2", "0.001", "--solver", "lbfgs", "--max-passes", "5"),
    "sparse-softmax": ("--loss", "softmax", "--l2", "0.02", "--solver", "lbfgs", "--max-passes", "5"),
    "dense-softmax": ("--loss", "softmax", "--l2", "0.01"),
    "sparse-squared": ("--loss", "squared", "--l2", "0.1", "--solver", "lbfgs", "--max-passes", "5"),
    # so small that there is a pass which factors the rows
    "dense-logistic-l1": ("--loss", "logistic", "--l1", "0.02", "--l2", "0.01"),
    "sparse-logistic-bounds": ("--loss", "logistic", "--l2", "0.01", "--non-negative"),
    "sparse-softmax-l1": ("--loss", "softmax", "--l1", "0.01", "--solver", "proximal-lbfgs", "--max-passes", "6"),
    "dense-squared": ("--loss", "squared", "--l2", "0.1", "--tolerance", "1e-12"),
}


def rows_of(name: str, n: int = 1200) -> tuple[Any, Any]:
    """Features of several scales and labels that depend on them."""
    kind, loss, *_ = name.split("-")
    rng = np.random.default_rng(sum(map(ord, name)))
    d = 60 if kind == "sparse" else 9
    x = rng.normal(size=(n, d)) * np.logspace(-2, 2, d)
    if kind == "sparse":
        x[rng.random(x.shape) < 0.9] = 0
    margin = (x / np.logspace(-2, 2, d)) @ rng.normal(size=d) + rng.normal(size=n)
    if loss == "squared":
        return x, margin
    return x, np.digitize(margin, [0] if loss == "logistic" else [-1, 1])


@pytest.fixture(scope="module")
def mr_ml(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Every problem packed into 5 partitions of many small blocks."""
    folder = tmp_path_factory.mktemp("bits")
    commands = Commands(folder / "root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_BYTES", 1 << 8)
        for name in PROBLEMS:
            shape = commands("pack", write_libsvm(folder / name, *rows_of(name)), "--to", name, "--partitions", "5")
            assert shape["partitions"] == 5
            assert shape["blocks"] > 20
    return commands


def hash_after(mr_ml: Commands, name: str, *args: object) -> str:
    """sha256 of the coefficient file that training gives."""
    found = mr_ml("train", name, "--model", name, *PROBLEMS[name], *args)
    assert found["passes"] >= 2
    return mr_ml.coef(f"{name}@{found['version']}").sha256


@pytest.fixture(scope="module")
def expected(mr_ml: Commands) -> dict[str, str]:
    """sha256 of the coefficients from one process."""
    return {name: hash_after(mr_ml, name, "-r", "inline") for name in PROBLEMS}


def spec_of(mr_ml: Commands, name: str) -> LinearSpec:
    return LinearSpec(**mr_ml("models", "show", name)["spec"])


@pytest.mark.parametrize("name", PROBLEMS)
def test_in_memory(mr_ml: Commands, expected: dict[str, str], name: str) -> None:
    root = open_root(str(mr_ml.root))
    dataset = load_dataset(root, name)
    ranges = [BlockRange(str(mr_ml.root / p.path), p.facts.partition, 0, 0, p.facts.line_bytes, p.facts.n_bytes)
              for p in dataset.partitions]  # fmt: skip
    blocks = tuple(stored for asked in ranges for stored in asked.read())
    engine = InMemoryEngine(dataset.tree("train"), blocks, dataset.expected("train"))
    spec = replace(spec_of(mr_ml, name), model="in-memory")
    run = unique_id()
    start_run(root, run, RunDocument(spec=spec))
    fitted = fit(spec, run=run, dataset=dataset, engine=engine, root=root, watch=lambda progress: None)
    done = publish(fitted, root)
    assert mr_ml.coef(f"in-memory@{done.version}").sha256 == expected[name]


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_local_workers(mr_ml: Commands, expected: dict[str, str], workers: int) -> None:
    found = {name: hash_after(mr_ml, name, "-r", "local", "--workers", workers) for name in PROBLEMS}
    assert found == expected


@pytest.mark.parametrize("n_bytes", [0, 20_000])
def test_room_for_blocks(
    mr_ml: Commands, expected: dict[str, str], n_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No decoded blocks kept between passes, or some; elsewhere there is room for all."""
    monkeypatch.setattr(session, "block_budget", lambda *args: n_bytes)
    assert {name: hash_after(mr_ml, name) for name in PROBLEMS} == expected


@pytest.mark.parametrize("runner", [("-r", "inline"), ("-r", "local", "--workers", "3")], ids=["inline", "local"])
def test_reduce_tasks(
    mr_ml: Commands, expected: dict[str, str], runner: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere there is so little to add that the driver does it alone."""
    monkeypatch.setattr(MRPass, "REDUCE_FROM_BYTES", 0)
    assert {name: hash_after(mr_ml, name, *runner) for name in PROBLEMS} == expected


Assign = Callable[..., list[list[BlockRange]]]


def single_blocks(partitions: Any) -> list[BlockRange]:
    """Every block as a range of its own."""
    return [piece for whole in assign(partitions, n_tasks=1)[0] for piece in pieces(whole, size=1)]


def pieces(whole: BlockRange, *, size: int) -> list[BlockRange]:
    found = []
    for k in range(0, len(whole.line_bytes), size):
        offset = whole.offset + sum(whole.line_bytes[:k])
        found.append(replace(whole, first=whole.first + k, offset=offset, line_bytes=whole.line_bytes[k : k + size]))
    return found


def many_tasks(partitions: Any, *, n_tasks: int) -> list[list[BlockRange]]:
    blocks = single_blocks(partitions)
    return [blocks[k : k + 5] for k in range(0, len(blocks), 5)]


def dealt_at_random(partitions: Any, *, n_tasks: int) -> list[list[BlockRange]]:
    blocks = single_blocks(partitions)
    random.Random(5).shuffle(blocks)
    return [blocks[k::4] for k in range(4)]


def backwards(partitions: Any, *, n_tasks: int) -> list[list[BlockRange]]:
    tasks = assign(partitions, n_tasks=3)
    return [[piece for whole in task[::-1] for piece in pieces(whole, size=3)[::-1]] for task in tasks[::-1]]


@pytest.mark.parametrize("assign", [many_tasks, dealt_at_random, backwards])
def test_block_to_task_assignments(
    mr_ml: Commands, expected: dict[str, str], assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapreduce, "assign", assign)
    runner = ("-r", "inline") if assign is many_tasks else ("-r", "local", "--workers", "2")
    assert {name: hash_after(mr_ml, name, *runner) for name in PROBLEMS} == expected


class Stopped(InternalError):
    """The test's own, for a driver that ends in the middle."""


@pytest.mark.parametrize("name", PROBLEMS)
def test_resumed_after_every_pass(
    mr_ml: Commands, expected: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run that is stopped before each of its passes, resumed on changing runners."""
    run_pass = MapReduceEngine.run
    budget = [0]

    def run(self: MapReduceEngine, query: Query, *, columns: Any = None) -> Statistic:
        if not budget[0]:
            raise Stopped("stopped by the test")
        budget[0] -= 1
        return run_pass(self, query, columns=columns)

    monkeypatch.setattr(MapReduceEngine, "run", run)
    started = mr_ml.run("train", name, "--model", f"{name}-resumed", *PROBLEMS[name], "-r", "inline")
    assert started.code == 70
    (unfinished,) = [r["run"] for r in mr_ml("runs", "list")["runs"] if r["model"] == f"{name}-resumed"]
    for stops in range(1, 200):
        budget[0] = 1
        runner = [("-r", "inline"), ("-r", "local", "--workers", "2")][stops % 2]
        outcome = mr_ml.run("train", "--resume", unfinished, *runner, "--json")
        assert outcome.code in (0, 70)
        if outcome.code == 0:
            break
        assert mr_ml("runs", "show", unfinished)["passes"] == stops
    assert outcome.result["passes"] == stops
    assert outcome.result["run"] == unfinished
    assert mr_ml.coef(f"{name}-resumed").sha256 == expected[name]


def test_resuming_a_finished_run_publishes_nothing_new(mr_ml: Commands, expected: dict[str, str]) -> None:
    first = mr_ml("train", "dense-squared", "--model", "twice", *PROBLEMS["dense-squared"])
    again = mr_ml("train", "--resume", first["run"])
    assert {k: again[k] for k in again if k != "seconds"} == {k: first[k] for k in first if k != "seconds"}
    assert [m["version"] for m in mr_ml("models", "list")["models"] if m["model"] == "twice"] == [first["version"]]


def test_bits_differ_where_the_data_differs(mr_ml: Commands, expected: dict[str, str], tmp_path: Path) -> None:
    """The comparison above can fail: one row less is another model."""
    x, y = rows_of("dense-logistic")
    mr_ml("pack", write_libsvm(tmp_path / "less", x[1:], y[1:]), "--to", "less", "--partitions", "5")
    found = mr_ml("train", "less", "--model", "less", *PROBLEMS["dense-logistic"])
    assert mr_ml.coef(f"less@{found['version']}").sha256 != expected["dense-logistic"]


# Packed files


def pieces_of(text: Path, n: int, folder: Path) -> list[Path]:
    """The lines dealt to n files in a random order."""
    lines = text.read_bytes().splitlines(keepends=True)
    random.Random(n).shuffle(lines)
    folder.mkdir()
    paths = [folder / f"piece-{k}" for k in range(n)]
    for k, path in enumerate(paths):
        path.write_bytes(b"".join(lines[k::n]))
    return paths


def packed_as(mr_ml: Commands, *inputs: object, more: tuple[object, ...] = ()) -> dict[str, Any]:
    """Everything of a dataset that should not depend on how its rows came: hashes of all its files, and its facts."""
    shape = mr_ml("pack", *inputs, "--to", "bits", "--split", "train=0.7,test=0.3", "--partitions", "4", *more)
    reference = f"bits@{shape.pop('version')}"
    manifest = mr_ml.manifest(reference)
    moments = {split: (mr_ml.root / file["uri"]).read_bytes() for split, file in manifest["moments"].items()}
    assert {split: file["sha256"] for split, file in manifest["moments"].items()} == {
        split: hashlib.sha256(data).hexdigest() for split, data in moments.items()
    }
    facts = [{k: v for k, v in p.items() if k != "uri"} for p in manifest["partitions"]]
    return {"files": mr_ml.partition_hashes(reference), "moments": moments, "facts": facts, **shape}


@pytest.mark.parametrize("kind", ["sparse", "dense"])
def test_packed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    mr_ml = Commands(tmp_path / "root")
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 8)
    x, y = rows_of(f"{kind}-softmax", n=900)
    # identical rows, and rows that differ in nothing but the label
    x, y = np.concatenate([x, x[:50], x[:50]]), np.concatenate([y, y[:50], (y[:50] + 1) % 3])
    text = write_libsvm(tmp_path / "rows", x, y)
    expected = packed_as(mr_ml, text, more=("-r", "inline"))
    assert len(set(expected["files"].values())) == 4
    assert {p["sha256"] for p in expected["facts"]} == set(expected["files"].values())

    crlf = tmp_path / "crlf"
    crlf.write_bytes(text.read_bytes().replace(b"\n", b"\r\n"))
    zipped = tmp_path / "rows.gz"
    zipped.write_bytes(gzip.compress(text.read_bytes()))
    bzipped = tmp_path / "rows.bz2"
    bzipped.write_bytes(bz2.compress(text.read_bytes()))
    unended = tmp_path / "unended"
    unended.write_bytes(text.read_bytes().rstrip(b"\n"))
    commented = tmp_path / "commented"
    commented.write_bytes(b"# a comment\n\n" + text.read_bytes().replace(b"\n", b" # and another\n\n"))
    parts = pieces_of(text, 3, tmp_path / "three")
    parts[1].with_suffix(".gz").write_bytes(gzip.compress(parts[1].read_bytes()))
    members = tmp_path / "members.gz"
    half = len(text.read_bytes()) // 2
    members.write_bytes(gzip.compress(text.read_bytes()[:half]) + gzip.compress(text.read_bytes()[half:]))
    variants: dict[str, tuple[object, ...]] = {
        "two workers": (text,),
        "one worker": (text, "-r", "local", "--workers", "1"),
        "seven workers": (text, "-r", "local", "--workers", "7"),
        "CR LF": (crlf,),
        "gzip": (zipped,),
        "gzip of two members": (members,),
        "bzip2": (bzipped,),
        "no newline at the end": (unended,),
        "comments and blank lines": (commented,),
        "three files": (*parts,),
        "three files, last first": (*reversed(parts),),
        "a folder of eleven files": (pieces_of(text, 11, tmp_path / "eleven")[0].parent,),
        "plain and gzip": (parts[0], parts[1].with_suffix(".gz"), parts[2]),
    }  # fmt: skip
    for name, inputs in variants.items():
        assert packed_as(mr_ml, *inputs) == expected, name

    monkeypatch.setattr(source, "RANGE_BYTES", 4096)
    assert packed_as(mr_ml, text) == expected, "many ranges"
    monkeypatch.setattr(source, "RANGE_BYTES", 333)
    assert packed_as(mr_ml, crlf, more=("-r", "inline")) == expected, "ranges hardly longer than a line"

    assert packed_as(mr_ml, text, more=("--seed", "1"))["files"] != expected["files"]
    assert packed_as(mr_ml, *parts[:2])["files"] != expected["files"]


def test_a_dataset_reads_back_as_its_rows(mr_ml: Commands) -> None:
    """Nothing is lost or changed on the way through hash, shuffle and blocks."""
    for name in ("sparse-logistic", "dense-squared"):
        x, y = rows_of(name)
        dataset: Dataset = load_dataset(open_root(str(mr_ml.root)), name)
        rows = []
        for p in dataset.partitions:
            whole = BlockRange(str(mr_ml.root / p.path), p.facts.partition, 0, 0, p.facts.line_bytes, p.facts.n_bytes)
            for stored in whole.read():
                features = stored.block.features.toarray(n_features=x.shape[1])
                rows += np.column_stack([features, stored.block.labels]).tolist()
        assert sorted(rows) == sorted(np.column_stack([x, y.astype(float)]).tolist())
        assert rows != np.column_stack([x, y.astype(float)]).tolist()


def test_read_coef_refuses_other_bytes(mr_ml: Commands, expected: dict[str, str]) -> None:
    """The helper that the comparisons rest on looks at the file itself."""
    shown = mr_ml("models", "show", "dense-squared@1")
    with pytest.raises(AssertionError):
        read_coef({**shown, "coef_sha256": "0" * 64})
