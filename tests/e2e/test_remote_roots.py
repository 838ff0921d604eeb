"""A root that is no folder of this machine, and tasks on this machine: what a folder would hold, bit for bit."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toys
from commands import Commands, write_libsvm
from daily import SETTINGS, Daily
from world import RemoteStore

import mr_ml
from hdfs_layout import STORES, Root, Store, StoreUnavailableError, open_root, open_store
from mr_ml import session
from mr_ml.data import from_store, partition_file
from mr_ml.errors import BadDataError, MrMlError
from mr_ml.packing import plan

DYING = str(Path(__file__).parents[1] / "faults" / "dying_driver.py")
TRAIN: dict[str, Any] = {"loss": "logistic", "l2": 0.01, "solver": "newton"}
RUNNERS: dict[str, dict[str, Any]] = {"inline": {"runner": "inline"}, "local": {"runner": "local", "workers": 2}}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1200 rows, half of which are there three times: these make a second round of packing."""
    rng = np.random.default_rng(15)
    x = np.round(rng.normal(size=(600, 6)), 3)
    y = (x @ [2, -1, 0.5, 0, 1, 0] + rng.normal(size=600) > 0).astype(int)
    rows = np.r_[0:600, 0:300, 0:300]
    return write_libsvm(tmp_path_factory.mktemp("remote") / "rows", x[rows], y[rows])


@pytest.fixture(autouse=True)
def _many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 11)
    # three lines a request
    monkeypatch.setattr(from_store, "REQUEST_BYTES", 1 << 12)


def remote(folder: Path) -> Root:
    """A root in a folder, whose files can be reached by the store alone."""
    root = open_root(folder)
    return Root(RemoteStore(root.store.root), root.layout)


def pack(root: Root, text: Path, **where: Any) -> None:
    mr_ml.pack(root, text, "rows", split={"train": 0.8, "test": 0.2}, seed=3, partitions=6, **where)


def everything(root: Root, text: Path, to: Path, **where: Any) -> dict[str, Any]:
    """Pack, train, evaluate and predict; what came of it."""
    pack(root, text, **where)
    dataset = mr_ml.load_dataset(root, "rows")
    manifest = json.dumps(dataset.to_json()).replace(dataset.data_id, "")
    found: dict[str, Any] = {"manifest": manifest, "files": [root.store.read(p.path) for p in dataset.partitions]}
    for solver in ("newton", "lbfgs"):
        mr_ml.train(root, "rows", solver, **{**TRAIN, "solver": solver}, verify=True, **where)
        found[solver] = coefficients(root, solver)
    found["metrics"] = mr_ml.evaluate(root, "newton", "rows", **where)
    mr_ml.predict(root, "newton", text, to, **where)
    return {**found, "predictions": to.read_bytes()}


def coefficients(root: Root, model: str) -> bytes:
    return root.store.read(mr_ml.load_model(root, model).manifest["coef"]["uri"])


@pytest.fixture(scope="module")
def expected(text: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What there is in a folder."""
    folder = tmp_path_factory.mktemp("folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_BYTES", 1 << 11)
        found = everything(open_root(folder / "root"), text, folder / "out", runner="inline")
    assert len(found["files"]) == 6
    assert min(file.count(b"\n") for file in found["files"]) >= 3
    return found


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("room", ["blocks in memory", "none"])
def test_the_same_bits(
    text: Path, expected: dict[str, Any], tmp_path: Path, runner: str, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if room == "none":
        monkeypatch.setattr(session, "block_budget", lambda *args: 0)
    assert everything(remote(tmp_path / "root"), text, tmp_path / "out", **RUNNERS[runner]) == expected
    left = [path for path in (tmp_path / "root").rglob("*") if path.name.startswith(".") and path.is_file()]
    assert left == []


@pytest.fixture(params=["versitygw_server", pytest.param("hadoop_cluster", marks=pytest.mark.slow)])
def real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Root:
    """An empty root on a real server."""
    server = request.getfixturevalue(request.param)
    if request.param == "versitygw_server":
        server.use(monkeypatch)
        return open_root(f"s3://{server.bucket()}/mr_ml")
    monkeypatch.setenv("HADOOP_CONF_DIR", server.environment["HADOOP_CONF_DIR"])
    return open_root(f"{server.hdfs_uri}/user/tests/remote-{uuid.uuid4().hex}")


def test_the_same_bits_on_a_real_server(real: Root, text: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    """Workers of earlier tests are asked, which were started before the server was."""
    pack(remote(tmp_path / "root"), text, **RUNNERS["local"])
    assert everything(real, text, tmp_path / "out", **RUNNERS["local"]) == expected
    assert not real.store.exists("tmp")


class Counting(RemoteStore):
    """Counts what is read of partitions, and fails from some number on."""

    asked = 0
    fails_at = 1 << 30

    def read_range(self, path: str, *, offset: int, length: int) -> bytes:
        Counting.asked += 1
        if Counting.asked >= self.fails_at:
            raise StoreUnavailableError(f"{self.uri(path)}: no answer")
        return super().read_range(path, offset=offset, length=length)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    def opened(root: str) -> Store:
        return Counting(root)

    monkeypatch.setattr(partition_file, "open_store", opened)
    monkeypatch.setattr(Counting, "asked", 0)
    return Counting


def test_later_passes_read_nothing(text: Path, tmp_path: Path, counting: type[Counting]) -> None:
    root = remote(tmp_path / "root")
    pack(root, text)
    counts = []
    Counting.asked = 0
    mr_ml.train(root, "rows", "m", **TRAIN, watch=lambda progress: counts.append(Counting.asked))
    n_lines = sum(p.facts.blocks for p in mr_ml.load_dataset(root, "rows").of_split("train"))
    assert len(counts) >= 3
    assert 0 < counts[0] == counts[-1] < n_lines


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("fault", ["missing", "truncated", "damaged"])
def test_a_faulty_partition_is_named(text: Path, tmp_path: Path, fault: str, runner: str) -> None:
    root = remote(tmp_path / "root")
    pack(root, text)
    partition = mr_ml.load_dataset(root, "rows").of_split("train")[1]
    path = tmp_path / "root" / partition.path
    data = path.read_bytes()
    if fault == "missing":
        path.unlink()
    elif fault == "truncated":
        path.write_bytes(data[:-7])
    else:
        middle = len(data) // 2
        path.write_bytes(data[:middle] + b"~~~~" + data[middle + 4 :])
    with pytest.raises(BadDataError, match=str(path)):
        mr_ml.train(root, "rows", "m", **TRAIN, **RUNNERS[runner])
    assert not (tmp_path / "root/models/m").exists()
    path.write_bytes(data)
    mr_ml.train(root, "rows", "m", **TRAIN, **RUNNERS[runner])


def test_a_store_that_is_lost_in_the_middle(
    text: Path, expected: dict[str, Any], tmp_path: Path, counting: type[Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on when the store is there again."""
    root = remote(tmp_path / "root")
    pack(root, text)
    monkeypatch.setattr(session, "block_budget", lambda *args: 0)
    monkeypatch.setattr(Counting, "fails_at", 30)
    Counting.asked = 0
    said: list[str] = []
    with pytest.raises(StoreUnavailableError, match=str(tmp_path)) as raised:
        mr_ml.train(root, "rows", "m", **TRAIN, say=said.append)
    assert raised.value.exit_code == 69
    monkeypatch.setattr(Counting, "fails_at", 1 << 30)
    mr_ml.resume(root, said[0].removeprefix("run ").partition(":")[0])
    assert coefficients(root, "m") == expected["newton"]


def test_a_pack_that_cannot_store_its_files_leaves_nothing(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(RemoteStore):
        def write(self, path: str, data: bytes | Iterable[bytes], *, private: bool = False) -> None:
            if path.endswith("3"):
                raise StoreUnavailableError(f"{self.uri(path)}: no answer")
            super().write(path, data)

    monkeypatch.setattr(partition_file, "open_store", Full)
    with pytest.raises(MrMlError, match="part-00003: no answer") as raised:
        pack(remote(tmp_path / "root"), text)
    assert raised.value.exit_code == 69
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == []


@pytest.fixture
def far(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A root of an installed package's store, which worker processes find too."""
    monkeypatch.setenv("PYTHONPATH", str(toys.INSTALLED))
    toys.install(request, STORES, "far")
    return f"far://{tmp_path}/root"


def test_a_driver_that_is_killed(far: str, text: Path, expected: dict[str, Any]) -> None:
    """By the command line; its worker processes open the store by its root."""
    root, commands = open_root(far), Commands(far)  # type: ignore[arg-type]
    pack(root, text)
    train = ("train", "rows", "--model", "m", "--loss", "logistic", "--l2", "0.01", "--solver", "newton")
    assert commands.process(*train, program=(DYING, "25", "SIGKILL", "", "0")).code == -signal.SIGKILL
    (run,) = commands("runs", "list")["runs"]
    assert run["passes"] >= 1
    done = commands.process("train", "--resume", run["run"])
    assert done.code == 0, done.err
    assert coefficients(root, "m") == expected["newton"]


def test_a_night(far: str, tmp_path: Path) -> None:
    """With a lease instead of a lock of this machine's kernel."""
    found = []
    for root in ("root: root", f"root: {far}"):
        daily = Daily(tmp_path / root[6:10])
        daily.folder.mkdir()
        daily.configure(SETTINGS.replace("root: root", root))
        daily.add(0, 5)
        daily.published(4)
        store = open_store(far) if "far" in root else open_store(str(daily.root))
        found.append(coefficients(Root(store, open_root(far).layout), "ctr"))
    assert found[0] == found[1]
    assert open_store(far).walk("locks")
