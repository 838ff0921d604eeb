"""Lines that map tasks leave in their output files on HDFS, see `mr_ml.runners.base.Runner.left`.

A map task's output file holds the lines of one of Hadoop's splits and then a line of ours which says of which, so it
does not matter which task had which split. Hadoop keeps one attempt's output of each task, whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from hdfs_layout import NotFoundError, Store
from hdfs_layout.dataclass import dataclass
from mr_ml.errors import InternalError
from mr_ml.runners.base import pair_of
from mr_ml.runners.job import REPORT
from mr_ml.runners.task_errors import first_error

_CHUNK_BYTES = 1 << 20
_REPORT_BYTES = 1 << 16
# Hadoop puts a separator behind every key. Here the whole line is the key, and no line of ours ends like that; none at
# all would do, but an empty property counts as not set.
SEPARATOR = b"|"
WHOLE_LINES = {
    "stream.num.map.output.key.fields": str((1 << 31) - 1),
    "mapreduce.output.textoutputformat.separator": SEPARATOR.decode(),
}
"""Properties of a job whose output lines are kept as they are but for `SEPARATOR` behind each."""


@dataclass(frozen=True)
class LeftPart:
    """The output file of a map task; see `mr_ml.runners.base.TaskFile`.

    Attributes
    ----------
    n_bytes
        Of the file, before the line with the report.
    separator
        What stands behind each line, which is none of its bytes.
    """

    report: bytes
    store: Store
    path: str
    n_bytes: int
    separator: bytes = SEPARATOR

    def lines(self) -> Iterator[bytes]:
        """See `TaskFile.lines`."""
        left = self.n_bytes
        if not left:
            return
        held, separator = b"", self.separator
        with self.store.open_read(self.path) as part:
            while left and (chunk := part.read(min(left, _CHUNK_BYTES))):
                left -= len(chunk)
                if not separator:
                    yield chunk
                    continue
                chunk = held + chunk
                held = separator if chunk.endswith(separator) else b""
                yield chunk.removesuffix(separator).replace(separator + b"\n", b"\n")
        yield held


def left_parts(
    store: Store, output: str, *, separator: bytes = SEPARATOR, may_be_empty: bool = False
) -> list[LeftPart]:
    """Find the output files of all map tasks in a folder of the store.

    Parameters
    ----------
    separator
        What stands behind each line.
    may_be_empty
        Whether a task that was fed nothing leaves an empty file.

    Raises
    ------
    MrMlError
        What a task raised.
    InternalError
        If there are none, or one does not end with a report.
    """
    try:
        files = [entry for entry in store.entries(output) if entry.name.startswith("part-")]
    except NotFoundError:
        raise InternalError(f"the job left no output in {store.uri(output)}; run it again") from None
    parts = []
    for entry in files:
        if may_be_empty and not entry.size:
            continue
        path = f"{output}/{entry.name}"
        line, n_bytes = _last_line(store, path, size=entry.size, separator=separator)
        parts.append((path, n_bytes, pair_of(line)))
    error = first_error([pair for *_, pair in parts])
    if error is not None:
        raise error
    for path, _, (key, _) in parts:
        if key != REPORT:
            raise InternalError(f"{store.uri(path)} does not end with a report; run it again")
    return [LeftPart(report, store, path, n_bytes, separator) for path, n_bytes, (_, report) in parts]


def _last_line(store: Store, path: str, *, size: int, separator: bytes) -> tuple[bytes, int]:
    """Read the last line of a file, without separator and line feed, and how many bytes are before it."""
    length = _REPORT_BYTES
    while True:
        data = store.read_range(path, offset=max(size - length, 0), length=length).removesuffix(b"\n")
        if b"\n" in data or length >= size:
            line = data.rpartition(b"\n")[2]
            return line.removesuffix(separator), max(size - len(line) - 1, 0)
        length *= 4
