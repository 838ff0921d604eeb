"""Progress as lines with the time, for logs, for notebooks, and for terminals that draw nothing."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

from mr_ml.progress import Listener, PassEnded, Stage, listening
from mr_ml.progress_text import pass_text, seconds_text, stage_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

EVERY_SECONDS = 30.0


class PlainLines(Listener):
    """Writes lines; those of one command.

    Parameters
    ----------
    write
        Writes a line.
    each_pass
        Whether every pass gets a line, and every stage one when it starts and ends; else nothing is said before 30
        seconds have passed since the last line, so that short commands are silent in logs.
    every
        Seconds between lines of a stage that goes on.
    """

    hears_stages = True

    def __init__(self, write: Callable[[str], None], *, each_pass: bool, every: float = EVERY_SECONDS) -> None:
        self._write, self._each_pass, self._every = write, each_pass, every
        self._stages: list[Stage] = []
        self._lock = threading.Lock()
        self._closed, self._spoken = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._last_pass: PassEnded | None = None

    def started(self, stage: Stage) -> None:
        """See `Listener.started`."""
        with self._lock:
            self._stages.append(stage)
            is_outer = len(self._stages) == 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._go_on, daemon=True, name="mr-ml progress")
            self._thread.start()
        if is_outer and self._each_pass:
            self._say(f"{stage.name}{': ' + stage.detail if stage.detail else ''} ...")

    def advanced(self, stage: Stage) -> None:
        """See `Listener.advanced`: the line of the next half minute says it."""

    def pass_ended(self, ended: PassEnded) -> None:
        """See `Listener.pass_ended`."""
        self._last_pass = ended
        if self._each_pass:
            self._say(pass_text(ended))

    def finished(self, stage: Stage) -> None:
        """See `Listener.finished`."""
        with self._lock:
            self._stages.remove(stage)
            is_outer = not self._stages
        if is_outer and self._each_pass and stage.is_whole:
            self._say(f"{stage.name}: done in {seconds_text(stage.seconds)}")
        if is_outer:
            self._last_pass = None

    def close(self) -> None:
        """Say nothing more."""
        self._closed.set()
        self._spoken.set()
        if self._thread is not None:
            self._thread.join()

    def lines(self) -> list[str]:
        """Return what there is to say of the stages that go on: the outermost, and the innermost within it."""
        with self._lock:
            stages = list(dict.fromkeys((*self._stages[:1], *self._stages[-1:])))
        last = self._last_pass
        return [*([pass_text(last)] if last is not None and not self._each_pass else []), *map(stage_text, stages)]

    def _go_on(self) -> None:
        while not self._closed.is_set():
            # who has spoken meanwhile waits for the whole time again
            if self._spoken.wait(self._every):
                self._spoken.clear()
                continue
            if self._closed.is_set():
                return
            for line in self.lines():
                self._write_line(line)

    def _say(self, text: str) -> None:
        self._write_line(text)
        self._spoken.set()

    def _write_line(self, text: str) -> None:
        self._write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}  {text}")


@contextmanager
def show_progress(file: TextIO | None = None) -> Iterator[None]:
    """Show how far the work within the block is: a line for each pass, and one each 30 seconds of what takes longer.

    The lines are those of ``mr-ml --progress plain``. For notebooks and programs; functions print nothing without it.

    Parameters
    ----------
    file
        Where lines are written; None for the standard output as it is when the block begins.

    Examples
    --------
    >>> with mr_ml.show_progress():
    ...     mr_ml.train(root, "iris", "iris-softmax", loss="softmax")
    """
    out = sys.stdout if file is None else file
    lines = PlainLines(lambda line: print(line, file=out, flush=True), each_pass=True)
    try:
        with listening(lines):
            yield
    finally:
        lines.close()
