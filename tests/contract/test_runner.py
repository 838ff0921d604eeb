"""What every runner does: it finds text, brings it to tasks, proves that all was read, and carries errors back.

A new runner joins by an entry in `RUNNER_KINDS`. Hadoop is a real one (see tests/dev_cluster.py).
"""

from __future__ import annotations

import gzip
import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from commands import Commands
from mr_ml_jobs.predict_job import MRPredict
from mr_ml_jobs.scan_job import MRScan
from spark_contexts import CLUSTER, QUICK_JAVA, SparkContexts
from toys import install

from hdfs_layout import STORES, LocalStore, Root, Store, open_root
from mr_ml.errors import BadDataError, InternalError, UsageError
from mr_ml.models.linear.losses.squared import SquaredLoss
from mr_ml.models.linear.predictor import LinearPredictor
from mr_ml.packing.tasks import ScanRequest
from mr_ml.prediction.outputs.base import Columns
from mr_ml.prediction.tasks import PredictRequest, RangeReport
from mr_ml.readers.base import format_named
from mr_ml.readers.summary import Summary
from mr_ml.readers.text import source
from mr_ml.runners.base import RUNNERS, Pair, Place, Runner, RunnerKind, RunnerOptions
from mr_ml.runners.local.machine import LocalJobRunner

FORM = format_named("libsvm")
OPTIONS = FORM.options({"index_base": "1"})
# in this order, because the next module begins with the last one, which is open then
SPARK = {"spark-cluster": CLUSTER, "spark": "local[2]"}
RUNNER_KINDS = ["inline", "local", "toy", pytest.param("hadoop", marks=pytest.mark.slow), *SPARK]


# one kind after the other: a SparkContext takes long to open
@pytest.fixture(params=RUNNER_KINDS, scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def runner(kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    if kind == "toy":
        # of an installed package, see docs/extending.md
        install(request, RUNNERS, "toy")
    if kind in SPARK:
        for name, value in QUICK_JAVA.items():
            monkeypatch.setenv(name, value)
        contexts: SparkContexts = request.getfixturevalue("spark_contexts")
        return contexts.runner(open_root(str(tmp_path / "root")), SPARK[kind])
    if kind != "hadoop":
        options = RunnerOptions(workers=2)
        return RUNNERS.get(kind).open(open_root(str(tmp_path / "root")), options)
    cluster = request.getfixturevalue("hadoop_cluster")
    for name in ("HADOOP_HOME", "HADOOP_CONF_DIR", "HADOOP_LOG_DIR", "JAVA_HOME", "PATH"):
        if name in cluster.environment:
            monkeypatch.setenv(name, cluster.environment[name])
    config = tmp_path / "cluster.yaml"
    config.write_text(f"python: {sys.executable}\n")
    root = open_root(f"{cluster.hdfs_uri}/user/tests/runner-{uuid.uuid4().hex}")
    return RUNNERS.get("hadoop").open(root, RunnerOptions(config=str(config)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """320 rows: plain text of several ranges, one without a line feed at the end, a compressed file, an empty one."""
    found = tmp_path / "text"
    found.mkdir()
    rows = [b"%d 1:%d\n" % (k % 2, k + 1) for k in range(320)]
    (found / "a").write_bytes(b"".join(rows[:200]))
    (found / "b").write_bytes(b"".join(rows[200:250]).rstrip(b"\n"))
    (found / "c.gz").write_bytes(gzip.compress(b"".join(rows[250:])))
    (found / "d").touch()
    (found / ".hidden").write_bytes(b"no row\n")
    return found


@pytest.fixture
def mr_ml_root(tmp_path: Path) -> Commands:
    return Commands(tmp_path / "root", runner=("-r", "inline"))


def scanned(runner: Runner, folder: Path) -> list[tuple[Place, Summary]]:
    with runner.text([str(folder)]) as text:
        pairs = runner.run(MRScan, request=ScanRequest(OPTIONS).encode(), input=text.input(text.files, FORM.name))
        return [(text.place(*json.loads(key)), Summary.from_json(json.loads(value))) for key, value in pairs]


def test_all_text_is_read_and_that_is_proved(runner: Runner, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "RANGE_BYTES", 700)
    found = scanned(runner, folder)
    assert sum(summary.n_rows for _, summary in found) == 320
    with runner.text([str(folder)]) as text:
        assert [file.path for file in text.files] == [str(folder / name) for name in ("a", "b", "c.gz", "d")]
        assert [text.first_line(file) for file in text.files] == [b"0 1:1\n", b"0 1:201\n", b"0 1:251\n", b""]
        places = [place for place, _ in found]
        text.check_read(text.files, FORM.name, places, doing="scanning")
        text.check_rest(text.files)
        whole = next(place for place in places if place.file == str(folder / "b"))
        with pytest.raises(InternalError, match=f"scanning {folder}/b"):
            text.check_read(text.files, FORM.name, [place for place in places if place != whole], doing="scanning")
        with pytest.raises(InternalError, match=f"scanning {folder}/b"):
            text.check_read(text.files, FORM.name, [*places, whole], doing="scanning")


def test_what_a_task_raises_reaches_the_driver(runner: Runner, folder: Path) -> None:
    """The same error, which names the file as its user does."""
    damaged = folder / "c.gz"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with (
        runner.text([str(folder)]) as text,
        pytest.raises(BadDataError, match=f"{damaged}: expected more gzip data"),
        text.renaming(),
    ):
        runner.run(MRScan, request=ScanRequest(OPTIONS).encode(), input=text.input(text.files, FORM.name))


def test_the_lines_that_tasks_leave_are_read_back_whole(
    runner: Runner, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = sum((summary for _, summary in scanned(LocalJobRunner("inline", 1), folder)), Summary())
    schema = FORM.resolve(OPTIONS, summary)
    monkeypatch.setattr(source, "RANGE_BYTES", 700)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    request = PredictRequest(
        schema, LinearPredictor(SquaredLoss(), np.array([[2.0, 1.0]])), Columns((), ()), str(scratch)
    )
    found: dict[tuple[str, int], list[float]] = {}
    with (
        runner.text([str(folder)]) as text,
        runner.left(MRPredict, request=request.encode(), input=text.input(text.files, FORM.name)) as files,
    ):
        for file in files:
            report = RangeReport.decode(file.report)
            lines = b"".join(file.lines())
            assert (len(lines), lines.count(b"\n")) == (report.n_written, report.n_lines)
            place = text.place(report.file, report.start, report.n_read)
            found[place.file, place.start] = [float(line) for line in lines.splitlines()]
    assert [value for _, values in sorted(found.items()) for value in values] == [2.0 * k + 3 for k in range(320)]


def test_an_unknown_runner_is_refused_with_those_that_are_known(mr_ml_root: Commands, tmp_path: Path) -> None:
    found = mr_ml_root.run("predict", "m", tmp_path, "--to", tmp_path / "out", "-r", "sparc")
    assert found.code == 2
    assert "runner 'sparc' is not known (did you mean 'spark'?); choose one of inline, local, hadoop" in found.err


# --- from outside -----------------------------------------------------------------------------------------------------


class ToyRunner:
    """Notes the jobs that it hands to another runner."""

    name = "toy"

    def __init__(self) -> None:
        self._here = LocalJobRunner("inline", 1)
        self.jobs: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._here, name)

    def of_work(self, work: str) -> ToyRunner:
        return self

    def run(self, job: Any, **options: Any) -> list[Pair]:
        self.jobs.append(job.__name__)
        return self._here.run(job, **options)


class ToyStore(LocalStore):
    """A folder under an address of its own."""

    def uri(self, path: str) -> str:
        return f"toy://{super().uri(path)}"


@contextmanager
def registered(runner: ToyRunner) -> Iterator[None]:
    """A runner and a store that joined by function calls."""
    RUNNERS.register("toy", RunnerKind(description="a toy", open=lambda root, options: cast(Runner, runner)))
    STORES.register("toy", lambda root: ToyStore(root.removeprefix("toy://")))
    try:
        yield
    finally:
        RUNNERS.unregister("toy")
        STORES.unregister("toy")


def test_a_runner_and_a_store_join_from_outside(mr_ml_root: Commands, folder: Path, tmp_path: Path) -> None:
    """The same bytes as ever, packed, trained and predicted by them."""
    toy = ToyRunner()
    outside = Commands(f"toy://{tmp_path}/other", runner=("-r", "toy"))  # type: ignore[arg-type]
    train = ("train", "rows", "--model", "m", "--l2", "0.1", "--loss", "logistic")
    with registered(toy):
        store: Store = open_root(outside.root).store
        for commands in (mr_ml_root, outside):
            commands("pack", folder, "--to", "rows", "--seed", "3")
            commands(*train)
            out = tmp_path / f"out{len(toy.jobs)}"
            commands("predict", "m", folder / "a", "--to", out)
        assert isinstance(store, ToyStore)
        manifest = store.read("datasets/rows/v000001.json")
    assert sorted(set(toy.jobs)) == ["MRPack", "MRPass", "MRScan"]
    hashes = mr_ml_root.partition_hashes("rows@1")
    assert hashes
    assert all(f'"{digest}"'.encode() in manifest for digest in hashes.values())
    one, two = sorted(path for path in tmp_path.iterdir() if path.name.startswith("out"))
    assert one.read_bytes() == two.read_bytes()
    with pytest.raises(UsageError, match="choose one of"):
        RUNNERS.get("toy")


def test_a_root_of_a_store_that_is_not_known(mr_ml_root: Commands) -> None:
    assert isinstance(open_root(str(mr_ml_root.root)), Root)
    with pytest.raises(UsageError, match=r"file://, hdfs://, webhdfs://, swebhdfs://, s3://, s3a://; found 'toy:///x'"):
        open_root("toy:///x")
