"""Text that tasks open themselves, here or in a store, cut into ranges for them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from hdfs_layout.open import path_of, scheme_of
from mr_ml.errors import BadDataError, InternalError
from mr_ml.readers.base import StoredPiece, check_reaches_tasks, format_named, listing
from mr_ml.readers.text import source
from mr_ml.readers.text.chunks import MAX_LINE_BYTES
from mr_ml.readers.text.source import TextFile
from mr_ml.runners.base import Place, TextSource
from mr_ml.runners.job_input import TaskLines


class LocalText:
    """Files of this machine, or of any store; see `mr_ml.runners.base.TextSource`.

    Attributes
    ----------
    n_tasks
        For so many tasks they are cut.
    longest_line
        Bytes of a line that can be read.
    """

    def __init__(self, inputs: Sequence[str], *, n_tasks: int, longest_line: int | None) -> None:
        self.n_tasks = n_tasks
        self.longest_line = MAX_LINE_BYTES if longest_line is None else longest_line
        self.files = source.expand(inputs)
        source.check_content(self.files)

    def __enter__(self) -> LocalText:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def first_line(self, file: TextFile) -> bytes:
        """See `TextSource.first_line`."""
        if not scheme_of(file.path):
            return source.first_line(file, longest_line=self.longest_line)
        return self._stored_first_lines[file.path]

    @cached_property
    def _stored_first_lines(self) -> dict[str, bytes]:
        files = [file for file in self.files if scheme_of(file.path)]
        lines = source.first_lines(files, longest_line=self.longest_line)
        return {file.path: line for file, line in zip(files, lines, strict=True)}

    def input(self, files: Sequence[TextFile], form: str) -> TaskLines:
        """See `TextSource.input`."""
        return TaskLines([listing(form, task) for task in self._pieces(files, form)])

    def _pieces(self, files: Sequence[TextFile], form: str) -> Sequence[Sequence[StoredPiece]]:
        return format_named(form).pieces(files, n_tasks=self.n_tasks, longest_line=self.longest_line)

    def known_as(self, file: TextFile, form: str) -> str:
        """See `TextSource.known_as`."""
        return path_of(file.path)

    def place(self, file: str, start: int, n_bytes: int | None = None) -> Place:
        """See `TextSource.place`."""
        return Place(file, start, n_bytes)

    def check_read(self, files: Sequence[TextFile], form: str, places: Sequence[Place], *, doing: str) -> None:
        """See `TextSource.check_read`. Compressed files prove their own end."""
        check_pieces(self._pieces(files, form), files, places, doing=doing)

    def check_rest(self, files: Sequence[TextFile]) -> None:
        """See `TextSource.check_rest`."""
        source.check_rest(files)

    def renaming(self) -> contextlib.AbstractContextManager[None]:
        """See `TextSource.renaming`; tasks know files by the names that users give them."""
        return contextlib.nullcontext()


def check_pieces(
    tasks: Sequence[Sequence[StoredPiece]], files: Sequence[TextFile], places: Sequence[Place], *, doing: str
) -> None:
    """Prove that tasks which open files themselves have read the pieces of them; see `TextSource.check_read`."""
    wanted = Counter((text.file, text.start) for task in tasks for text in task)
    answered = Counter((place.file, place.start) for place in places)
    for differ, what in (
        (wanted - answered, "gave no answer"),
        (answered - wanted, "was done twice, or was not part of the job"),
    ):
        if differ:
            name, start = min(differ)
            raise InternalError(f"{doing} {name} from byte {start} {what}; run it again")
    read: dict[str, int] = {}
    for place in places:
        if place.n_bytes is not None:
            read[place.file] = read.get(place.file, 0) + place.n_bytes
    for file in files:
        expected = file.size - file.header_bytes
        if file.compression == "none" and read.get(file.path, expected) != expected:
            raise BadDataError(
                f"{file.path} changed while it was read: expected {expected} bytes of rows, found "
                f"{read[file.path]}; run it again when nothing writes to it"
            )


class ClusterTextHere(LocalText):
    """Files that jobs on a cluster could read, for tasks in this process; refuses what those would refuse.

    Parameters
    ----------
    found
        The files as the cluster's runner found them. Its ``with`` block goes on around this one's.
    """

    def __init__(self, found: TextSource, *, longest_line: int | None) -> None:
        self.n_tasks = 1
        self.longest_line = MAX_LINE_BYTES if longest_line is None else longest_line
        self.files = found.files
        self._found = found

    def first_line(self, file: TextFile) -> bytes:
        """See `TextSource.first_line`."""
        return self._found.first_line(file)

    def input(self, files: Sequence[TextFile], form: str) -> TaskLines:
        """See `TextSource.input`."""
        check_reaches_tasks(format_named(form))
        for file in files[:1] if format_named(form).has_lines else ():
            # which looks at the beginnings of all
            self.first_line(file)
        return super().input(files, form)
