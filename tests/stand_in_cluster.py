"""A runner that stands in for a cluster: tasks in this process that are fed as Hadoop feeds them, and a list of jobs.

Its files lie in folders of the scheme ``far``, which no task can open by a path. Files are cut anywhere, reduce tasks
get keys by Hadoop's hash, what tasks raise travels in their output.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from far_store import far_stores

from hdfs_layout import Root, open_root, open_store, split_uri
from mr_ml.errors import MrMlError
from mr_ml.runners import task_errors
from mr_ml.runners.base import Pair, Tasks
from mr_ml.runners.hadoop import file_systems, streamed_text
from mr_ml.runners.hadoop.file_systems import FileSystem
from mr_ml.runners.hadoop.streamed_text import StreamedText
from mr_ml.runners.hadoop.text import ClusterText
from mr_ml.runners.job_input import JobInput
from mr_ml.runners.reduce_keys import hash_of
from mr_ml.runners.task_errors import ERROR_KEY, first_error

SPLIT_BYTES = 700

Split = tuple[str, int, int, bytes]


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """See `mr_ml.runners.base.Runner`.

    Attributes
    ----------
    pack_bytes
        As of `Tasks`.
    jobs
        Names of those that ran.
    begins
        Called with the name of each, before it runs.
    fed
        Makes what map tasks are fed of the splits of a job.
    """

    root: Root
    pack_bytes: int = 0
    jobs: list[str] = field(default_factory=list)
    begins: Callable[[str], None] = lambda name: None
    fed: Callable[[list[Split]], list[Split]] = lambda splits: splits
    name: str = "stand-in"

    @property
    def tasks(self) -> Tasks:
        return Tasks(n_tasks=1, share_files=False, share_memory=False, pack_bytes=self.pack_bytes)

    def text(self, inputs: Sequence[str], *, longest_line: int | None = None) -> ClusterText:
        return ClusterText(self.root, inputs)

    def run(self, job: Any, *, request: bytes, input: JobInput, n_reducers: int | None = None) -> list[Pair]:
        pairs = [pair for part in self._parts(job, request, input, n_reducers or 1) for pair in part]
        error = first_error(pairs)
        if error is not None:
            raise error
        return pairs

    def produce(self, job: Any, *, request: bytes, input: JobInput, output: str, n_reducers: int | None = None) -> None:
        for number, part in enumerate(self._parts(job, request, input, n_reducers or 1)):
            self.root.store.write(f"{output}/part-{number:05d}", b"".join(b"\t".join(pair) + b"\n" for pair in part))

    @contextmanager
    def left(self, job: Any, *, request: bytes, input: JobInput) -> Iterator[Any]:
        raise NotImplementedError
        yield

    def of_work(self, work: str) -> StandIn:
        return self

    def environment(self) -> Mapping[str, Any] | None:
        return None

    def check(self, *, n_tasks: int, say: Callable[[str], None], driver: tuple[str, int] | None = None) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def _parts(self, job: Any, request: bytes, input: JobInput, n_reducers: int) -> list[list[Pair]]:
        self.jobs.append(job.__name__)
        self.begins(job.__name__)
        mapped = [pair for split in self.fed(_splits(input)) for pair in _task(_mapped(job, request, input, split))]
        if "reducer" not in vars(job):
            return [mapped]
        fed: dict[int, list[Pair]] = defaultdict(list)
        errors = [pair for pair in mapped if pair[0] == ERROR_KEY]
        for pair in mapped:
            if pair[0] != ERROR_KEY:
                fed[hash_of(pair[0]) % n_reducers].append(pair)
        parts = [list(_task(job.called(request).reduce_sorted(sorted(fed[k])))) for k in range(n_reducers)]
        parts[-1] += errors
        return parts


def _splits(input: JobInput) -> list[Split]:
    splits: list[Split] = []
    if input.told is not None:
        return [("pieces", 0, 0, piece.line) for piece in input.told]
    for uri in input.uris():
        root, path = split_uri(uri)
        data = open_store(root).read(path)
        if "mapreduce.input.fileinputformat.split.minsize" in input.properties:
            splits.append((uri, 0, len(data), data))
            continue
        cuts: dict[int, list[bytes]] = defaultdict(list)
        at = 0
        # a lone CR ends no line
        for line in io.BytesIO(data):
            cuts[at // SPLIT_BYTES].append(line)
            at += len(line)
        splits += [(uri, k * SPLIT_BYTES, SPLIT_BYTES, b"".join(lines)) for k, lines in cuts.items()]
    return splits


def _mapped(job: Any, request: bytes, input: JobInput, split: Split) -> Iterator[Pair]:
    uri, start, length, data = split
    task, properties = job.called(request), input.properties
    if streamed_text.PROPERTY not in properties:
        yield from task.map_lines(data.removesuffix(b"\n").split(b"\n") if data else [])
        return
    has_header = properties[streamed_text.PROPERTY] == streamed_text.WITH_HEADER
    # Hadoop ends a last line that has no line feed
    stream: Any = io.BytesIO(data if data.endswith(b"\n") else data + b"\n")
    is_packed = streamed_text.PACKED in properties
    yield from task.map_text(StreamedText(uri, start, stream, has_header, length if is_packed else None))


def _task(pairs: Iterator[Pair]) -> Iterator[Pair]:
    try:
        yield from pairs
    except MrMlError as error:
        yield ERROR_KEY, task_errors.encode(error)


@contextmanager
def far_cluster(folder: Path) -> Iterator[Root]:
    """Give a root that the stand-in's tasks read and write, as text below ``far://`` is."""
    with pytest.MonkeyPatch.context() as patch, far_stores("far"):
        patch.setattr(file_systems, "FILE_SYSTEMS", {"far": FileSystem(few_files=1)})
        yield open_root(f"far://{folder}/cluster")
