"""Compare partition files with the sha256 in the manifest: every byte, where a pass checks blocks only.

A pass checks the CRC-32 of every block, and of every partition its size, its rows and a digest over those checksums. So
it notices what is lost, doubled, exchanged or damaged by accident. A sha256 also tells a change made to fit; it
takes more time than all else that a first pass does with the bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from hdfs_layout import NotFoundError, Store
from mr_ml.catalog.dataset import Partition
from mr_ml.errors import BadDataError

CHUNK_BYTES = 1 << 20


def verify(store: Store, partitions: Sequence[Partition]) -> int:
    """Read all partitions, some at once; returns their bytes.

    Raises
    ------
    BadDataError
        Naming each that is missing or not what was packed.
    StorageError
        If one cannot be read.
    """
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        faults = [fault for fault in threads.map(lambda partition: _fault(store, partition), partitions) if fault]
    if faults:
        more = f"; and {len(faults) - 10} more" if len(faults) > 10 else ""
        raise BadDataError(f"{'; '.join(faults[:10])}{more}. Restore them, or pack the dataset again")
    return sum(partition.facts.n_bytes for partition in partitions)


def _fault(store: Store, partition: Partition) -> str:
    facts, uri, digest = partition.facts, store.uri(partition.path), hashlib.sha256()
    try:
        size = store.size(partition.path)
        if size == facts.n_bytes:
            with store.open_read(partition.path) as source:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
    except NotFoundError:
        return f"partition {facts.partition} is missing: expected {uri}"
    if size != facts.n_bytes:
        return f"partition {facts.partition}: expected {facts.n_bytes} bytes, found {size} in {uri}"
    if digest.hexdigest() != facts.sha256:
        return f"partition {facts.partition}: expected sha256 {facts.sha256}, found {digest.hexdigest()} in {uri}"
    return ""
