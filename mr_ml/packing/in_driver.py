"""Small text that jobs on a cluster could pack: the driver packs it itself, as the runner `inline` would.

Each of several jobs takes many seconds to start, whatever it does; the driver is ready by then.
"""

from __future__ import annotations

from collections.abc import Sequence

from mr_ml.readers.base import format_named
from mr_ml.readers.text.source import TextFile
from mr_ml.runners.base import Runner, TextSource

# What compressed text may become, and files of columns as text; where it becomes more, all is right, and takes longer.
_UNPACKED_TIMES = 8


def is_small(files: Sequence[TextFile], form: str, runner: Runner) -> bool:
    """Whether the driver packs files of a format itself that the runner's jobs could pack."""
    has_lines = format_named(form).has_lines
    n_bytes = sum(
        file.size * (1 if has_lines and file.compression == "none" else _UNPACKED_TIMES) for file in files
    )  # fmt: skip
    return not runner.tasks.share_files and n_bytes <= runner.tasks.pack_bytes and runner.tasks.pack_bytes > 0


def in_driver(text: TextSource, *, longest_line: int | None) -> tuple[TextSource, Runner]:
    """Return the same text and a runner for tasks in this process."""
    from mr_ml.runners.local.machine import LocalJobRunner
    from mr_ml.runners.local.text import ClusterTextHere

    return ClusterTextHere(text, longest_line=longest_line), LocalJobRunner.of("inline", workers=None)
