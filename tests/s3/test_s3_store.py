"""What is particular to the store of S3; what all stores promise is in tests/contract."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from s3_servers import S3Server

from hdfs_layout import AlreadyExistsError, NotFoundError, Store, open_store
from hdfs_layout.paths import PUBLISHING
from hdfs_layout.s3 import upload
from mr_ml.errors import StorageError

MEBIBYTE = 1 << 20


@pytest.fixture
def client(versitygw_server: S3Server) -> Any:
    """A client that is not the product's."""
    return versitygw_server.client()


def keys(client: Any, bucket: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", ())]


def test_marks_of_empty_folders_are_no_files(store: Store, bucket: str, client: Any) -> None:
    """As s3a and the AWS console leave them."""
    for key in ("root/", "root/empty/", "root/full/", "root/full/empty/", "root/full/.hidden/"):
        client.put_object(Bucket=bucket, Key=key)
    store.write("full/file", b"content")
    assert store.list("") == ("empty", "full")
    assert [(entry.name, entry.is_folder) for entry in store.entries("full")] == [("empty", True), ("file", False)]
    assert store.walk("") == ("full/file",)
    assert (store.list("empty"), store.walk("empty")) == ((), ())
    status = store.status("empty")
    assert store.exists("empty")
    assert status is not None
    assert status.is_folder
    for call in (store.read, store.size, store.checksum, store.open_read):
        with pytest.raises(NotFoundError):
            call("empty")
    store.publish_tree("full", "new")
    assert keys(client, bucket) == ["root/", "root/empty/", "root/new/file"]
    store.remove_tree("empty")
    assert not store.exists("empty")


@pytest.mark.parametrize("scheme", ["s3", "s3a", "S3"])
@pytest.mark.parametrize("folder", ["", "/", "/a b/ü%20"])
def test_roots(bucket: str, client: Any, scheme: str, folder: str) -> None:
    store = open_store(f"{scheme}://{bucket}{folder}")
    store.write("d/file", b"content")
    assert keys(client, bucket) == [f"{folder.strip('/')}/d/file".lstrip("/")]
    assert store.root == f"{scheme.lower()}://{bucket}{folder.rstrip('/')}"
    assert store.uri("d/file") == f"{store.root}/d/file"
    assert (store.walk(""), store.list(""), store.exists("")) == (("d/file",), ("d",), True)
    store.remove_tree("d")
    assert not store.exists("")


def test_more_than_a_page(store: Store, bucket: str, client: Any) -> None:
    names = [f"{number:04d}" for number in range(1205)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: client.put_object(Bucket=bucket, Key=f"root/d/{name}", Body=b"x"), names))
    client.put_object(Bucket=bucket, Key="root/e", Body=b"x")
    assert store.list("d") == tuple(names)
    assert store.walk("d") == tuple(f"d/{name}" for name in names)
    store.remove_tree("d")
    assert keys(client, bucket) == ["root/e"]


@pytest.mark.parametrize("server", ["moto_server", "versitygw_server"])
def test_large_files_are_written_and_published_in_parts(
    server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts grow, and a copy has parts too; nobody else's file is overwritten by one."""
    running: S3Server = request.getfixturevalue(server)
    running.use(monkeypatch)
    for name, value in {"PART_BYTES": 5 * MEBIBYTE, "_PARTS_OF_ONE_SIZE": 2, "COPIED_PART_BYTES": 6 * MEBIBYTE}.items():
        monkeypatch.setattr(upload, name, value)
    bucket = running.bucket()
    store = open_store(f"s3://{bucket}/root")
    content = bytes(range(256)) * (21 << 12)
    store.write("bytes", content)
    store.write("chunks", (content[start : start + 700_001] for start in range(0, len(content), 700_001)))
    assert store.checksum("bytes") == store.checksum("chunks")
    etag = running.client().head_object(Bucket=bucket, Key="root/bytes")["ETag"]
    assert etag.strip('"').endswith("-4")
    store.publish("bytes", "published")
    assert store.read("published") == content
    with pytest.raises(AlreadyExistsError):
        store.publish("chunks", "published")
    assert store.list("") == ("chunks", "published")


# --- trees ------------------------------------------------------------------------------------------------------------


def test_a_tree_is_published_with_what_says_that_it_is_whole_last(
    store: Store, bucket: str, versitygw_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hidden files too, and nothing of the publishing is left."""
    names = ["_SUCCESS", "a", "d/_metadata", "d/b", ".c", "z"]
    for name in names:
        store.write(f".staged/{name}", name.encode())
    copied: list[str] = []
    real = type(store)._copy  # type: ignore[attr-defined]

    def copy(self: Store, source: str, target: str, size: int) -> None:
        real(self, source, target, size)
        copied.append(target)
        assert self.exists(f"target/{PUBLISHING}")

    monkeypatch.setattr(type(store), "_copy", copy)
    store.publish_tree(".staged", "target")
    assert sorted(copied) == sorted(f"target/{name}" for name in names)
    assert copied[-2:] == ["target/_SUCCESS", "target/d/_metadata"]
    assert keys(versitygw_server.client(), bucket) == sorted(f"root/target/{name}" for name in names)


def test_a_tree_that_cannot_be_published_leaves_nothing(
    store: Store, bucket: str, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        store.write(f".staged/{number}", b"content")
    real = type(store)._copy  # type: ignore[attr-defined]

    def copy(self: Store, source: str, target: str, size: int) -> None:
        if target.endswith("3"):
            raise StorageError("out of order")
        real(self, source, target, size)

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "_copy", copy)
        with pytest.raises(StorageError, match="out of order"):
            store.publish_tree(".staged", "target")
    assert keys(client, bucket) == [f"root/.staged/{number}" for number in range(5)]
    store.publish_tree(".staged", "target")
    assert store.list("target") == ("0", "1", "2", "3", "4")


def test_a_part_of_a_tree_that_cannot_be_removed_is_not_taken_for_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        store.write(f".staged/{number}", b"content")
    real = type(store)._copy  # type: ignore[attr-defined]

    def copy(self: Store, source: str, target: str, size: int) -> None:
        if target.endswith("2"):
            raise StorageError("out of order")
        real(self, source, target, size)

    def remove_keys(self: Store, keys: object, path: str) -> None:
        raise StorageError("not removed")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "_copy", copy)
        patch.setattr(type(store), "_remove_keys", remove_keys)
        with pytest.raises(StorageError, match="out of order"):
            store.publish_tree(".staged", "target")
    assert store.exists(f"target/{PUBLISHING}")
    with pytest.raises(AlreadyExistsError):
        store.publish_tree(".staged", "target")


def test_a_folder_that_a_killed_publisher_left_is_not_published_into(store: Store) -> None:
    """Even if nothing else is in it; and it can be told from one that is whole."""
    store.write(f"target/{PUBLISHING}", b"")
    store.write(".staged/file", b"content")
    with pytest.raises(AlreadyExistsError, match="target"):
        store.publish_tree(".staged", "target")
    assert store.read(".staged/file") == b"content"
    store.remove_tree("target")
    store.publish_tree(".staged", "target")
    assert [entry.name for entry in store.entries("target", hidden=True)] == ["file"]
