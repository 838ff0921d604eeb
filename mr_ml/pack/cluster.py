"""Packing on a Hadoop cluster: raw files on HDFS to partition files on HDFS, by three jobs.

Hadoop feeds the text to the map tasks where it lies, moves the mini-blocks, and names the partition files: reduce task
p writes part-0000p of the job's output folder, which is the folder of the dataset's partitions. One more reduce task
collects the reports; its file is read and removed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hdfs_layout import NotFoundError, Store, open_store
from mr_ml.engine.fed_text import DELIMITER, PROPERTY, WITH_HEADER, WITHOUT_HEADER
from mr_ml.engine.hadoop_runner import HadoopJobRunner
from mr_ml.engine.jobs import pair_of
from mr_ml.engine.task_main import first_error
from mr_ml.errors import BadDataError, InternalError, StorageError, UsageError
from mr_ml.pack.movers import Answers, Ranges, add_report
from mr_ml.pack.plan import PackPlan
from mr_ml.pack.tasks import PackRequest, ScanRequest, facts_of
from mr_ml.readers.schema import Schema, Summary, TextOptions
from mr_ml.readers.source import TextFile

SCHEMES = ("hdfs", "webhdfs", "swebhdfs")
_FIRST_READ_BYTES = 1 << 16
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# No split is as long: a map task reads a whole file.
_WHOLE_FILES = {"mapreduce.input.fileinputformat.split.minsize": str(1 << 60)}


@dataclass(frozen=True)
class FileLines:
    """Files on HDFS whose lines the map tasks are fed."""

    paths: tuple[str, ...]
    n_bytes: int

    def lines(self, *, n_tasks: int) -> Sequence[bytes]:
        raise UsageError("files on HDFS are read by tasks on the cluster; use -r hadoop")

    def uris(self) -> Sequence[str]:
        return self.paths


@dataclass(frozen=True)
class ClusterMover:
    runner: HadoopJobRunner
    _stores: dict[str, tuple[Store, str]] = field(default_factory=dict)

    def files(self, inputs: Sequence[str]) -> list[TextFile]:
        """The files that URIs name: files, and folders with all files in them, hidden and _-names left out.

        Raises
        ------
        UsageError
            If an input is not on HDFS, names nothing, names a file twice, or is compressed.
        """
        found: dict[str, TextFile] = {}
        for given in inputs:
            for file in self._named(given):
                if file.path in found:
                    raise UsageError(f"{file.path} is named more than once; its rows would count double")
                found[file.path] = file
        return sorted(found.values())

    def _named(self, given: str) -> list[TextFile]:
        if urlsplit(given).scheme.lower() not in SCHEMES:
            raise UsageError(
                f"-r hadoop packs files on HDFS, hdfs://...; found {given!r}. Bring it there: "
                f"hadoop fs -put {given} {self.runner.store.root}/raw/"
            )
        folder, _, name = given.rstrip("/").rpartition("/")
        store = open_store(folder)
        try:
            paths = [name]
            sizes = [store.size(name)]
        except NotFoundError:
            raise UsageError(f"expected input files, found nothing at {given!r}; check the path") from None
        except StorageError:
            # a folder has no size
            paths = [path for path in store.walk(name) if not any(part[0] == "_" for part in path.split("/"))]
            sizes = [store.size(path) for path in paths]
        if not paths:
            raise UsageError(f"expected input files, found none in {given!r}")
        files = [TextFile(store.uri(path), size) for path, size in zip(paths, sizes, strict=True)]
        for file, path in zip(files, paths, strict=True):
            if file.compression != "none":
                raise UsageError(
                    f"{file.path}: -r hadoop packs plain text, which it can cut; decompress it, or use -r local"
                )
            if set("*?[]{}\\,#\n") & set(file.path):
                raise UsageError(f"Hadoop reads a path like {file.path!r} as something else; rename that file")
            self._stores[file.path] = store, path
        return files

    def first_line(self, file: TextFile) -> bytes:
        store, path = self._stores[file.path]
        length = _FIRST_READ_BYTES
        while True:
            data = store.read_range(path, offset=0, length=length)
            if data.startswith(_BYTE_ORDER_MARK):
                # Hadoop drops it, which no count of bytes would show
                raise BadDataError(f"{file.path} begins with a byte order mark; remove it: `tail -c +4`")
            end = data.find(b"\n") + 1
            if end or len(data) < length:
                return data[:end] or data
            length *= 4

    def scan(self, options: TextOptions, files: Sequence[TextFile]) -> Ranges:
        from mr_ml_jobs.scan_job import MRScan

        for file in files:
            self.first_line(file)
        found: Ranges = {}
        places = []
        request = ScanRequest(options).encode()
        pairs = self.runner.run(MRScan, request=request, input=_lines_of(files), properties=_fed(options))
        for key, value in pairs:
            place = json.loads(key)
            places.append(place)
            add_report(found, (place[0], place[1]), Summary.from_json(json.loads(value)))
        _check_bytes(files, places, doing="scanning")
        return found

    def shuffle(
        self, schema: Schema, plan: PackPlan, files: Sequence[TextFile], *, name: str, data_id: str
    ) -> tuple[Answers, Ranges]:
        from mr_ml_jobs.inspect_job import MRInspect
        from mr_ml_jobs.pack_job import MRPack

        store, layout = self.runner.store, self.runner.layout
        request = PackRequest(schema, plan, (), "").encode()
        self.runner.produce(
            MRPack, request=request, input=_lines_of(files), output=layout.dataset_data(name, data_id),
            n_reducers=plan.n_partitions + 1, properties=_fed(schema.options),
        )  # fmt: skip
        path = layout.partition(name, data_id, plan.n_partitions)
        try:
            pairs = [pair_of(line) for line in store.read(path).splitlines()]
        except NotFoundError:
            raise InternalError(f"the job left no reports in {store.uri(path)}; run it again") from None
        store.remove(path)
        error = first_error(pairs)
        if error is not None:
            raise error
        reports: Ranges = {}
        places = []
        for _, value in pairs:
            place, summary = json.loads(value)
            places.append(place)
            add_report(reports, (place[0], place[1]), Summary.from_json(summary))
        _check_bytes(files, places, doing="packing")
        paths = [layout.partition(name, data_id, number) for number in range(plan.n_partitions)]
        lines = FileLines(tuple(store.uri(path) for path in paths), sum(file.size for file in files))
        answers = self.runner.run(MRInspect, request=request, input=lines, properties=_WHOLE_FILES)
        return {int(key): facts_of(value) for key, value in answers}, reports

    def check_rest(self, files: Sequence[TextFile]) -> None:
        for file in files:
            store, path = self._stores[file.path]
            if not store.exists(path) or store.size(path) != file.size:
                raise BadDataError(f"{file.path} changed while it was packed; pack again when it is at rest")


def _lines_of(files: Sequence[TextFile]) -> FileLines:
    return FileLines(tuple(file.path for file in files), sum(file.size for file in files))


def _fed(options: TextOptions) -> dict[str, str]:
    has_header = options.format == "csv" and options.header
    return {PROPERTY: WITH_HEADER if has_header else WITHOUT_HEADER, **DELIMITER}


def _check_bytes(files: Sequence[TextFile], places: Sequence[tuple[str, int, int]], *, doing: str) -> None:
    """Hold the bytes that the map tasks were fed against the files.

    Raises
    ------
    InternalError
        If some are missing or came twice.
    """
    # tasks know a file by its address in Hadoop's configuration, which may spell the host in another way
    fed: dict[str, int] = dict.fromkeys((urlsplit(file.path).path for file in files), 0)
    for name, _, n_bytes in places:
        fed[urlsplit(name).path] = fed.get(urlsplit(name).path, 0) + n_bytes
    for file in files:
        # a last line without line feed is given one
        if fed[urlsplit(file.path).path] not in (file.size, file.size + 1):
            raise InternalError(
                f"{doing} {file.path} was not complete: expected {file.size} bytes, tasks were fed "
                f"{fed[urlsplit(file.path).path]}; run it again when the file is at rest"
            )
