"""Who may read the files of a store: their owner alone where that is said, and programs that have an address."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_kinds import Kind

from hdfs_layout import Store, open_store
from mr_ml.errors import StorageError

EVERY_BYTE = bytes(range(256))


@pytest.mark.parametrize("data", [b"content", [b"con", b"tent"], b""])
@pytest.mark.parametrize("old", [None, b"old content"])
def test_a_private_file_reads_as_it_was_written(store: Store, data: bytes | list[bytes], old: bytes | None) -> None:
    if old is not None:
        store.write("file", old)
    store.write("file", data, private=True)
    assert store.read("file") == (data if isinstance(data, bytes) else b"".join(data))
    assert store.list("") == ("file",)


def test_a_private_file_has_its_mode_at_every_moment(store: Store) -> None:
    """What is written before the end is not for others either."""
    here = store.local_path("")
    if here is None:
        pytest.skip("no process of this machine can look at its files")
    modes: list[int] = []

    def chunks() -> Iterator[bytes]:
        yield b"secret"
        modes.extend(path.stat().st_mode & 0o777 for path in Path(here, "folder").iterdir())
        yield b"."

    store.write("folder/file", chunks(), private=True)
    modes.append(Path(here, "folder/file").stat().st_mode & 0o777)
    assert modes == [0o600] * 2


def test_another_user_reads_no_private_file(
    store: Store, store_kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    if store_kind.as_another is None:
        pytest.skip(f"tests cannot be another user of {store_kind.name}")
    store.write("folder/open", b"for all")
    store.write("folder/file", b"secret", private=True)
    store_kind.as_another(monkeypatch)
    theirs = open_store(store.root)
    assert theirs.read("folder/open") == b"for all"
    with pytest.raises(StorageError, match="ermission"):
        theirs.read("folder/file")


def test_an_address_gives_a_range(store: Store, store_kind: Kind) -> None:
    content = EVERY_BYTE * 3
    store.write("folder/a file", content)
    for offset, length in ((0, len(content)), (5, 300), (700, 68)):
        addresses = store.addresses("folder/a file", offset=offset, length=length)
        wholes = store.addresses("folder/a file")
        assert bool(addresses) == bool(wholes) == store_kind.has_addresses
        for address in (*addresses, *(whole.part(offset=offset, length=length) for whole in wholes)):
            assert address.url.startswith("http")
            assert "http" not in f"{address!r}"
            with urllib.request.urlopen(urllib.request.Request(address.url, headers=dict(address.headers))) as answer:
                assert answer.status == (206 if "Range" in address.headers else 200)
                assert answer.read() == content[offset : offset + length]
