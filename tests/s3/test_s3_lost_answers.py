"""Requests and answers that get lost on their way to and from a real server, or come too late: see `relay`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from relay import Fault, Relay, refusal
from s3_servers import S3Server

from hdfs_layout import AlreadyExistsError, NotFoundError, Store, list_versions, open_store, publish_version
from hdfs_layout.s3 import upload
from mr_ml.errors import StorageError, UnavailableError

MEBIBYTE = 1 << 20
LARGE = bytes(range(256)) * (9 << 12) + b"odd"


@pytest.fixture
def direct(bucket: str, versitygw_server: S3Server) -> Callable[[], list[str]]:
    """Keys in the bucket, seen past the relay by another client."""

    def keys() -> list[str]:
        found = versitygw_server.client().list_objects_v2(Bucket=bucket)
        return [item["Key"] for item in found.get("Contents", ())]

    return keys


@pytest.fixture
def lost(way: Relay, bucket: str) -> Store:
    """A store that reaches the server through the relay."""
    return open_store(f"s3://{bucket}/root")


@pytest.mark.parametrize("content", [b"content", LARGE], ids=["one PUT", "parts"])
@pytest.mark.parametrize("kind", ["lose request", "lose answer"])
def test_a_publish_whose_answer_is_lost_is_done_once(
    way: Relay, lost: Store, direct: Callable[[], list[str]], kind: str, content: bytes
) -> None:
    """The request is repeated, and refused because of what it did itself."""
    lost.write("folder/.staged", content)
    last = "PUT " if len(content) < MEBIBYTE else "POST "
    completes = f"{last}/{lost.root[5:]}/folder/v1.json" + ("" if len(content) < MEBIBYTE else "?uploadId")
    fault = Fault(request=completes, kind=kind)
    way.faults = [fault]
    lost.publish("folder/.staged", "folder/v1.json")
    assert fault.times == 0
    assert direct() == ["root/folder/v1.json"]
    assert lost.read("folder/v1.json") == content


@pytest.mark.parametrize("kind", ["lose request", "lose answer"])
def test_another_publisher_is_not_taken_for_oneself(way: Relay, lost: Store, kind: str) -> None:
    """It has published the same content, a moment before."""
    for name in (".first", ".second"):
        lost.write(name, b"content")
    lost.publish(".first", "v1.json")
    way.faults = [Fault(request="/root/v1.json", kind=kind)]
    with pytest.raises(AlreadyExistsError, match="v1"):
        lost.publish(".second", "v1.json")
    assert lost.read(".second") == b"content"


def test_a_version_gets_one_number_whatever_gets_lost(way: Relay, lost: Store) -> None:
    for number, kind in enumerate(("lose answer", "lose request", "lose answer"), 1):
        way.faults = [Fault(request=f"PUT /{lost.root[5:]}/models/v{number:06d}.json", kind=kind, times=2)]
        assert publish_version(lost, "models", {"number": number}) == number
    assert list_versions(lost, "models") == (1, 2, 3)
    assert lost.list("models") == tuple(f"v{number:06d}.json" for number in (1, 2, 3))


def test_who_never_hears_an_answer_says_so(way: Relay, lost: Store, direct: Callable[[], list[str]]) -> None:
    lost.write(".staged", b"content")
    way.faults = [Fault(request="PUT ", kind="lose answer", times=100)]
    with pytest.raises(UnavailableError, match=r"could not publish .*: expected an answer of http://127"):
        lost.publish(".staged", "v1.json")
    way.faults = []
    # it was carried out, and is recognised by its content: see `publish_version_once`
    assert direct() == ["root/.staged", "root/v1.json"]


@pytest.mark.parametrize("kind", ["lose request", "lose answer"])
def test_parts_that_get_lost_are_sent_again(way: Relay, lost: Store, kind: str) -> None:
    for begins in ("POST /{}?uploads", "PUT /{}?", "POST /{}?uploadId"):
        way.faults = [Fault(request=begins.format(f"{lost.root[5:]}/file"), kind=kind)]
        lost.write("file", [LARGE[: 5 * MEBIBYTE], LARGE[5 * MEBIBYTE :]])
        assert way.faults[0].times == 0
        assert lost.read("file") == LARGE


def test_conflicts_and_busy_servers_are_asked_again(way: Relay, lost: Store) -> None:
    lost.write(".staged", b"content")
    conflict = refusal("409", "ConditionalRequestConflict")
    busy = refusal("503", "SlowDown")
    target = f"PUT /{lost.root[5:]}/v1.json"
    way.faults = [
        Fault(request=target, kind="refuse", times=2, answer=conflict),
        Fault(request=target, kind="refuse", times=3, answer=busy),
        Fault(request="GET ", kind="refuse", times=3, answer=busy),
    ]
    lost.publish(".staged", "v1.json")
    assert lost.read("v1.json") == b"content"
    assert [fault.times for fault in way.faults] == [0, 0, 0]
    way.faults = [Fault(request="PUT ", kind="refuse", times=100, answer=conflict)]
    with pytest.raises(UnavailableError, match="others write the same file all the time"):
        lost.publish("v1.json", "v2.json")


@pytest.mark.parametrize("after", [0, 3 * MEBIBYTE])
def test_reading_goes_on_where_the_connection_broke(way: Relay, lost: Store, after: int) -> None:
    lost.write("file", LARGE)
    way.faults = [Fault(request="GET ", kind="cut answer", after=after, times=2)]
    with lost.open_read("file") as file:
        assert file.read() == LARGE
    assert way.faults[0].times == 0
    way.faults = [Fault(request="GET ", kind="cut answer", after=after, times=2)]
    assert lost.read_range("file", offset=7, length=8 * MEBIBYTE) == LARGE[7 : 7 + 8 * MEBIBYTE]


def test_reading_that_breaks_for_ever_is_an_error(way: Relay, lost: Store) -> None:
    lost.write("file", LARGE)
    way.faults = [Fault(request="GET ", kind="cut answer", after=100, times=1000)]
    with pytest.raises(UnavailableError, match=r"could not read .*root/file"):
        lost.read("file")
    with lost.open_read("file") as file, pytest.raises(OSError, match="broke"):
        file.read()


def test_what_is_replaced_while_the_connection_is_broken_is_no_mixture(way: Relay, lost: Store) -> None:
    lost.write("file", LARGE)
    way.faults = [Fault(request="GET ", kind="cut answer", after=5 * MEBIBYTE)]
    with lost.open_read("file") as file:
        begun = file.read(10)
        lost.write("file", LARGE[::-1])
        with pytest.raises(OSError, match="not the same any more"):
            file.read()
    assert begun == LARGE[:10]


def test_who_is_not_let_in_again_is_not_told_that_the_file_changed(way: Relay, lost: Store) -> None:
    lost.write("file", LARGE)
    way.faults = [
        Fault(request="GET ", kind="cut answer", after=5 * MEBIBYTE),
        Fault(request="GET ", kind="refuse", answer=refusal("400", "ExpiredToken")),
    ]
    with lost.open_read("file") as file, pytest.raises(OSError, match="there is no new one: ExpiredToken"):
        file.read()


def test_a_writer_whose_upload_was_removed_says_so(lost: Store, versitygw_server: S3Server, bucket: str) -> None:
    """As the bucket's rule AbortIncompleteMultipartUpload does it."""
    real = versitygw_server.client()

    def chunks() -> Iterator[bytes]:
        yield LARGE * 2
        for found in real.list_multipart_uploads(Bucket=bucket)["Uploads"]:
            real.abort_multipart_upload(Bucket=bucket, Key=found["Key"], UploadId=found["UploadId"])
        yield LARGE

    with pytest.raises(StorageError, match="removed meanwhile"):
        lost.write("file", chunks())
    with pytest.raises(NotFoundError):
        lost.read("file")


def test_nothing_is_left_of_uploads_that_failed(lost: Store, versitygw_server: S3Server, bucket: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield LARGE
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lost.write("file", chunks())
    lost.write("taken", b"")
    lost.write(".staged", LARGE)
    with pytest.raises(AlreadyExistsError):
        lost.publish(".staged", "taken")
    assert not versitygw_server.client().list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert len(LARGE) > upload.PART_BYTES
