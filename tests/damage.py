"""What trainings say of a partition that is not what was packed: the same words on every runner and store."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from commands import Outcome

from hdfs_layout import Store


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def changed(content: bytes) -> bytes:
    """One byte in the middle is another."""
    middle = len(content) // 2
    other = b"A" if content[middle : middle + 1] != b"A" else b"B"
    return content[:middle] + other + content[middle + 1 :]


def said_of(
    damage: Callable[[bytes], bytes], store: Store, dataset: str, train: Callable[..., Outcome], options: Sequence[str]
) -> tuple[int, str]:
    """Train while the second partition is damaged; the exit code and the words, without root and dataset's own name."""
    uri = json.loads(store.read(f"datasets/{dataset}/v000001.json"))["partitions"][1]["uri"]
    # Hadoop's own checksum of a local file, if Spark wrote this one: it would see the damage first
    folder, _, name = uri.rpartition("/")
    store.remove(f"{folder}/.{name}.crc")
    whole = store.read(uri)
    store.write(uri, damage(whole))
    try:
        ended = train("train", *options, "--quiet")
    finally:
        store.write(uri, whole)
    return ended.code, re.sub(r"data/[^/]+/", "data/ID/", ended.err.replace(store.root, "ROOT"))
