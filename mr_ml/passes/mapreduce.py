"""The MapReduce engine: a pass is one mrjob job, on any runner."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from functools import cached_property

from hdfs_layout import NotFoundError, Store
from hdfs_layout.dataclass import dataclass
from hdfs_layout.paths import join
from mr_ml.catalog.dataset import Dataset, Partition
from mr_ml.data.partition_file import FED, changed, missing
from mr_ml.errors import BadDataError, InternalError
from mr_ml.passes.base import Array, check_receipts
from mr_ml.passes.engines import PassesWanted
from mr_ml.passes.request import PassRequest, assign, task_line
from mr_ml.passes.tasks import decode_value
from mr_ml.runners.base import Runner
from mr_ml.runners.job_input import NO_PROPERTIES
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import PartialSums, SumTree

_FED_PARTITION = re.compile(rf"{FED}: partition ([0-9]+)\b", re.ASCII)


@dataclass(frozen=True)
class PartitionInput:
    """Some partitions of a dataset, as blocks to open or as lines to stream."""

    partitions: tuple[Partition, ...]
    store: Store
    # by the number of tasks: the same in every pass
    _lines: dict[int, list[bytes]] = field(default_factory=dict, compare=False)

    def lines(self, *, n_tasks: int) -> list[bytes]:
        """See `JobInput.lines`."""
        if n_tasks not in self._lines:
            self._lines[n_tasks] = self._cut(n_tasks)
        return self._lines[n_tasks]

    def _cut(self, n_tasks: int) -> list[bytes]:
        files = [(self.store.local_path(p.path) or p.path, p.facts) for p in self.partitions]
        root = "" if self._is_here else self.store.root
        return [task_line([replace(r, root=root) for r in ranges]) for ranges in assign(files, n_tasks=n_tasks)]

    @property
    def _is_here(self) -> bool:
        return self.store.local_path("") is not None

    def uris(self) -> list[str]:
        """See `JobInput.uris`."""
        return [self.store.uri(p.path) for p in self.partitions if p.facts.blocks]

    @property
    def properties(self) -> Mapping[str, str]:
        """See `JobInput.properties`."""
        return NO_PROPERTIES

    @property
    def told(self) -> None:
        """See `JobInput.told`."""

    @property
    def n_mixable(self) -> int:
        """See `JobInput.n_mixable`."""
        return len(self.partitions)

    @property
    def is_read_often(self) -> bool:
        """See `JobInput.is_read_often`; a training has many passes."""
        return True

    @property
    def n_bytes(self) -> int:
        """See `JobInput.n_bytes`."""
        return sum(partition.facts.n_bytes for partition in self.partitions)

    @contextmanager
    def checked(self, *, are_fed: bool) -> Iterator[None]:
        """Look at all files before a pass, and within the block have errors of tasks name the file that they were fed.

        Parameters
        ----------
        are_fed
            Whether tasks are fed lines. Those that open files by a path of this machine look at them themselves.

        Raises
        ------
        BadDataError
            As `check_files`.
        """
        if are_fed or not self._is_here:
            self.check_files()
        try:
            yield
        except InternalError:
            # tasks that are fed lines do not see which file is missing
            self.check_files()
            raise
        except BadDataError as error:
            found = _FED_PARTITION.match(str(error))
            known = {partition.facts.partition: partition for partition in self.partitions}
            if found is None or int(found[1]) not in known:
                raise
            uri = self.store.uri(known[int(found[1])].path)
            raise BadDataError(uri + str(error).removeprefix(FED)) from error

    def check_files(self) -> None:
        """Look whether all partitions are there and as long as they were when they were packed.

        Raises
        ------
        BadDataError
            Naming the first one that is not.
        """
        sizes: dict[str, int] = {}
        # one request for all that are in a folder
        for folder in {partition.path.rpartition("/")[0] for partition in self.partitions}:
            with suppress(NotFoundError):
                sizes.update((join(folder, entry.name), entry.size) for entry in self.store.entries(folder))
        for partition in self.partitions:
            number, expected, uri = partition.facts.partition, partition.facts.n_bytes, self.store.uri(partition.path)
            size = sizes.get(partition.path)
            if size is None:
                raise missing(number, uri)
            if size != expected:
                raise changed(number, uri, expected=expected, found=size)


def encoded_request(
    query: Query, tree: SumTree, dataset: Dataset, split: str, *, columns: Array | None, cache_bytes: int = 0
) -> bytes:  # fmt: skip
    """Return what the tasks of a pass over a split are sent; arguments as of `PassRequest` and `Engine.run`."""
    identity = f"{dataset.data_id}/{split}"
    if columns is not None:
        identity += f"/{zlib.crc32(columns.data):08x}"
    return PassRequest(query, tree, identity, cache_bytes, columns).encode()


def open_mapreduce(wanted: PassesWanted) -> MapReduceEngine:
    """Open the engine; an entry of `mr_ml.passes.engines.ENGINES`."""
    return MapReduceEngine(wanted.dataset, wanted.split, wanted.store, wanted.runner, wanted.cache_bytes)


@dataclass(frozen=True)
class MapReduceEngine:
    """Runs queries over one split of a dataset.

    Attributes
    ----------
    cache_bytes
        Decoded blocks that each task process may keep between passes.
    """

    dataset: Dataset
    split: str
    store: Store
    runner: Runner
    cache_bytes: int

    @cached_property
    def _tree(self) -> SumTree:
        return self.dataset.tree(self.split)

    @cached_property
    def _input(self) -> PartitionInput:
        return PartitionInput(self.dataset.of_split(self.split), self.store)

    def run(self, query: Query, *, columns: Array | None = None) -> Statistic:
        """See `Engine.run`."""
        request = encoded_request(
            query, self._tree, self.dataset, self.split, columns=columns, cache_bytes=self.cache_bytes
        )
        # with millions of features both are large, and what is not needed must go before the pass
        del query
        with self._input.checked(are_fed=not self.runner.tasks.share_files):
            return self._run(request)

    def _run(self, request: bytes) -> Statistic:
        from mr_ml_jobs.pass_job import MRPass

        tree = self._tree
        pairs = self.runner.run(MRPass, request=request, input=self._input)
        sums: dict[int, PartialSums[Statistic]] = {0: PartialSums(tree, Statistic.absorb)}
        # a piece's text goes when it is read: together they may be as large as several models
        while pairs:
            node, piece = decode_value(pairs.pop()[1])
            sums.setdefault(piece.first_feature, PartialSums(tree, Statistic.absorb)).add(node, piece)
        totals = [mine.total() for mine in sums.values()]
        expected = self.dataset.expected(self.split)
        for total in totals:
            check_receipts(total, tree=tree, expected=expected, dataset=f"{self.dataset.reference} {self.split}")
        return Statistic.joined(totals)

    def close(self) -> None:
        """Nothing of its own: worker processes belong to the process and end with it."""
