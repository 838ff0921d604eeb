"""Base of all jobs: what they do is in the request, a file that the driver sends to every task.

Jobs are thin: they decode the request, hand lines and values to the objects that do the work, and yield what comes
back. Keys and values are bytes.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from operator import itemgetter
from typing import Any, ClassVar, Self

from mrjob.protocol import BytesProtocol, BytesValueProtocol

from mr_ml.runners.local.mixin import WarmLocalMixin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mr_ml.readers.base import StoredPiece

REPORT = b"!report"
"""Key of what a map task that leaves lines says of them, see `mr_ml.runners.base.Runner.left`."""

Pair = tuple[bytes, bytes]


class Job(WarmLocalMixin):
    """A job of ours.

    Attributes
    ----------
    REQUEST : type
        Of the request, with a class method ``decode(data)``.
    CLUSTER_COMMAND : tuple of str
        What on a cluster runs the Python of a task, if anything does.
    """

    INPUT_PROTOCOL = BytesValueProtocol
    INTERNAL_PROTOCOL = BytesProtocol
    OUTPUT_PROTOCOL = BytesProtocol
    REQUEST: ClassVar[Any] = None
    CLUSTER_COMMAND: ClassVar[tuple[str, ...]] = ()

    def configure_args(self) -> None:
        """Add the option by which the request is sent."""
        super().configure_args()
        self.add_file_arg("--request", help="what to do")

    @cached_property
    def request(self) -> Any:
        """What to do, of the type `REQUEST`; read when it is first asked for."""
        with open(self.options.request, "rb") as source:
            return self.REQUEST.decode(source.read())

    @classmethod
    def called(cls, request: bytes) -> Self:
        """Make an object whose tasks are called, by `map_lines` and `reduce_sorted`, and not run as programs.

        It has a request and no command line: what mrjob reads of one costs more than a task of a small pass.
        """
        made = object.__new__(cls)
        if cls.REQUEST is not None:
            made.__dict__["request"] = cls.REQUEST.decode(request)
        return made

    def map_lines(self, lines: Iterable[bytes]) -> Iterator[Pair]:
        """Yield what a map task yields for lines without line feeds."""
        yield from self._called("mapper_init")
        for line in lines:
            yield from self.mapper(None, line) or ()
        yield from self._called("mapper_final")

    def reduce_sorted(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """Yield what a reduce task yields for pairs in the order of their keys."""
        yield from self._called("reducer_init")
        for key, group in itertools.groupby(pairs, itemgetter(0)):
            yield from self.reducer(key, (value for _, value in group)) or ()
        yield from self._called("reducer_final")

    def _called(self, name: str) -> Iterable[Pair]:
        defined = getattr(type(self), name)
        # mrjob's own raise
        return () if defined is getattr(WarmLocalMixin, name) else defined(self) or ()


class TextJob(Job):
    """A job whose map tasks map ranges of text, which they open themselves or read from standard input."""

    def run_mapper(self, step_num: int = 0) -> None:
        """Map the text that is streamed to this task, or the ranges that the lines of its input name."""
        from mr_ml.runners.hadoop.streamed_text import StreamedText

        if not StreamedText.is_streamed(os.environ):
            super().run_mapper(step_num)
            return
        _, write = self._wrap_protocols(step_num, "mapper")
        for key, value in self.map_text(StreamedText.of_task(self.stdin, os.environ)):
            write(key, value)

    def mapper(self, _: object, line: bytes) -> Iterator[Pair]:
        """Map the ranges that a line names."""
        from mr_ml.readers.base import listed

        yield from self.map_opened(listed(line))

    def map_opened(self, texts: Iterable[StoredPiece]) -> Iterator[Pair]:
        """Map ranges of files that this task opens; by default each like streamed text."""
        for text in texts:
            yield from self.map_text(text)

    def map_text(self, text: Any) -> Iterator[Pair]:
        """Map one range of text, a `StoredPiece` or a `StreamedText`: what a job of this kind defines."""
        raise NotImplementedError
