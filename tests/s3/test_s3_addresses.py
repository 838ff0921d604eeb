"""Addresses of files on S3, by which tasks read that have no credentials: for one range, for some minutes."""

from __future__ import annotations

import datetime
import urllib.parse
from pathlib import Path

import botocore.auth
import pytest
from refusing_server import Said

from hdfs_layout import Address, Store, open_store
from hdfs_layout.s3.store import ADDRESS_SECONDS
from mr_ml.data import over_http
from mr_ml.errors import NotFoundError, StorageError, UnavailableError

CONTENT = bytes(range(200))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_http, "_PAUSE_SECONDS", 0.0)


def get(store: Store, *addresses: Address) -> bytes:
    return bytes(over_http.read(addresses, 50, where=store.uri("file")))


def query_of(address: Address) -> dict[str, list[str]]:
    return urllib.parse.parse_qs(urllib.parse.urlsplit(address.url).query)


def test_an_address_is_for_one_range_of_one_file(store: Store) -> None:
    store.write("file", CONTENT)
    (address,) = store.addresses("file", offset=10, length=50)
    assert get(store, address) == CONTENT[10:60]
    others = (
        Address(url=address.url, headers={"Range": "bytes=10-60"}),
        Address(url=address.url),
        Address(url=address.url.replace("/file?", "/other?"), headers=address.headers),
    )
    store.write("other", CONTENT)
    for other in others:
        with pytest.raises(UnavailableError, match="HTTP status 403 SignatureDoesNotMatch") as found:
            get(store, other)
        assert "Signature=" not in str(found.value)


def test_an_address_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("file", CONTENT)
    age = datetime.timedelta(seconds=ADDRESS_SECONDS + 5)
    made = botocore.auth.get_current_datetime() - age
    with monkeypatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_: made)
        (address,) = store.addresses("file", offset=10, length=50)
    with pytest.raises(UnavailableError, match="HTTP status 403 AccessDenied") as found:
        get(store, address)
    assert "X-Amz" not in str(found.value)


def test_what_is_not_there_or_shorter(store: Store) -> None:
    store.write("file", CONTENT)
    with pytest.raises(NotFoundError, match="/root/file, found nothing"):
        get(store, *store.addresses("missing", offset=0, length=50))
    with pytest.raises(StorageError, match="expected 50 bytes more, found 30"):
        get(store, *store.addresses("file", offset=170, length=50))
    with pytest.raises(StorageError, match="expected 50 bytes more, found none"):
        get(store, *store.addresses("file", offset=200, length=50))


@pytest.mark.parametrize("status", [200, 301, 403])
def test_an_address_is_of_the_region_that_the_bucket_is_in(said: Said, status: int) -> None:
    """Else S3 refuses it. It is asked once."""
    said.status, said.headers = status, {"x-amz-bucket-region": "eu-central-1"}
    store = open_store("s3://bucket/root")
    for _ in range(2):
        (address,) = store.addresses("file", offset=0, length=1)
        assert "/eu-central-1/" in query_of(address)["X-Amz-Credential"][0]
    assert len(said.seen) <= 2


def test_an_address_says_no_more_than_it_must(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary credentials need their token in it; nothing else is to be sent than it names."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a/token+")
    (address,) = store.addresses("file", offset=10, length=50)
    query = query_of(address)
    assert query["X-Amz-SignedHeaders"] == ["host;range"]
    assert query["X-Amz-Expires"] == [str(ADDRESS_SECONDS)]
    assert query["X-Amz-Security-Token"] == ["a/token+"]


def test_without_credentials_there_is_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(StorageError, match="expected credentials of AWS; found none"):
        store.addresses("file", offset=0, length=1)


def test_readers_are_told_whom_to_trust(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "authorities.pem").write_text("certificates")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authorities.pem"))
    (address,) = store.addresses("file", offset=0, length=1)
    assert address.authorities == "certificates"
