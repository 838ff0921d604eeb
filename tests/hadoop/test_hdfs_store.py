"""What holds on HDFS only: addresses, users, blocks, Hadoop's own view of the files. The rest is in tests/contract."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import urllib.error
import uuid
from pathlib import Path

import pytest
from dev_cluster import HadoopCluster
from test_dev_cluster import webhdfs

from hdfs_layout import AlreadyExistsError, NotFoundError, Store, open_store
from mr_ml.errors import StorageError

USER = "somebody"
MEBIBYTE = 1 << 20


@pytest.fixture
def cluster(hadoop_cluster: HadoopCluster, monkeypatch: pytest.MonkeyPatch) -> HadoopCluster:
    """The session's cluster as an ordinary user's configuration names it."""
    monkeypatch.setenv("HADOOP_CONF_DIR", hadoop_cluster.environment["HADOOP_CONF_DIR"])
    monkeypatch.setenv("HADOOP_USER_NAME", USER)
    return hadoop_cluster


@pytest.fixture
def folder() -> str:
    return f"/tmp/store-{uuid.uuid4().hex}"


@pytest.fixture
def store(cluster: HadoopCluster, folder: str) -> Store:
    return open_store(cluster.hdfs_uri + folder)


def cat(cluster: HadoopCluster, *uris: str) -> bytes:
    done = cluster.hadoop("fs", "-cat", *uris)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- addresses and users ----------------------------------------------------------------------------------------------


def test_all_addresses_of_a_folder_are_the_same_folder(
    cluster: HadoopCluster, folder: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("file", b"content")
    assert store.root == cluster.hdfs_uri + folder
    for root in (f"hdfs://{folder}", f"HDFS://{folder}/", f"{cluster.hdfs_uri}//{folder}"):
        other = open_store(root)
        assert (other.root, other.read("file")) == (store.root, b"content")
    web = cluster.webhdfs_url.replace("http://", "webhdfs://") + folder
    monkeypatch.delenv("HADOOP_CONF_DIR")
    monkeypatch.delenv("HADOOP_HOME", raising=False)
    assert open_store(web).root == web
    assert open_store(web).read("file") == b"content"


def test_a_host_that_no_configuration_names_is_tried_at_the_usual_port(
    cluster: HadoopCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the address of the cluster that HADOOP_CONF_DIR is of."""
    monkeypatch.setattr("hdfs_layout.hdfs.webhdfs.PATIENCE_SECONDS", 0.0)
    port = int(cluster.hdfs_uri.rpartition(":")[2]) + 1
    with pytest.raises(StorageError) as raised:
        open_store(f"hdfs://127.0.0.1:{port}/x").exists("file")
    assert raised.value.exit_code == 69
    for part in ("http://127.0.0.1:9870: connection refused", "does not say", "webhdfs://HOST:PORT"):
        assert part in str(raised.value)


def test_files_belong_to_the_user(cluster: HadoopCluster, store: Store, folder: str) -> None:
    store.write("a/file", b"")
    listed = cluster.hadoop("fs", "-stat", "%u %n", f"{folder}/a", f"{folder}/a/file").stdout.decode().splitlines()
    assert listed == [f"{USER} a", f"{USER} file"]


def test_nobody_else_may_write(cluster: HadoopCluster, store: Store, folder: str) -> None:
    """Whatever makes a folder; CREATE by itself would give it to everybody."""
    store.write("a/b/file", b"")
    store.make_folder("c/d")
    store.publish("a/b/file", "a/b/target")
    paths = [f"{folder}{path}" for path in ("", "/a", "/a/b", "/a/b/target", "/c", "/c/d")]
    modes = cluster.hadoop("fs", "-stat", "%a", *paths).stdout.decode().split()
    assert modes == ["755", "755", "755", "644", "755", "755"]


def test_a_umask_of_the_configuration_counts(
    cluster: HadoopCluster, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("core-site.xml", "hdfs-site.xml"):
        shutil.copy(Path(os.environ["HADOOP_CONF_DIR"]) / name, tmp_path)
    with_umask = (
        (tmp_path / "core-site.xml")
        .read_text()
        .replace(
            "</configuration>",
            "<property><name>fs.permissions.umask-mode</name><value>007</value></property></configuration>",
        )
    )
    (tmp_path / "core-site.xml").write_text(with_umask)
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    open_store(cluster.hdfs_uri + folder).write("a/file", b"")
    modes = cluster.hadoop("fs", "-stat", "%a", f"{folder}/a", f"{folder}/a/file").stdout.decode().split()
    assert modes == ["770", "660"]


def test_permission_denied(store: Store, cluster: HadoopCluster, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("open/file", b"content")
    store.write("closed/file", b"content")
    store.write("closed/.staged", b"content")
    assert cluster.hadoop("fs", "-chmod", "700", f"{folder}/closed", user=USER).returncode == 0
    monkeypatch.setenv("HADOOP_USER_NAME", "another")
    other = open_store(store.root)
    assert other.read("open/file") == b"content"
    for call in (
        lambda: other.write("open/new", b""),
        lambda: other.write("open/file", b""),
        lambda: other.write("new/file", b""),
        lambda: other.make_folder("new"),
        lambda: other.remove("open/file"),
        lambda: other.remove_tree("open"),
        lambda: other.publish("open/file", "open/target"),
        lambda: other.read("closed/file"),
        lambda: other.read_range("closed/file", offset=0, length=1),
        lambda: other.open_read("closed/file"),
        lambda: other.size("closed/file"),
        lambda: other.list("closed"),
        lambda: other.walk(""),
        lambda: other.exists("closed/file"),
        lambda: other.exists("closed/missing"),
        lambda: other.publish("closed/.staged", "closed/file"),
        lambda: other.remove("closed/file"),
        lambda: other.remove_tree("closed"),
    ):
        with pytest.raises(StorageError, match="permission denied to user 'another'") as raised:
            call()
        assert not isinstance(raised.value, (NotFoundError, AlreadyExistsError))
        assert raised.value.exit_code == 74
        assert "HADOOP_USER_NAME" in str(raised.value)
    assert store.walk("") == ("closed/file", "open/file")


def test_two_users_of_one_process_stay_apart(
    cluster: HadoopCluster, store: Store, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.hadoop("fs", "-mkdir", folder, user=USER)
    cluster.hadoop("fs", "-chmod", "777", folder, user=USER)
    monkeypatch.setenv("HADOOP_USER_NAME", "another")
    other = open_store(store.root)
    for name, writer in (("1", store), ("2", other), ("3", store)):
        writer.write(name, b"")
    found = cluster.hadoop("fs", "-stat", "%u", *(f"{folder}/{name}" for name in "123")).stdout.decode().split()
    assert found == [USER, "another", USER]


# --- Hadoop's own view ------------------------------------------------------------------------------------------------

NAMES = ["a b", "100%25", "50%", "a+b", "a&b=c;d", "ünï-名", "\N{GRINNING FACE}", "e\N{COMBINING ACUTE ACCENT}", "#?"]


def test_hadoop_has_the_same_names(cluster: HadoopCluster, store: Store, folder: str) -> None:
    for number, name in enumerate(NAMES):
        store.write(f"{name}/{name}", b"%d " % number)
    listed = cluster.hadoop("fs", "-ls", "-C", "-R", folder).stdout.decode("utf-8").splitlines()
    assert sorted(listed) == sorted(f"{folder}/{name}{rest}" for name in NAMES for rest in ("", f"/{name}"))
    assert store.walk("") == tuple(sorted(f"{name}/{name}" for name in NAMES))
    content = cat(cluster, *(store.uri(f"{name}/{name}") for name in NAMES if "?" not in name))
    assert content == b"0 1 2 3 4 5 6 7 "


def test_a_root_may_have_any_name(cluster: HadoopCluster, folder: str) -> None:
    for name in NAMES:
        store = open_store(f"{cluster.hdfs_uri}{folder}/{name}")
        store.write("file", name.encode())
        assert open_store(store.root).read("file") == name.encode()
        assert open_store(f"{cluster.hdfs_uri}{folder}").read(f"{name}/file") == name.encode()


def test_files_of_several_blocks(cluster: HadoopCluster, store: Store, folder: str, tmp_path: Path) -> None:
    """Blocks of 1 MiB, written by Hadoop and read by us; and the reverse."""
    content = os.urandom(3 * MEBIBYTE + 12345)
    (tmp_path / "file").write_bytes(content)
    store.make_folder("")
    sized = ("-D", f"dfs.blocksize={MEBIBYTE}")
    done = cluster.hadoop("fs", *sized, "-put", str(tmp_path / "file"), f"{folder}/file", user=USER)
    assert done.returncode == 0, done.stderr
    assert b"4" in cluster.hadoop("fs", "-stat", "%o %b", f"{folder}/file").stdout
    assert store.size("file") == len(content)
    assert store.read("file") == content
    for border in (MEBIBYTE, 2 * MEBIBYTE, 3 * MEBIBYTE, len(content)):
        for offset in (border - 1, border, border + 1, border - 70_000):
            for length in (1, 2, 140_000, MEBIBYTE + 3, len(content)):
                assert store.read_range("file", offset=offset, length=length) == content[offset : offset + length]
    with store.open_read("file") as file:
        pieces = [file.read(size) for size in (1, MEBIBYTE - 1, 1, 0, 2 * MEBIBYTE)]
        assert b"".join([*pieces, file.read()]) == content
        assert file.read() == file.read(1) == b""
    with store.open_read("file") as file:
        assert b"".join(file) == content
    store.write("back", (content[start : start + 100_001] for start in range(0, len(content), 100_001)))
    assert cat(cluster, f"{folder}/back") == content


def test_checksums_are_those_of_hadoop(cluster: HadoopCluster, store: Store, folder: str) -> None:
    for name, content in {"empty": b"", "small": b"content", "large": bytes(range(256)) * 12_345}.items():
        store.write(name, content)
        words = cluster.hadoop("fs", "-checksum", f"{folder}/{name}").stdout.decode().split()
        assert store.checksum(name) == ":".join(words[1:])


def test_a_file_of_hadoop_is_replaced_whole(cluster: HadoopCluster, store: Store, folder: str) -> None:
    store.write("file", b"ours")
    assert cluster.hadoop("fs", "-touchz", f"{folder}/empty", user=USER).returncode == 0
    assert store.read("empty") == b""
    assert store.size("empty") == 0
    with store.open_read("empty") as file:
        assert file.read() == b""
    store.write("empty", b"full")
    assert cat(cluster, f"{folder}/empty") == b"full"


def test_a_refused_overwrite_leaves_the_old_file(cluster: HadoopCluster, store: Store, folder: str) -> None:
    """HDFS itself empties a file before it refuses room for what is to replace it, and leaves a new one empty."""
    for name in ("theirs", "ours"):
        store.write(name, b"old")
    quota = f"SETQUOTA&namespacequota={2**63 - 1}&storagespacequota="
    webhdfs(cluster, "PUT", folder, f"{quota}{MEBIBYTE}")
    with pytest.raises(urllib.error.HTTPError) as refused:
        webhdfs(cluster, "PUT", f"{folder}/theirs", "CREATE&overwrite=true", user=USER, content=b"new")
    assert b"DSQuotaExceededException" in refused.value.read()
    assert store.size("theirs") == 0
    for name in ("ours", "new"):
        with pytest.raises(StorageError, match="quota of space") as raised:
            store.write(name, b"new")
        assert raised.value.exit_code == 74
    assert [(entry.name, entry.size) for entry in store.entries("", hidden=True)] == [("ours", 3), ("theirs", 0)]
    assert store.read("ours") == b"old"


def test_a_rename_does_not_nest(cluster: HadoopCluster, store: Store, folder: str) -> None:
    """The plain RENAME of WebHDFS moves into a folder of that name, and says true, as of a file onto itself."""
    for name in ("theirs/file", "ours/file", "staged", "staged too"):
        store.write(name, b"content")
    for source, target in (("staged", "theirs"), ("theirs/file", "theirs/file")):
        answer = webhdfs(cluster, "PUT", f"{folder}/{source}", f"RENAME&destination={folder}/{target}", user=USER)
        assert json.loads(answer) == {"boolean": True}
    assert store.list("theirs") == ("file", "staged")
    for source, target in (("staged too", "ours"), ("staged too", "ours/file"), ("ours/file", "ours/file")):
        with pytest.raises(AlreadyExistsError):
            store.publish(source, target)
    with pytest.raises(AlreadyExistsError):
        store.publish_tree("theirs", "ours")
    with pytest.raises(StorageError):
        store.write("ours", b"")
    assert store.walk("") == ("ours/file", "staged too", "theirs/file", "theirs/staged")


def test_a_name_that_hdfs_does_not_take(store: Store) -> None:
    for path in ("a:b", "folder/a:b"):
        with pytest.raises(StorageError, match="without ':'"):
            store.write(path, b"")
    with pytest.raises(StorageError, match="too long"):
        store.write("x" * 256, b"")


def test_removal_is_of_one_name_only(cluster: HadoopCluster, store: Store, folder: str) -> None:
    """HDFS's commands understand patterns; the store does not."""
    for name in ("*", "a", "[ab]", "b", "{a,b}", "?"):
        store.write(name, b"")
    for name in ("*", "[ab]", "{a,b}", "?"):
        store.remove(name)
    assert store.walk("") == ("a", "b")


def test_the_store_is_a_plain_value(store: Store) -> None:
    assert open_store(store.root) == store
    assert dataclasses.is_dataclass(store)
