"""What the store says and does while a real HDFS is read-only, full, half dead or gone. See also test_hdfs_ha."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dev_cluster import HadoopCluster, running_cluster, skip_if_unwanted
from far_nights import brought, ended, is_there, unfinished_night

from hdfs_layout import NotFoundError, Store, StoreUnavailableError, check_store, open_store
from hdfs_layout.hdfs import http as hadoop_http
from hdfs_layout.hdfs import webhdfs
from mr_ml.cli import main
from mr_ml.errors import StorageError

pytestmark = pytest.mark.slow

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HadoopCluster]:
    """A cluster to break, with small blocks and small pages of lists. Each test leaves it whole."""
    skip_if_unwanted()
    settings = ("dfs.blocksize=1048576", "dfs.ls.limit=7")
    options = [word for setting in settings for word in ("--set", f"hdfs-site:{setting}")]
    options.append("--no-yarn")
    with running_cluster(tmp_path_factory.mktemp("hadoop"), workers=2, options=tuple(options)) as cluster:
        yield cluster


@pytest.fixture
def store(cluster: HadoopCluster, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HADOOP_CONF_DIR", cluster.environment["HADOOP_CONF_DIR"])
    monkeypatch.setenv("HADOOP_USER_NAME", "somebody")
    store = open_store(f"{cluster.hdfs_uri}/tmp/faults-{uuid.uuid4().hex}")
    store.write("folder/file", b"content")
    store.write("folder/.staged", b"staged")
    return store


def admin(cluster: HadoopCluster, *arguments: str) -> None:
    done = cluster.hadoop("dfsadmin", *arguments)
    assert done.returncode == 0, done.stderr


def changes(store: Store) -> list[Callable[[], None]]:
    return [
        lambda: store.write("folder/new", b"content"),
        lambda: store.write("folder/file", [b"content"]),
        lambda: store.make_folder("folder/new"),
        lambda: store.publish("folder/.staged", "folder/target"),
        lambda: store.remove("folder/file"),
        lambda: store.remove_tree("folder"),
        lambda: check_store(store),
    ]


def looks(store: Store) -> list[Callable[[], object]]:
    return [
        lambda: store.read("folder/file"),
        lambda: store.read_range("folder/file", offset=0, length=1),
        lambda: store.open_read("folder/file"),
        lambda: store.exists("folder/file"),
        lambda: store.size("folder/file"),
        lambda: store.list("folder"),
        lambda: store.walk(""),
    ]


def assert_whole(store: Store) -> None:
    assert store.walk("") == ("folder/file",)
    assert store.read("folder/file") == b"content"
    assert store.read("folder/.staged") == b"staged"


def test_lists_of_many_pages(store: Store) -> None:
    names = sorted([f"{number:03d}" for number in range(40)] + ["a b", "a%20b", "a+b", "é", "名", "\N{GRINNING FACE}"])
    for name in names:
        store.make_folder(f"many/{name}")
    assert store.list("many") == tuple(names)
    store.write("many/020/x", b"")
    store.write("many/a%20b/x", b"")
    assert store.walk("many") == ("many/020/x", "many/a%20b/x")


def test_a_file_that_we_write_in_several_blocks(store: Store) -> None:
    content = os.urandom(3 * MEBIBYTE + 1)
    store.write("big", content)
    assert store.read("big") == content
    for offset in (MEBIBYTE - 1, MEBIBYTE, 3 * MEBIBYTE):
        assert store.read_range("big", offset=offset, length=MEBIBYTE) == content[offset : offset + MEBIBYTE]


def test_safe_mode(cluster: HadoopCluster, store: Store) -> None:
    admin(cluster, "-safemode", "enter")
    try:
        for change in changes(store):
            with pytest.raises(StoreUnavailableError, match="safe mode") as raised:
                change()
            assert raised.value.exit_code == 69
            assert "dfsadmin -safemode get" in str(raised.value)
        assert_whole(store)
    finally:
        admin(cluster, "-safemode", "leave")
    assert_whole(store)
    store.publish("folder/.staged", "folder/target")


def test_quota_of_names(cluster: HadoopCluster, store: Store) -> None:
    folder = store.root.removeprefix(cluster.hdfs_uri)
    admin(cluster, "-setQuota", "4", folder)  # the folder itself, folder/ and the two files
    changes: tuple[Callable[[], object], ...] = (
        lambda: store.write("folder/new", b"content"),
        lambda: store.write("folder/file", b"another"),
        lambda: store.make_folder("new"),
    )
    for change in changes:
        with pytest.raises(StorageError, match="quota of names") as raised:
            change()
        assert raised.value.exit_code == 74
    assert_whole(store)
    store.publish("folder/.staged", "folder/target")


@pytest.mark.parametrize("chunked", [False, True])
def test_quota_of_space(cluster: HadoopCluster, store: Store, chunked: bool) -> None:
    """Refused in the middle of what is sent."""
    folder = store.root.removeprefix(cluster.hdfs_uri)
    admin(cluster, "-setSpaceQuota", str(5 * 2 * MEBIBYTE), folder)
    content = os.urandom(24 * MEBIBYTE)
    chunks = [content[start : start + MEBIBYTE] for start in range(0, len(content), MEBIBYTE)]
    with pytest.raises(StorageError, match="quota of space") as raised:
        store.write("folder/file", iter(chunks) if chunked else content)
    assert raised.value.exit_code == 74
    assert_whole(store)
    store.write("folder/new", b"small")


def test_a_datanode_dies(cluster: HadoopCluster, store: Store) -> None:
    """From its death on, long before the NameNode knows, files are written and read."""
    content = os.urandom(2 * MEBIBYTE)
    for number in range(5):
        store.write(f"before/{number}", content)
    cluster.kill("datanode-1")
    try:
        for number in range(5):
            assert store.read(f"before/{number}") == content
            store.write("folder/file", [b"con", b"tent"])
            store.write(f"after/{number}", content)
            assert store.read(f"after/{number}") == content
    finally:
        cluster.start("datanode-1")
        assert cluster.command("wait").returncode == 0


def test_no_datanode(cluster: HadoopCluster, store: Store) -> None:
    for name in ("datanode-1", "datanode-2"):
        cluster.kill(name)
    try:
        for call in (
            lambda: store.write("folder/file", b"another"),
            lambda: store.read("folder/file"),
        ):
            with pytest.raises(StoreUnavailableError, match="DataNode") as raised:
                call()
            assert "run again" in str(raised.value)
        assert store.size("folder/file") == len(b"content")
    finally:
        for name in ("datanode-1", "datanode-2"):
            cluster.start(name)
        assert cluster.command("wait").returncode == 0
    assert_whole(store)


def test_the_namenode_is_gone_and_comes_back(
    cluster: HadoopCluster, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(webhdfs, "PATIENCE_SECONDS", 0.2)
    cluster.kill("namenode")
    try:
        for call in (*changes(store), *looks(store)):
            with pytest.raises(StoreUnavailableError, match="connection refused") as raised:
                call()
            assert raised.value.exit_code == 69
            assert not isinstance(raised.value, NotFoundError)
            for part in (cluster.webhdfs_url, str(cluster.directory / "conf"), "that HDFS runs"):
                assert part in str(raised.value)
        assert main(["models", "list", "--root", store.root]) == 69
        assert "connection refused" in capsys.readouterr().err
    finally:
        cluster.start("namenode")
        assert cluster.command("wait").returncode == 0
    assert_whole(store)
    store.publish("folder/.staged", "folder/target")


def test_a_namenode_that_hangs(cluster: HadoopCluster, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhdfs, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(hadoop_http, "REQUEST_SECONDS", (0.5, 0.5))
    cluster.kill("namenode", signal="STOP")
    try:
        for call in (
            lambda: store.read("folder/file"),
            lambda: store.write("folder/file", b"new"),
            lambda: store.publish("folder/.staged", "folder/target"),
        ):
            with pytest.raises(StoreUnavailableError, match="within the time limit"):
                call()
    finally:
        cluster.kill("namenode", signal="CONT")
    assert_whole(store)


def test_a_retraining(cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HDFS stops on the way, twice; the model that was in use stays, and the next run goes on."""
    monkeypatch.setenv("HADOOP_CONF_DIR", cluster.environment["HADOOP_CONF_DIR"])
    nights = brought(unfinished_night(tmp_path / "daily"), f"{cluster.hdfs_uri}/tmp/nights-{uuid.uuid4().hex}")
    nights.configure(lease_seconds=60)
    models, promotions = nights.files("models"), nights.actions()
    faults: list[tuple[Callable[[], object], Callable[[], object], str]] = [
        (lambda: admin(cluster, "-safemode", "enter"), lambda: admin(cluster, "-safemode", "leave"), "in safe mode"),
        (lambda: cluster.kill("namenode"), lambda: cluster.start("namenode"), "connection refused"),
    ]
    for stop, mend, expected in faults:
        driver = nights.start(point="begun noted")
        assert is_there(driver), driver.communicate()
        stop()
        try:
            found = ended(driver)
        finally:
            mend()
            assert cluster.command("wait").returncode == 0
        assert found.code == 69, found.err
        assert expected in found.err.splitlines()[-1]
        assert "Traceback" not in found.err
        assert models.items() <= nights.files("models").items()
        assert nights.actions()[-1][1] == 1
    done = nights.run()
    assert (done.code, done.result["promoted"]) == (0, 2), done.err
    # the locks of those that were cut off were taken over
    assert nights.actions() == [*promotions, ("fence", 1), ("fence", 1), ("promote", 2)]
