"""Packing on a Hadoop cluster: raw files on HDFS to partition files on HDFS, by three jobs.

Where rows are equal there are two more, see `mr_ml.pack.equal_rows`.

Hadoop feeds the text to the map tasks where it lies, moves the mini-blocks, and names the partition files: reduce task
p writes part-0000p of the job's output folder, which is the folder of the dataset's partitions. One more reduce task
collects the reports; its file is read and removed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hdfs_layout import NotFoundError
from mr_ml.errors import InternalError
from mr_ml.ids import unique_id
from mr_ml.pack.movers import Ranges, Shuffled, add_report
from mr_ml.pack.plan import PackPlan
from mr_ml.pack.tasks import AGAIN, PackRequest, ScanRequest
from mr_ml.readers.base import check_has_lines, format_named
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.source import TextFile
from mr_ml.runners.base import Pair, pair_of
from mr_ml.runners.hadoop.fed_text import WITH_HEADER, WITHOUT_HEADER
from mr_ml.runners.hadoop.files import WHOLE_FILES, ClusterFiles, FileLines
from mr_ml.runners.hadoop.runner import HadoopJobRunner
from mr_ml.runners.hadoop.task_main import first_error

__all__ = ["ClusterMover", "FileLines"]


@dataclass(frozen=True)
class ClusterMover:
    runner: HadoopJobRunner
    text: ClusterFiles = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", ClusterFiles(self.runner.root))

    def files(self, inputs: Sequence[str]) -> list[TextFile]:
        """See `ClusterFiles.find`."""
        return self.text.find(inputs)

    def first_line(self, file: TextFile) -> bytes:
        return self.text.first_line(file)

    def scan(self, options: Options, files: Sequence[TextFile]) -> Ranges:
        from mr_ml_jobs.scan_job import MRScan

        for file in files:
            self.first_line(file)
        found: Ranges = {}
        fed = []
        request = ScanRequest(options).encode()
        lines, properties = self.text.lines(files), self.text.properties(files, header=_header(options))
        with self.text.renaming():
            pairs = self.runner.run(MRScan, request=request, input=lines, properties=properties)
        for key, value in pairs:
            fed.append(self._report(found, json.loads(key), json.loads(value)))
        self.text.check_fed(files, fed, doing="scanning")
        return found

    def _report(self, found: Ranges, place: Sequence[Any], summary: dict[str, Any]) -> tuple[str, int]:
        """Note what a task reports of its range; the file and the bytes that it was fed."""
        fed, start, n_bytes = place
        name = self.text.name_of(fed)
        add_report(found, (name, start), Summary.from_json(summary).renamed(name))
        return name, n_bytes

    def shuffle(
        self, schema: Schema, plan: PackPlan, files: Sequence[TextFile], *, name: str, data_id: str, n_columns: int
    ) -> Shuffled:
        from mr_ml_jobs.pack_job import MRPack

        root = self.runner.root
        request = PackRequest(schema, plan).encode()
        self.runner.produce(
            MRPack, request=request, input=self.text.lines(files), output=root.layout.dataset_data(name, data_id),
            n_reducers=plan.n_partitions + 1, properties=self.text.properties(files, header=_header(schema.options)),
        )  # fmt: skip
        path = root.layout.partition(name, data_id, plan.n_partitions)
        try:
            pairs = [pair_of(line) for line in root.store.read(path).splitlines()]
        except NotFoundError:
            raise InternalError(f"the job left no reports in {root.store.uri(path)}; run it again") from None
        root.store.remove(path)
        error = first_error(pairs)
        if error is not None:
            with self.text.renaming():
                raise error
        reports: Ranges = {}
        fed = [self._report(reports, *json.loads(value)) for _, value in pairs]
        self.text.check_fed(files, fed, doing="packing")
        n_bytes = sum(file.size for file in files)
        answers = self._inspected(plan, request, name=name, data_id=data_id, n_bytes=n_bytes)
        if any(key == AGAIN for key, _ in answers):
            answers, data_id = self._spread(plan, request, name=name, data_id=data_id, n_bytes=n_bytes)
        return Shuffled.of(plan, answers, reports, data_id=data_id)

    def _inspected(self, plan: PackPlan, request: bytes, *, name: str, data_id: str, n_bytes: int) -> list[Pair]:
        from mr_ml_jobs.inspect_job import MRInspect

        lines = self._partitions(plan, name=name, data_id=data_id, n_bytes=n_bytes)
        return self.runner.run(MRInspect, request=request, input=lines, properties=WHOLE_FILES)

    def _spread(
        self, plan: PackPlan, request: bytes, *, name: str, data_id: str, n_bytes: int
    ) -> tuple[list[Pair], str]:
        """The second round, since equal rows met: see `mr_ml.pack.equal_rows`. Its files lie in another folder."""
        from mr_ml_jobs.spread_job import MRSpread

        root, second = self.runner.root, unique_id()
        try:
            lines = self._partitions(plan, name=name, data_id=data_id, n_bytes=n_bytes)
            output = root.layout.dataset_data(name, second)
            self.runner.produce(MRSpread, request=request, input=lines, output=output, n_reducers=plan.n_partitions)
            answers = self._inspected(plan, request, name=name, data_id=second, n_bytes=n_bytes)
        except BaseException:
            root.store.remove_tree(root.layout.dataset_data(name, second))
            raise
        root.store.remove_tree(root.layout.dataset_data(name, data_id))
        return answers, second

    def _partitions(self, plan: PackPlan, *, name: str, data_id: str, n_bytes: int) -> FileLines:
        paths = (self.runner.root.layout.partition(name, data_id, number) for number in range(plan.n_partitions))
        return FileLines(tuple(map(self.runner.root.store.uri, paths)), n_bytes)

    def check_rest(self, files: Sequence[TextFile]) -> None:
        self.text.check_rest(files)

    def close(self) -> None:
        self.text.close()


def _header(options: Options) -> str:
    form = format_named(options.format)
    check_has_lines(form)
    return WITH_HEADER if form.header_lines(options) else WITHOUT_HEADER
