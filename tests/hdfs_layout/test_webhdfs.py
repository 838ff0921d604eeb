"""Answers that a healthy HDFS does not give, from a server that says what it is told to. Real ones: tests/hadoop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from hdfs_layout import AlreadyExistsError, NotFoundError, Store, StoreUnavailableError, open_store
from hdfs_layout.hdfs.errors import Translator
from hdfs_layout.hdfs.http import Upload
from hdfs_layout.hdfs.store import HdfsStore
from hdfs_layout.hdfs.webhdfs import WebHdfs
from mr_ml.errors import StorageError

FILE = {"pathSuffix": "", "type": "FILE", "length": 7, "fileId": 5, "modificationTime": 1_700_000_000_123}


@dataclass
class Answer:
    """Status, body (JSON unless it is bytes), headers."""

    body: object = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def refusal(kind: str, message: str = "said so", *, status: int = 403) -> Answer:
    return Answer({"RemoteException": {"exception": kind, "javaClassName": f"x.{kind}", "message": message}}, status)


class NameNode(ThreadingHTTPServer):
    """Gives the answers in turn, the last one again and again.

    Attributes
    ----------
    asked : list of str
        Method and target of each request.
    connections : int
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = []
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def parameters(self, number: int) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.asked[number].split()[1]).query)


class _Handler(BaseHTTPRequestHandler):
    server: NameNode
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def _answer(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while int(self.rfile.readline(), 16):
                self.rfile.readline()
            self.rfile.readline()
        server = self.server
        server.asked.append(f"{self.command} {self.path}")
        server.headers.append(dict(self.headers))
        answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], NameNode]]:
    for name in ("HADOOP_CONF_DIR", "HADOOP_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HADOOP_USER_NAME", "etl")
    monkeypatch.setattr("hdfs_layout.hdfs.webhdfs.PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("hdfs_layout.hdfs.webhdfs.FAILOVER_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("hdfs_layout.hdfs.webhdfs._FIRST_DELAY_SECONDS", 0.0)
    servers: list[NameNode] = []

    def start() -> NameNode:
        servers.append(NameNode())
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def namenode(start: Callable[[], NameNode]) -> NameNode:
    return start()


@pytest.fixture
def store(namenode: NameNode) -> Store:
    return open_store(f"webhdfs://{namenode.address}/root")


def twins(*nodes: NameNode) -> HdfsStore:
    """A store on several NameNodes."""
    client = WebHdfs(urls=tuple(f"http://{node.address}" for node in nodes), user="etl")
    return HdfsStore(root="hdfs://twins/root", client=client, translator=Translator(user="etl", source="a test"))


# --- which NameNode ---------------------------------------------------------------------------------------------------


def test_the_active_namenode_is_found_and_remembered(start: Callable[[], NameNode]) -> None:
    first, second = start(), start()
    first.answers = [refusal("StandbyException")]
    second.answers = [Answer({"FileStatus": FILE})]
    store = twins(first, second)
    assert [store.size("file") for _ in range(5)] == [7] * 5
    assert (len(first.asked), len(second.asked)) == (1, 5)
    first.answers, second.answers = second.answers, first.answers
    assert [store.size("file") for _ in range(5)] == [7] * 5
    assert (len(first.asked), len(second.asked)) == (6, 6)


def test_a_refusal_of_the_active_one_counts(start: Callable[[], NameNode]) -> None:
    first, second = start(), start()
    first.answers, second.answers = [refusal("StandbyException")], [refusal("FileNotFoundException", status=404)]
    store = twins(first, second)
    assert [store.exists("file") for _ in range(3)] == [False] * 3
    assert len(first.asked) == 1


@pytest.mark.parametrize("kind", ["StandbyException", "RetriableException"])
def test_who_is_not_ready_is_asked_again(
    namenode: NameNode, store: Store, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hdfs_layout.hdfs.webhdfs.PATIENCE_SECONDS", 60.0)
    namenode.answers = [refusal(kind), refusal(kind), Answer({"FileStatus": FILE})]
    assert store.size("file") == 7


def test_nobody_is_ready(start: Callable[[], NameNode]) -> None:
    first, second = start(), start()
    first.answers = second.answers = [refusal("StandbyException", "Operation category READ is not supported")]
    with pytest.raises(StoreUnavailableError, match=r"StandbyException.*StandbyException") as raised:
        twins(first, second).size("file")
    assert "the addresses come from a test" in str(raised.value).lower()


def test_a_rename_is_asked_of_the_active_one(start: Callable[[], NameNode]) -> None:
    first, second = start(), start()
    first.answers = [refusal("StandbyException")]
    second.answers = [Answer({"FileStatus": FILE}), Answer()]
    twins(first, second).publish("staged", "target")
    assert "op=RENAME" in second.asked[-1]


# --- what is no WebHDFS -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"<html>not found</html>", 404),
        Answer(b"<html>welcome</html>"),
        Answer(b'{"error": "not found"}', 404),
        Answer([], 404),
        Answer([]),
        Answer({}),
        Answer({"FileStatus": []}),
        Answer({"FileStatus": {**FILE, "length": "7"}}),
        Answer({"FileStatus": {name: value for name, value in FILE.items() if name != "fileId"}}),
        Answer({"FileStatus": {name: value for name, value in FILE.items() if name != "modificationTime"}}),
        Answer({"RemoteException": None}, 404),
        Answer(b"\xff\xfe{", 500),
        Answer(b"", 502),
    ],
)
def test_what_is_no_webhdfs_is_never_taken_for_an_absence(namenode: NameNode, store: Store, answer: Answer) -> None:
    namenode.answers = [answer]
    for call in (lambda: store.exists("file"), lambda: store.size("file"), lambda: store.remove("file")):
        with pytest.raises(StoreUnavailableError, match="not the WebHDFS of a NameNode") as raised:
            call()
        assert not isinstance(raised.value, NotFoundError)


@pytest.mark.parametrize("boolean", [True, False])
def test_a_rename_without_options_is_not_trusted(namenode: NameNode, store: Store, boolean: bool) -> None:
    """HttpFS answers so: it may have moved the file into a folder."""
    namenode.answers = [Answer({"FileStatus": FILE}), Answer({"boolean": boolean})]
    with pytest.raises(StorageError, match="renameoptions") as raised:
        store.publish("staged", "target")
    assert not isinstance(raised.value, AlreadyExistsError)


@pytest.mark.parametrize("place", ["file:///etc/passwd", "/etc/passwd", "ftp://127.0.0.1/x", ""])
def test_content_is_fetched_from_http_only(namenode: NameNode, store: Store, place: str) -> None:
    for answer in (Answer({"Location": place}), Answer(b"", 307, {"Location": place})):
        namenode.answers = [answer]
        with pytest.raises(StoreUnavailableError):
            store.read("file")


def test_who_must_prove_who_he_is(namenode: NameNode, store: Store) -> None:
    namenode.answers = [Answer(b"<html></html>", 401, {"WWW-Authenticate": "Negotiate"})]
    with pytest.raises(StorageError, match=r"Kerberos.*kinit") as raised:
        store.exists("file")
    assert raised.value.exit_code == 74


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_names_and_the_user_are_sent_unchanged(namenode: NameNode, store: Store) -> None:
    namenode.answers = [Answer({"FileStatus": FILE})]
    name = "a b%20c+d&e=f;g#h?i~é名\N{GRINNING FACE}*'\"<>[]{}|\\^`$@!,"
    store.size(name)
    assert namenode.asked[0].split()[1].partition("?")[0].startswith("/webhdfs/v1/root/a%20b%2520c%2Bd%26e%3Df%3Bg%23h")
    assert namenode.parameters(0)["user.name"] == ["etl"]


def test_a_target_is_sent_unchanged(namenode: NameNode, store: Store) -> None:
    namenode.answers = [Answer({"FileStatus": FILE}), Answer()]
    name = "a b%20c+d&e=f;g#h?i~é名*"
    store.publish("staged", name)
    assert namenode.parameters(1)["destination"] == [f"/root/{name}"]
    assert namenode.parameters(1)["renameoptions"] == ["NONE"]


def test_one_connection_is_kept_and_no_cookie(
    namenode: NameNode, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    cookie = {"Set-Cookie": 'hadoop.auth="u=another&p=another&t=simple"; Path=/; HttpOnly'}
    namenode.answers = [Answer({"FileStatus": FILE}, headers=cookie)]
    for _ in range(20):
        store.size("file")
    assert namenode.connections == 1
    assert not any("Cookie" in headers for headers in namenode.headers)


def test_a_forked_process_has_connections_of_its_own(namenode: NameNode) -> None:
    namenode.answers = [Answer({"FileStatus": FILE})]
    code = """
import os, sys
from hdfs_layout import open_store
store = open_store(sys.argv[1])
store.size("file")
for _ in range(3):
    child = os.fork()
    if not child:
        os._exit(store.size("file"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == store.size("file") == 7
"""
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    subprocess.run([sys.executable, "-c", code, f"webhdfs://{namenode.address}/root"], check=True, env=settings)
    assert namenode.connections == 4


def test_a_datanode_that_failed_is_excluded_and_then_no_more(start: Callable[[], NameNode]) -> None:
    namenode, datanode = start(), start()
    store = open_store(f"webhdfs://{namenode.address}/root")
    datanode.answers = [Answer(b"content")]
    gone = Answer({"Location": "http://127.0.0.1:1/webhdfs/v1/root/file?op=OPEN"})
    namenode.answers = [
        gone,
        refusal("IOException", "Failed to find datanode, suggest to check cluster health."),
        gone,
        Answer({"Location": f"http://{datanode.address}/webhdfs/v1/root/file?op=OPEN"}),
    ]
    assert store.read("file") == b"content"
    excluded = [namenode.parameters(number).get("excludedatanodes") for number in range(4)]
    assert excluded == [None, ["127.0.0.1"], None, ["127.0.0.1"]]


def test_a_datanode_that_lost_its_namenode_is_asked_again(start: Callable[[], NameNode]) -> None:
    namenode, datanode = start(), start()
    store = open_store(f"webhdfs://{namenode.address}/root")
    namenode.answers = [Answer({"Location": f"http://{datanode.address}/webhdfs/v1/root/file?op=OPEN"})]
    lost = 'End of File Exception between local host is: "a/127.0.0.1"; destination host is: "b":8020; : EOFException'
    datanode.answers = [refusal("EOFException", lost), refusal("ConnectException", "Call From a"), Answer(b"content")]
    assert store.read("file") == b"content"


def test_an_address_with_a_token_is_not_shown(namenode: NameNode, store: Store) -> None:
    namenode.answers = [Answer({"Location": "http://127.0.0.1:1/webhdfs/v1/f?op=OPEN&delegation=SECRET"})]
    with pytest.raises(StoreUnavailableError, match=r"DataNode 127\.0\.0\.1:1") as raised:
        store.read("file")
    assert "SECRET" not in str(raised.value)


# --- what is said -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "message", "category", "says"),
    [
        ("FileNotFoundException", "File does not exist: /x", NotFoundError, "no such file"),
        ("AccessControlException", "Permission denied: user=etl, access=WRITE", StorageError, "to user 'etl'"),
        ("AccessControlException", "/root/file (is not a directory)", NotFoundError, "a file where a folder"),
        ("ParentNotDirectoryException", "/x (is not a directory)", NotFoundError, "a file where a folder"),
        ("SafeModeException", "Cannot delete /x. Name node is in safe mode.", StoreUnavailableError, "safe mode"),
        ("NSQuotaExceededException", "The NameSpace quota ...", StorageError, "quota of names"),
        ("DSQuotaExceededException", "The DiskSpace quota ...", StorageError, "quota of space"),
        ("MaxDirectoryItemsExceededException", "limit=1048576", StorageError, "too many files"),
        ("PathComponentTooLongException", "limit=255", StorageError, "too long"),
        ("InvalidPathException", "Invalid path name", StorageError, "does not take"),
        ("BlockMissingException", "Could not obtain block: BP-1", StoreUnavailableError, "fsck"),
        ("IOException", "Could not obtain block: BP-1", StoreUnavailableError, "fsck"),
        ("IOException", "No active nodes contain this block", StoreUnavailableError, "fsck"),
        ("IOException", "File /x could only be written to 0 of the 1 minReplication", StoreUnavailableError, "-report"),
        ("IOException", "Failed to find datanode, suggest to", StoreUnavailableError, "-report"),
        ("RetriableException", "NameNode is not ready", StoreUnavailableError, "NameNode"),
        ("IOException", "something else", StorageError, "IOException: something else"),
        ("NullPointerException", "", StorageError, "NullPointerException"),
    ],
)
def test_every_refusal_says_what_to_do(
    namenode: NameNode, store: Store, kind: str, message: str, category: type[StorageError], says: str
) -> None:
    namenode.answers = [refusal(kind, message)]
    with pytest.raises(category) as raised:
        store.size("folder/file")
    assert type(raised.value) is category
    assert raised.value.exit_code == (69 if category is StoreUnavailableError else 74)
    for part in ("could not read 'webhdfs://", "/root/folder/file'", says, message[:20]):
        assert part in str(raised.value)


def test_a_remote_message_is_one_printable_line(namenode: NameNode, store: Store) -> None:
    namenode.answers = [
        refusal("IOException", "\x1b[31mred\x07\tand " + "long " * 1000 + "\n\tat org.apache.Stack.trace")
    ]
    with pytest.raises(StorageError) as raised:
        store.size("file")
    assert str(raised.value).isprintable()
    assert "Stack" not in str(raised.value)
    assert len(str(raised.value)) < 1000


def test_content_that_can_be_read_again_is_sent_again() -> None:
    """Not an iterator: what is left of that is not what was asked for."""
    for data, again in ((b"ab", True), ([b"a", b"b"], True), (iter([b"a", b"b"]), False)):
        content = Upload(data)
        assert content.repeatable
        assert b"".join(content) == b"ab"
        assert content.repeatable is again
        assert b"".join(content) == (b"ab" if again else b"")
