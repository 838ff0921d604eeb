"""Requests and answers that get lost on their way to and from a real HDFS: see `relay`."""

from __future__ import annotations

import os
import threading
import uuid
from collections import deque
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from dev_cluster import HadoopCluster
from relay import Fault, Relay, relay

from hdfs_layout import AlreadyExistsError, NotFoundError, Store, list_versions, open_store, publish_version
from hdfs_layout.hdfs import http, webhdfs
from hdfs_layout.hdfs.store import HdfsStore
from mr_ml.errors import StorageError, UnavailableError

MEBIBYTE = 1 << 20


@pytest.fixture
def namenode(hadoop_cluster: HadoopCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    monkeypatch.setenv("HADOOP_USER_NAME", "somebody")
    monkeypatch.setattr(webhdfs, "_FIRST_DELAY_SECONDS", 0.001)
    with relay(urlsplit(hadoop_cluster.webhdfs_url).netloc) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests in which no answer ever comes; where one comes, a busy machine may take longer than this."""
    monkeypatch.setattr(webhdfs, "PATIENCE_SECONDS", 0.3)


@pytest.fixture
def store(namenode: Relay) -> Store:
    """A store that reaches the NameNode through the relay."""
    store = open_store(f"webhdfs://{namenode.address}/tmp/lost-{uuid.uuid4().hex}")
    store.make_folder("folder")
    return store


@pytest.fixture
def direct(store: Store, hadoop_cluster: HadoopCluster) -> Store:
    """The same folder without the relay."""
    return open_store(f"webhdfs://{urlsplit(hadoop_cluster.webhdfs_url).netloc}{urlsplit(store.root).path}")


@pytest.fixture
def datanode(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Fault]]:
    """Faults on the way to and from DataNodes."""
    faults: list[Fault] = []
    real_upload, real_download = http.upload, http.download
    with monkeypatch.context() as patch, relay("127.0.0.1:1") as server:

        def through(url: str) -> str:
            host, _, port = urlsplit(url).netloc.rpartition(":")
            server.target, server.faults = (host, int(port)), faults
            return url.replace(f"{host}:{port}", server.address, 1)

        patch.setattr(webhdfs, "upload", lambda url, data: real_upload(through(url), data))
        patch.setattr(webhdfs, "download", lambda url: real_download(through(url)))
        yield faults


def everything(store: Store) -> list[str]:
    """All names in the folder, hidden ones too."""
    assert isinstance(store, HdfsStore)
    return sorted(entry.name for entry in store.client.list(f"{urlsplit(store.root).path}/folder"))


# --- publish ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lose request", "lose answer"])
@pytest.mark.parametrize("times", [1, 3])
def test_publish_is_done_once_whatever_is_lost(
    namenode: Relay, store: Store, direct: Store, kind: str, times: int
) -> None:
    store.write("folder/.staged", b"content")
    namenode.faults.append(Fault(request="op=RENAME", kind=kind, times=times))
    store.publish("folder/.staged", "folder/v000001.json")
    assert direct.read("folder/v000001.json") == b"content"
    assert not direct.exists("folder/.staged")


@pytest.mark.parametrize("kind", ["lose request", "lose answer"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_name_that_is_taken_stays_so_whatever_is_lost(
    namenode: Relay, store: Store, direct: Store, kind: str, times: int
) -> None:
    direct.write("folder/v000001.json", b"first")
    store.write("folder/.staged", b"second")
    namenode.faults.append(Fault(request="op=RENAME", kind=kind, times=times))
    with pytest.raises(AlreadyExistsError):
        store.publish("folder/.staged", "folder/v000001.json")
    assert direct.read("folder/v000001.json") == b"first"
    assert direct.read("folder/.staged") == b"second"


def test_a_file_is_not_taken_for_published_on_itself(namenode: Relay, store: Store) -> None:
    store.write("folder/file", b"content")
    namenode.faults.append(Fault(request="op=RENAME", kind="lose answer"))
    with pytest.raises(AlreadyExistsError):
        store.publish("folder/file", "folder/file")


def test_a_rename_that_happens_late_does_no_harm(namenode: Relay, store: Store, direct: Store) -> None:
    store.write("folder/.staged", b"first")
    late = Fault(request="op=RENAME", kind="late")
    namenode.faults.append(late)
    store.publish("folder/.staged", "folder/v000001.json")
    direct.write("folder/.staged", b"second")  # names of staged files are unique; even if they were not
    late.go.set()
    assert late.done.wait(30)
    assert direct.read("folder/v000001.json") == b"first"
    assert direct.read("folder/.staged") == b"second"


def test_publishers_whose_answers_get_lost_still_get_a_number_each(namenode: Relay, store: Store) -> None:
    # 3, or one of them could lose all that it tries
    namenode.faults.append(Fault(request="op=RENAME", kind="lose answer", times=3))
    numbers: list[int] = []

    def publish(publisher: int) -> None:
        for _ in range(3):
            numbers.append(publish_version(store, "folder", {"by": publisher}))

    threads = [threading.Thread(target=publish, args=(publisher,)) for publisher in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(list_versions(store, "folder")) == list(range(1, 13))


@pytest.mark.usefixtures("impatient")
def test_what_is_not_known_is_said(namenode: Relay, store: Store, direct: Store) -> None:
    store.write("folder/.staged", b"content")
    namenode.faults += [
        Fault(request="op=RENAME", kind="lose answer"),
        Fault(request="op=GETFILESTATUS&user.name=somebody", kind="", times=1),  # the look at the staged file
        Fault(request="op=GETFILESTATUS", kind="lose answer", times=10_000),
    ]
    with pytest.raises(UnavailableError, match="Whether it was done before is not known"):
        store.publish("folder/.staged", "folder/v000001.json")
    namenode.faults.clear()
    with pytest.raises(NotFoundError):
        store.publish("folder/.staged", "folder/v000001.json")
    assert direct.read("folder/v000001.json") == b"content"


# --- everything else --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lose request", "lose answer"])
@pytest.mark.parametrize("operation", ["CREATE", "RENAME", "GETFILESTATUS", "MKDIRS"])
def test_write_replaces_whatever_is_lost(
    namenode: Relay, store: Store, direct: Store, kind: str, operation: str
) -> None:
    direct.write("folder/file", b"old content")
    namenode.faults.append(Fault(request=f"op={operation}", kind=kind, times=2))
    store.write("folder/file", b"new content")
    assert namenode.faults[0].times < 2
    assert direct.read("folder/file") == b"new content"
    assert direct.walk("") == ("folder/file",)


@pytest.mark.parametrize("kind", ["lose request", "lose answer"])
def test_what_may_be_repeated_is_repeated(namenode: Relay, store: Store, kind: str) -> None:
    def losing(operation: str) -> None:
        namenode.faults[:] = [Fault(request=f"op={operation}", kind=kind, times=2)]

    losing("MKDIRS")
    store.make_folder("a/b")
    store.write("a/file", b"content")
    losing("GETFILESTATUS")
    assert store.size("a/file") == 7
    losing("OPEN")
    assert store.read("a/file") == b"content"
    losing("LISTSTATUS_BATCH")
    assert store.list("a") == ("b", "file")
    losing("DELETE")
    store.remove("a/file")
    losing("DELETE")
    store.remove_tree("a")
    assert store.walk("") == ()


@pytest.mark.usefixtures("impatient")
def test_repetition_ends(namenode: Relay, store: Store) -> None:
    store.write("folder/.staged", b"content")
    for operation, call in (
        ("MKDIRS", lambda: store.make_folder("a")),
        ("OPEN", lambda: store.read("folder/.staged")),
        ("RENAME", lambda: store.publish("folder/.staged", "folder/target")),
        ("CREATE", lambda: store.write("folder/file", b"")),
    ):
        namenode.faults[:] = [Fault(request=f"op={operation}", kind="lose request", times=10_000)]
        with pytest.raises(UnavailableError, match="expected an answer of HDFS") as raised:
            call()
        assert isinstance(raised.value, StorageError)
        assert "published versions are intact" in str(raised.value)
    namenode.faults.clear()
    assert store.read("folder/.staged") == b"content"
    assert store.list("folder") == ()


@pytest.mark.parametrize("kind", ["lose request", "lose answer", "cut request"])
def test_bytes_are_sent_again(datanode: list[Fault], store: Store, direct: Store, kind: str) -> None:
    content = os.urandom(5 * MEBIBYTE)
    direct.write("folder/file", b"old content")
    datanode.append(Fault(request="PUT", kind=kind, times=2, after=MEBIBYTE))
    store.write("folder/file", content)
    assert datanode[0].times == 0
    assert direct.read("folder/file") == content
    assert direct.walk("") == ("folder/file",)


def test_chunks_that_can_be_read_once_are_sent_once(datanode: list[Fault], store: Store, direct: Store) -> None:
    direct.write("folder/file", b"old content")
    chunks = (bytes([number]) * MEBIBYTE for number in range(8))
    datanode.append(Fault(request="PUT", kind="cut request", after=3 * MEBIBYTE))
    with pytest.raises(UnavailableError, match="DataNode"):
        store.write("folder/file", chunks)
    assert direct.read("folder/file") == b"old content"
    assert everything(direct) == ["file"]


@pytest.mark.usefixtures("impatient")
def test_a_failed_write_leaves_no_temporary_file(namenode: Relay, store: Store, direct: Store) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * 3 * MEBIBYTE
        raise RuntimeError("the source failed")

    store.make_folder("folder/taken")
    with pytest.raises(RuntimeError, match="the source failed"):
        store.write("folder/file", chunks())
    with pytest.raises(StorageError, match="a folder where a file"):
        store.write("folder/taken", b"content")
    namenode.faults.append(Fault(request="op=RENAME", kind="lose request", times=100))
    with pytest.raises(UnavailableError):
        store.write("folder/file", b"content")
    assert everything(direct) == ["taken"]


@pytest.mark.parametrize("after", [0, 1, MEBIBYTE])
def test_content_that_breaks_off_is_read_again(datanode: list[Fault], store: Store, direct: Store, after: int) -> None:
    content = os.urandom(3 * MEBIBYTE)
    direct.write("folder/file", content)
    datanode.append(Fault(request="GET", kind="cut answer", times=2, after=after))
    assert store.read("folder/file") == content
    datanode[0].times = 2
    assert store.read_range("folder/file", offset=5, length=2 * MEBIBYTE) == content[5 : 5 + 2 * MEBIBYTE]
    assert datanode[0].times == 0


@pytest.mark.parametrize("after", [0, 1, MEBIBYTE])
@pytest.mark.parametrize("size", [-1, 1000, MEBIBYTE])
def test_an_open_file_that_breaks_off_is_an_error_not_an_end(
    datanode: list[Fault], store: Store, direct: Store, after: int, size: int
) -> None:
    direct.write("folder/file", os.urandom(3 * MEBIBYTE))
    datanode.append(Fault(request="GET", kind="cut answer", after=after))
    with store.open_read("folder/file") as file, pytest.raises(OSError, match="broke off"):
        deque(iter(lambda: file.read(size), b""), maxlen=0)


def test_reading_gives_up(datanode: list[Fault], store: Store, direct: Store) -> None:
    direct.write("folder/file", os.urandom(MEBIBYTE))
    datanode.append(Fault(request="GET", kind="cut answer", times=1000, after=10))
    with pytest.raises(UnavailableError, match="broke off"):
        store.read("folder/file")
