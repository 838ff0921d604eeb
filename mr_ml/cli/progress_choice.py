"""Which progress a command shows: bars, lines, or none."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import IO

from mr_ml.cli import printable
from mr_ml.errors import UsageError
from mr_ml.interrupts import asking_shown
from mr_ml.progress import listening
from mr_ml.progress_lines import PlainLines


@contextmanager
def shown(options: argparse.Namespace) -> Iterator[None]:
    """Show the progress of what is done within the block, on stderr, as --progress and --quiet say.

    Raises
    ------
    UsageError
        If bars are asked for, and what draws them is not installed.
    """
    choice = "none" if options.quiet else options.progress
    if choice == "none":
        yield
        return
    can_draw = sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    may_draw = choice == "bar" or (choice != "plain" and can_draw)
    has_rich = may_draw and find_spec("rich") is not None
    if choice == "bar" and not has_rich:
        raise UsageError("`progress` bar needs rich: pip install 'mr_ml[progress]'; or say `progress` plain")
    if has_rich and can_draw:
        from mr_ml.cli.progress_bar import Bars

        bars = Bars()
        try:
            with listening(bars), asking_shown():
                yield
        finally:
            bars.close()
        return
    lines = PlainLines(_Writer(sys.stderr), each_pass=choice == "plain" or sys.stderr.isatty())
    try:
        with listening(lines):
            yield
    finally:
        lines.close()


class _Writer:
    """Writes lines of progress to a file; when nobody reads them any more, no more."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._is_read = file, True

    def __call__(self, line: str) -> None:
        if self._is_read:
            try:
                print(printable(line), file=self._file, flush=True)
            except (OSError, ValueError):
                self._is_read = False
