"""Rows from standard input and predictions to standard output, which are called ``-``."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from hdfs_layout.faults import storage_error
from mr_ml.errors import MrMlError, UsageError
from mr_ml.runners.local.scratch import scratch_folder

STANDARD = "-"
_INPUT = "standard input"


class StandardOutput:
    """Standard output, as `mr_ml.prediction.output.Target`: all files of input one behind the other.

    Rows are predicted and checked before the first byte is written. A reader that has seen enough, as ``head`` has, is
    no error.
    """

    is_one = True

    def __init__(self) -> None:
        self.scratch = ""

    def __enter__(self) -> StandardOutput:
        self.scratch = tempfile.mkdtemp(prefix="predict-", dir=scratch_folder(needs_bytes=None))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """See `Target.write`.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        stream = sys.stdout.buffer
        try:
            for chunk in chunks:
                stream.write(chunk)
            stream.flush()
        except BrokenPipeError:
            # or Python would try once more at its end, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except OSError as error:
            raise storage_error(error, doing="write predictions to", place="standard output") from error

    def publish(self) -> None:
        """See `Target.publish`: there is nothing left to do."""

    def uri(self, name: str) -> str:
        """See `Target.uri`."""
        return STANDARD


@contextmanager
def with_standard_input(inputs: Sequence[str], *, has_files: bool) -> Iterator[list[str]]:
    """Put what comes by standard input, if it is asked for, into a file of this machine, and name that.

    Messages of errors within the block name standard input.

    Parameters
    ----------
    has_files
        Whether tasks open files of this machine.

    Raises
    ------
    UsageError
        If there is another input, or tasks cannot open it.
    StorageError
        If it cannot be read or put into a file.
    """
    if STANDARD not in inputs:
        yield list(inputs)
        return
    if len(inputs) > 1:
        raise UsageError("expected `-`, standard input, alone or not at all, found it among other inputs")
    if not has_files:
        raise UsageError("standard input is on this machine, and tasks of this `runner` cannot open it; use local")
    with tempfile.TemporaryDirectory(prefix="stdin-", dir=scratch_folder(needs_bytes=None)) as folder:
        path = os.path.join(folder, "rows")
        try:
            with open(path, "wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        except OSError as error:
            raise storage_error(error, doing="copy standard input to", place=folder) from error
        try:
            yield [path]
        except MrMlError as error:
            error.args = tuple(named(path, str(text)) for text in error.args)
            raise


def named(path: str, text: str) -> str:
    """Return a message that names standard input, not the file with what came by it."""
    return text.replace(path, _INPUT)
