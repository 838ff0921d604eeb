"""Whether the nodes of a cluster can run tasks: one small job that tells what each of them offers.

The job's tasks are a shell script, so that a node without Python, or with one that is too old, can say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hdfs_layout import Root
from mr_ml.errors import InternalError
from mr_ml.ids import unique_id
from mr_ml.runners.hadoop import node_report
from mr_ml.runners.hadoop.env import NodePython

Report = Mapping[str, Any]

LEAST_PYTHON = (3, 11)
FAILED_KEY = b"!failed"
# One task a file, however short.
PROPERTIES = {"mapreduce.input.fileinputformat.split.minsize": str(1 << 30)}
# The words before the code's name are the node's Python. Its program comes through standard input.
_SCRIPT = """\
cat > /dev/null
first=yes
for word in "$@"; do
    if [ $first = yes ]; then set --; first=no; fi
    if [ "$word" = CODE_NAME ]; then break; fi
    set -- "$@" "$word"
done
said=$("$@" - 2> errors << 'END_OF_PROGRAM'
PROGRAM
END_OF_PROGRAM
) && { printf 'report\\t%s\\n' "$said"; exit 0; }
version=$("$@" --version 2>&1 | head -n 1 | tr -d '\\t')
printf '!failed\\t%s\\t%s\\t%s\\n' "$(uname -n)" "$version" "$(tail -n 1 errors | tr -d '\\t' | cut -c 1-300)"
"""


@dataclass(frozen=True)
class Lines:
    """One small file for each task.

    Attributes
    ----------
    uris_
        Of the files.
    tasks
        What they hold, a line each.
    """

    uris_: tuple[str, ...]
    tasks: tuple[bytes, ...]
    n_mixable: int = 0

    def lines(self, *, n_tasks: int) -> Sequence[bytes]:
        return self.tasks[:n_tasks]

    def uris(self) -> Sequence[str]:
        return self.uris_

    @property
    def n_bytes(self) -> int:
        return sum(map(len, self.tasks))


@dataclass
class Findings:
    """Attributes
    ----------
    nodes
        Reports, one a task.
    problems : list of str
        What keeps tasks from running, with what to do.
    warnings : list of str
        What makes results differ, or may.
    """

    nodes: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)

    def warning(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def script() -> bytes:
    """The program of the check's tasks."""
    program = Path(node_report.__file__).read_text(encoding="utf-8")
    return _SCRIPT.replace("CODE_NAME", node_report.CODE_NAME).replace("PROGRAM\n", program + "\n", 1).encode()


@contextmanager
def task_files(root: Root, *, n_tasks: int) -> Iterator[Lines]:
    """Files in the store that make a job of so many map tasks; removed afterwards."""
    folder = root.layout.job(f"check-{unique_id()}")
    tasks = tuple(b"%d\n" % number for number in range(n_tasks))
    paths = [f"{folder}/{number:05d}" for number in range(n_tasks)]
    try:
        for path, line in zip(paths, tasks, strict=True):
            root.store.write(path, line)
        yield Lines(tuple(map(root.store.uri, paths)), tasks)
    finally:
        root.store.remove_tree(folder)


def find(pairs: Sequence[tuple[bytes, bytes]], *, driver: Report, python: NodePython, n_tasks: int) -> Findings:
    """Judge what the tasks say.

    Parameters
    ----------
    pairs
        The job's output.
    driver
        The report of this machine.

    Raises
    ------
    InternalError
        If a task said nothing.
    """
    found = Findings()
    for key, value in pairs:
        if key == FAILED_KEY:
            host, version, last = (*value.decode(errors="replace").split("\t"), "", "")[:3]
            found.problem(_no_python(host, version.strip(), last.strip(), python))
        else:
            found.nodes.append(json.loads(value))
    if len(pairs) != n_tasks:
        raise InternalError(f"expected the answers of {n_tasks} tasks, found {len(pairs)}; run it again")
    for node in found.nodes:
        _judge(node, found, python)
    if not found.problems:
        _compare(driver, found)
    return found


def _no_python(host: str, version: str, last: str, python: NodePython) -> str:
    command = " ".join(python.command)
    least = ".".join(map(str, LEAST_PYTHON))
    if version.startswith("Python "):
        return (
            f"{host}: `{command}` is {version}, which cannot run tasks ({last}); expected Python {least} or later. "
            f"{_MEND_PYTHON}"
        )
    return f"{host}: `{command}` does not run ({version or last}); expected Python {least} or later. {_MEND_PYTHON}"


_MEND_PYTHON = (
    "Name another as `python` in the settings of --config, or bring this machine's there: `mr-ml env build "
    "--interpreter`, and leave `python` out"
)


def _judge(node: Report, found: Findings, python: NodePython) -> None:
    host, version = node["host"], node["python"]
    if _numbers(version) < LEAST_PYTHON:
        found.problem(f"{host}: Python {version} ({node['executable']}), expected 3.11 or later. {_MEND_PYTHON}")
        return
    built = python.environment
    if built is not None and not version.startswith(built.python + "."):
        found.problem(
            f"{host}: Python {version} ({node['executable']}), but the packages of `mr-ml env build` are for Python "
            f"{built.python}. Build them with a Python {'.'.join(version.split('.')[:2])}, or with the Python itself: "
            "`mr-ml env build --interpreter`, and leave `python` out of the settings; or, if that Python has packages "
            "of its own, say `python_archive: none` there"
        )
        return
    for name, failure in node["failures"].items():
        found.problem(
            f"{host}: {name} cannot be imported by {node['executable']} {version} ({failure}). Install it on every "
            "node, or bring this machine's packages there: `mr-ml env build`"
        )
    if node["job_failure"] is not None and not node["failures"]:
        found.problem(f"{host}: tasks cannot be imported by {node['executable']} {version}: {node['job_failure']}")


def _compare(driver: Report, found: Findings) -> None:
    for name in node_report.PACKAGES:
        there = sorted({str(node["packages"][name]) for node in found.nodes})
        if there != [driver["packages"][name]]:
            found.warning(
                f"{name} is {' and '.join(there)} on the nodes and {driver['packages'][name]} here: results can differ "
                "in their last bits. `mr-ml env build` gives all nodes this machine's"
            )
    there = sorted({str(node["bits"]) for node in found.nodes})
    if there != [driver["bits"]]:
        where = "between nodes" if len(there) > 1 else "on the nodes and here"
        found.warning(
            f"the same arithmetic gives other last bits {where} (other libraries or other processors): a model may "
            "differ in its last bits with where its tasks ran"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
