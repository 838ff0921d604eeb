"""The MapReduce engine: a pass is one mrjob job, on any runner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hdfs_layout import Store
from mr_ml.dataset import Dataset
from mr_ml.engine.base import check_receipts
from mr_ml.engine.jobs import JobRunner
from mr_ml.engine.pass_tasks import decode_value
from mr_ml.engine.request import PassRequest, assign, task_line
from mr_ml.errors import UsageError
from mr_ml.query import Query
from mr_ml.statistic import Statistic
from mr_ml.tree import SumTree, sum_over


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
    runner: JobRunner
    cache_bytes: int

    @cached_property
    def _tree(self) -> SumTree:
        return self.dataset.tree(self.split)

    @cached_property
    def _tasks(self) -> list[bytes]:
        files = []
        for partition in self.dataset.of_split(self.split):
            path = self.store.local_path(partition.path)
            if path is None:
                raise UsageError(f"{self.store.root} cannot be read by tasks on this machine; use a folder as --root")
            files.append((path, partition.facts))
        return [task_line(ranges) for ranges in assign(files, n_tasks=self.runner.n_tasks)]

    def run(self, query: Query) -> Statistic:
        from mr_ml_jobs.pass_job import MRPass

        tree = self._tree
        identity = f"{self.dataset.data_id}/{self.split}"
        request = PassRequest(query, tree, identity, self.cache_bytes).encode()
        pairs = self.runner.run(MRPass, request=request, tasks=self._tasks)
        total = sum_over(tree, (decode_value(value) for _, value in pairs), Statistic.__add__)
        check_receipts(
            total,
            tree=tree,
            expected=self.dataset.expected(self.split),
            dataset=f"{self.dataset.reference} {self.split}",
        )
        return total

    def close(self) -> None:
        """Nothing of its own: worker processes belong to the process and end with it."""
