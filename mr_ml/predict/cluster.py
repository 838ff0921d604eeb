"""Scoring on a Hadoop cluster: files fed to map tasks where they lie, by one job without reduce tasks.

A map task's output file holds the lines of one of Hadoop's splits and then a line of ours which says of which, so it
does not matter which task had which split. Hadoop keeps one attempt's output of each task, whole. The driver puts the
lines in order: they go through it once, and are much shorter than what was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from hdfs_layout import NotFoundError, Store
from mr_ml.errors import InternalError, StorageError, UnavailableError
from mr_ml.ids import unique_id
from mr_ml.predict.tasks import REPORT, PredictRequest, RangeReport
from mr_ml.readers.base import check_has_lines, format_named
from mr_ml.readers.text.source import TextFile
from mr_ml.runners.base import pair_of
from mr_ml.runners.hadoop.fed_text import WITH_HEADER, WITHOUT_HEADER
from mr_ml.runners.hadoop.files import ClusterFiles
from mr_ml.runners.hadoop.runner import HadoopJobRunner
from mr_ml.runners.hadoop.task_main import first_error
from mr_ml.runners.hadoop.work import OWNER_NAME, Owner

_CHUNK_BYTES = 1 << 20
_REPORT_BYTES = 1 << 16
# Hadoop puts a separator behind every key. Here the whole line is the key, and no line of ours ends like that; none at
# all would do, but an empty property counts as not set.
_SEPARATOR = b"|"
_WHOLE_LINES = {
    "stream.num.map.output.key.fields": str((1 << 31) - 1),
    "mapreduce.output.textoutputformat.separator": _SEPARATOR.decode(),
}


@dataclass(frozen=True)
class ScoredPart:
    """Lines in the output file of a map task."""

    report: RangeReport
    store: Store
    path: str

    def lines(self) -> Iterator[bytes]:
        left = self.report.n_written + self.report.n_lines * len(_SEPARATOR)
        if not left:
            return
        held = b""
        with self.store.open_read(self.path) as part:
            while left and (chunk := part.read(min(left, _CHUNK_BYTES))):
                left -= len(chunk)
                chunk = held + chunk
                held = _SEPARATOR if chunk.endswith(_SEPARATOR) else b""
                yield chunk.removesuffix(_SEPARATOR).replace(_SEPARATOR + b"\n", b"\n")
        yield held


@dataclass(frozen=True)
class ClusterScorer:
    """Files on HDFS, and files of this machine, which are brought there first."""

    runner: HadoopJobRunner
    _text: ClusterFiles = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_text", ClusterFiles(self.runner.root))

    def files(self, inputs: Sequence[str]) -> list[TextFile]:
        return self._text.find(inputs)

    def first_line(self, file: TextFile) -> bytes:
        return self._text.first_line(file)

    @contextmanager
    def score(self, request: PredictRequest, files: Sequence[TextFile]) -> Iterator[list[ScoredPart]]:
        from mr_ml_jobs.predict_job import MRPredict

        text, store, folder = (
            self._text,
            self.runner.root.store,
            self.runner.root.layout.job(f"predictions-{unique_id()}"),
        )
        check_has_lines(format_named(request.schema.format))
        header = WITH_HEADER if any(file.header_bytes for file in files) else WITHOUT_HEADER
        properties = {**text.properties(files, header=header), **_WHOLE_LINES}
        output = f"{folder}/output"
        try:
            # should this process be killed outright, the next driver removes what it left
            store.write(f"{folder}/{OWNER_NAME}", Owner.here().encode())
            lines = text.lines(files)
            self.runner.produce(MRPredict, request=request.encode(), input=lines, output=output, properties=properties)
            with text.renaming():
                parts = _named(_parts(store, output), text)
            text.check_fed(files, [(part.report.file, part.report.n_read) for part in parts], doing="scoring")
            text.check_rest(files)
            yield parts
        finally:
            text.close()
            with suppress(StorageError, UnavailableError):
                store.remove_tree(folder)


def _parts(store: Store, output: str) -> list[ScoredPart]:
    """The output files of all map tasks.

    Raises
    ------
    MrMlError
        What a task raised.
    """
    try:
        paths = [f"{output}/{name}" for name in store.list(output) if name.startswith("part-")]
    except NotFoundError:
        raise InternalError(f"the job left no output in {store.uri(output)}; run it again") from None
    pairs = [pair_of(_last_line(store, path)) for path in paths]
    error = first_error(pairs)
    if error is not None:
        raise error
    for path, (key, _) in zip(paths, pairs, strict=True):
        if key != REPORT:
            raise InternalError(f"{store.uri(path)} does not end with a report; run it again")
    return [ScoredPart(RangeReport.decode(value), store, path) for path, (_, value) in zip(paths, pairs, strict=True)]


def _last_line(store: Store, path: str) -> bytes:
    size, length = store.size(path), _REPORT_BYTES
    while True:
        data = store.read_range(path, offset=max(size - length, 0), length=length).removesuffix(b"\n")
        if b"\n" in data or length >= size:
            return data.rpartition(b"\n")[2].removesuffix(_SEPARATOR)
        length *= 4


def _named(parts: Sequence[ScoredPart], text: ClusterFiles) -> list[ScoredPart]:
    """The parts, their files named as the user names them.

    Raises
    ------
    InternalError
        If a split of a file is there twice.
    """
    found = [replace(part, report=replace(part.report, file=text.name_of(part.report.file))) for part in parts]
    seen = set[tuple[str, int]]()
    for part in found:
        place = part.report.file, part.report.start
        if place in seen:
            raise InternalError(f"{place[0]} from byte {place[1]} was scored twice; run it again")
        seen.add(place)
    return found
