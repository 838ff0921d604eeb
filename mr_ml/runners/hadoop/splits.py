"""How a job's input becomes map tasks: files and parts of files, or many small files in one task.

A map task costs seconds to start, whatever it reads, so small files share one. Hadoop groups those that the same
node stores; on S3, which is no node, any of them. Long lists of files are named by patterns: a command line holds some
thousand addresses at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mr_ml.runners.hadoop.settings import HadoopSettings
from mr_ml.runners.job_input import JobInput, Told

COMBINING = "org.apache.hadoop.mapred.lib.CombineTextInputFormat"
TASK_MB = 128
# A task for each line; of a format that it does not know Streaming would also write the keys.
LINE_BY_LINE = "org.apache.hadoop.mapred.lib.NLineInputFormat", {"stream.map.input.ignoreKey": "true"}
# The property that says how many lines a task gets; one by default.
LINES = "mapreduce.input.lineinputformat.linespermap"
_DIGITS = "0123456789"


def input_format(input: JobInput, settings: HadoopSettings, *, few_files: int) -> tuple[str | None, dict[str, str]]:
    """Return the Java class that cuts the input, None for Streaming's own, and the properties that it needs.

    Parameters
    ----------
    few_files
        So many are left as they are: a task each, all at once.
    """
    target = (settings.split_mb or TASK_MB) << 20
    n_files = input.n_mixable
    if n_files <= few_files or 2 * input.n_bytes > n_files * target or "mapreduce.job.maps" in settings.jobconf:
        return None, {}
    # of a format that it does not know Streaming would also write the keys, which are byte offsets
    fed = {"stream.map.input.ignoreKey": "true"}
    return COMBINING, {**fed, "mapreduce.input.fileinputformat.split.maxsize": str(target)}


def addresses(input: JobInput, *, few_files: int) -> Sequence[str]:
    """Return what names the input's files on a command line, by patterns where there are many."""
    uris = input.uris()
    return shortened(uris) if input.n_mixable > few_files else uris


def dealt(told: Sequence[Told], settings: HadoopSettings, *, few: int) -> tuple[list[bytes], int]:
    """Put lines that name pieces in such an order that so many following ones are about a task's bytes.

    Parameters
    ----------
    few
        So many pieces have a task each.

    Returns
    -------
    lines, n_together
        A task gets so many of them.
    """
    target = (settings.split_mb or TASK_MB) << 20
    n_tasks = max(-(-sum(piece.n_bytes for piece in told) // target), 1)
    if len(told) <= few:
        n_tasks = len(told)
    # the largest ones each in another task, then the next ones
    ordered = sorted(told, key=lambda piece: -piece.n_bytes)
    lines = [piece.line for first in range(n_tasks) for piece in ordered[first::n_tasks]]
    return lines, max(-(-len(told) // max(n_tasks, 1)), 1)


def shortened(uris: Iterable[str]) -> list[str]:
    """Patterns of Hadoop's that match exactly the given addresses among those that differ in a last number."""
    patterns: list[str] = []
    runs: list[tuple[str, int, int, int]] = []
    for uri in uris:
        stem = uri.rstrip(_DIGITS)
        digits = len(uri) - len(stem)
        if not digits:
            patterns.append(uri)
            continue
        number = int(uri[len(stem) :])
        if runs and runs[-1][:2] == (stem, digits) and runs[-1][3] == number:
            runs[-1] = stem, digits, runs[-1][2], number + 1
        else:
            runs.append((stem, digits, number, number + 1))
    return [
        *patterns,
        *(stem + ending for stem, digits, first, last in runs for ending in _endings(first, last, digits)),
    ]


def _endings(first: int, last: int, digits: int) -> list[str]:
    """Patterns of so many digits for the numbers [first, last)."""
    if not digits:
        return [""]
    unit = 10 ** (digits - 1)
    low, high = first // unit, (last - 1) // unit
    if low == high and last - first < unit:
        return [f"{low}{ending}" for ending in _endings(first - low * unit, last - low * unit, digits - 1)]
    before, after = [], []
    if first % unit:
        before = [f"{low}{ending}" for ending in _endings(first % unit, unit, digits - 1)]
        low += 1
    if last % unit:
        after = [f"{high}{ending}" for ending in _endings(0, last % unit, digits - 1)]
        high -= 1
    if low <= high:
        before.append((f"{low}" if low == high else f"[{low}-{high}]") + "?" * (digits - 1))
    return before + after
