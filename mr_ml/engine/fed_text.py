"""Text that Hadoop feeds to a map task: the task's part of a file comes through standard input, where the data lies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from mr_ml.engine.local_runner import WarmLocalMixin
from mr_ml.readers import text

# A property of the job, which Hadoop Streaming puts into the tasks' environment with _ for every dot.
PROPERTY = "mr_ml.text"
WITH_HEADER, WITHOUT_HEADER = "header", "rows"
# A lone CR is no end of a line for us, but would be for Hadoop.
DELIMITER = {"textinputformat.record.delimiter": "\n"}


@dataclass
class FedText:
    """The lines of a file that begin in one of Hadoop's splits; read once.

    Attributes
    ----------
    start
        First byte of the split.
    n_bytes
        Bytes fed so far, the header's included. Hadoop ends a last line that has no line feed.
    """

    file: str
    start: int
    stream: BinaryIO
    has_header: bool
    n_bytes: int = 0

    @classmethod
    def of_task(cls, stream: BinaryIO, environment: Mapping[str, str]) -> FedText:
        """What this map task is fed, by its environment."""
        file, start = environment["mapreduce_map_input_file"], int(environment["mapreduce_map_input_start"])
        return cls(file, start, stream, environment["mr_ml_text"] == WITH_HEADER)

    def chunks(self) -> Iterator[bytes]:
        """Whole lines, some megabytes at a time, without the file's header.

        Raises
        ------
        BadDataError
            If a line is too long.
        """
        skips = self.has_header and self.start == 0
        for chunk in text.open_chunks(self.stream, "none", name=self.file):
            self.n_bytes += len(chunk)
            rows = chunk[chunk.find(b"\n") + 1 or len(chunk) :] if skips else chunk
            skips = False
            if rows:
                yield rows

    def key(self) -> bytes:
        """JSON of file, start and, once read, bytes."""
        return json.dumps([self.file, self.start, self.n_bytes]).encode()


class FedTextMixin(WarmLocalMixin):
    """A job whose `map_text` maps one range of text, whether its map task opens that or is fed it."""

    def run_mapper(self, step_num: int = 0) -> None:
        if "mr_ml_text" not in os.environ:
            super().run_mapper(step_num)
            return
        _, write = self._wrap_protocols(step_num, "mapper")
        for key, value in self.map_text(FedText.of_task(self.stdin, os.environ)):
            write(key, value)

    def map_text(self, fed: Any) -> Iterator[tuple[bytes, bytes]]:
        """What a job of this kind defines."""
        raise NotImplementedError
