"""Who scores the rows: map tasks on this machine, which open the files and leave their lines in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from hdfs_layout.faults import storage_error
from mr_ml.errors import BadDataError, InternalError, UsageError
from mr_ml.predict.tasks import PredictRequest, RangeReport
from mr_ml.readers.base import format_named, listing
from mr_ml.readers.text.chunks import MAX_LINE_BYTES
from mr_ml.readers.text.source import TextFile, check_content, check_rest, expand, first_line
from mr_ml.runners.base import LocalJobRunner, TaskLines

_CHUNK_BYTES = 1 << 20


class Scored(Protocol):
    """The output lines of one range of text."""

    @property
    def report(self) -> RangeReport:
        """What they are; its file is one of those that were asked for, by its name there."""

    def lines(self) -> Iterator[bytes]:
        """Their bytes; as often as needed."""


class Scorer(Protocol):
    def files(self, inputs: Sequence[str]) -> list[TextFile]:
        """The files that the inputs name, sorted; their headers not yet looked at."""

    def first_line(self, file: TextFile) -> bytes:
        """The first line, newline included; empty for an empty file."""

    def score(self, request: PredictRequest, files: Sequence[TextFile]) -> AbstractContextManager[Sequence[Scored]]:
        """Score all rows: ranges that tile the files, each of them once. One job.

        Raises
        ------
        BadDataError
            If a file changed meanwhile.
        InternalError
            If some of the text was not read, or twice.
        """


@dataclass(frozen=True)
class ScoredFile:
    """Lines in a file of this machine."""

    report: RangeReport

    def lines(self) -> Iterator[bytes]:
        try:
            with open(self.report.path, "rb") as part:
                while chunk := part.read(_CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise storage_error(error, doing="read", place=self.report.path) from error


@dataclass(frozen=True)
class LocalScorer:
    """Files of this machine."""

    runner: LocalJobRunner
    longest_line: int = MAX_LINE_BYTES

    def files(self, inputs: Sequence[str]) -> list[TextFile]:
        found = expand(inputs)
        check_content(found)
        return found

    def first_line(self, file: TextFile) -> bytes:
        return first_line(file, longest_line=self.longest_line)

    @contextmanager
    def score(self, request: PredictRequest, files: Sequence[TextFile]) -> Iterator[list[ScoredFile]]:
        from mr_ml_jobs.predict_job import MRPredict

        if not request.folder:
            raise UsageError(
                f"-r {self.runner.runner} writes to this machine; give a path as --to, or -r hadoop with files on HDFS"
            )
        form = format_named(request.schema.format)
        tasks = form.pieces(files, n_tasks=self.runner.n_tasks, longest_line=self.longest_line)
        lines = TaskLines([listing(form.name, task) for task in tasks])
        pairs = self.runner.run(MRPredict, request=request.encode(), input=lines)
        reports = [RangeReport.decode(value) for _, value in pairs]
        wanted = sorted((text.file, text.start) for task in tasks for text in task)
        if sorted((report.file, report.start) for report in reports) != wanted:
            raise InternalError(
                f"the predictions are not complete: expected {len(wanted)} ranges of text, found {len(reports)} or "
                "others; run it again"
            )
        _check_read(files, reports)
        check_rest(files)
        yield [ScoredFile(report) for report in reports]


def _check_read(files: Sequence[TextFile], reports: Sequence[RangeReport]) -> None:
    """Hold the bytes that tasks read against the sizes of plain files; compressed ones prove their own end."""
    read = dict.fromkeys((file.path for file in files), 0)
    for report in reports:
        read[report.file] += report.n_read
    for file in files:
        expected = file.size - file.header_bytes
        if file.compression == "none" and read[file.path] != expected:
            raise BadDataError(
                f"{file.path} changed while it was read: expected {expected} bytes of rows, found {read[file.path]}; "
                "predict again when it is at rest"
            )
