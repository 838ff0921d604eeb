"""Whether the machines of tasks can run them: judged by what one small job's tasks say, see `node_report`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import InternalError
from mr_ml.runners import node_report

Report = Mapping[str, Any]

LEAST_PYTHON = (3, 11)
FAILED_KEY = b"!failed"


@dataclass
class Findings:
    """What the tasks say of their machines, judged.

    Attributes
    ----------
    nodes
        Reports, one a task.
    problems : list of str
        What keeps tasks from running, with what to do.
    warnings : list of str
        What makes results differ, or may.
    brought : dict, optional
        The archive of Python packages that tasks were given, with its ``uri``; None if none was.
    can_stay : bool, optional
        Whether tasks can stay for passes, as far as this was tried; None if it was not.
    """

    nodes: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    brought: dict[str, Any] | None = None
    can_stay: bool | None = None

    def problem(self, text: str) -> None:
        """Note a problem once."""
        if text not in self.problems:
            self.problems.append(text)

    def cannot_stay(self, why: str) -> None:
        """Note why each pass is a job of its own."""
        self.can_stay = False
        self.warning(f"tasks cannot stay, and each pass is a job of its own: {why}")

    def warning(self, text: str) -> None:
        """Note a warning once."""
        if text not in self.warnings:
            self.warnings.append(text)


def find(
    pairs: Sequence[tuple[bytes, bytes]], *, driver: Report, command: str, built_for: str | None = None, n_tasks: int,
    tried: tuple[str, int] | None = None,
) -> Findings:  # fmt: skip
    """Judge what the tasks say.

    Parameters
    ----------
    pairs
        The job's output.
    driver
        The report of this machine.
    command
        By which tasks run Python.
    built_for
        Version of Python, such as 3.11, for which the packages were built that tasks were given, if they were.
    tried
        Host and port at which tasks tried to reach this process.

    Raises
    ------
    InternalError
        If a task said nothing.
    """
    findings = Findings()
    for key, value in pairs:
        if key == FAILED_KEY:
            host, version, last = (*value.decode(errors="replace").split("\t"), "", "")[:3]
            findings.problem(_no_python(host, version.strip(), last.strip(), command))
        else:
            findings.nodes.append(json.loads(value))
    if len(pairs) != n_tasks:
        raise InternalError(f"expected the answers of {n_tasks} tasks, found {len(pairs)}; run it again")
    for node in findings.nodes:
        _judge(node, findings, built_for)
    if not findings.problems:
        _compare(driver, findings)
    if tried is not None and findings.nodes:
        _judge_ways(tried, findings)
    return findings


def _no_python(host: str, version: str, last: str, command: str) -> str:
    least = ".".join(map(str, LEAST_PYTHON))
    if version.startswith("Python "):
        return (
            f"{host}: `{command}` is {version}, which cannot run tasks ({last}); expected Python {least} or later. "
            f"{_FIX_PYTHON}"
        )
    return f"{host}: `{command}` does not run ({version or last}); expected Python {least} or later. {_FIX_PYTHON}"


_FIX_PYTHON = (
    "Name another as `python` in the settings of --config, or bring this machine's there: `mr-ml env build "
    "--interpreter`, and leave `python` out"
)


def _judge(node: Report, findings: Findings, built_for: str | None) -> None:
    host, version = node["host"], node["python"]
    if _numbers(version) < LEAST_PYTHON:
        findings.problem(f"{host}: Python {version} ({node['executable']}), expected 3.11 or later. {_FIX_PYTHON}")
        return
    if built_for is not None and not version.startswith(built_for + "."):
        findings.problem(
            f"{host}: Python {version} ({node['executable']}), but the packages of `mr-ml env build` are for Python "
            f"{built_for}. Build them with a Python {'.'.join(version.split('.')[:2])}, or with the Python itself: "
            "`mr-ml env build --interpreter`, and leave `python` out of the settings; or, if that Python has packages "
            "of its own, say `python_archive: none` there"
        )
        return
    for name, failure in node["failures"].items():
        findings.problem(
            f"{host}: {name} cannot be imported by {node['executable']} {version} ({failure}). Install it on every "
            "node, or bring this machine's packages there: `mr-ml env build`"
        )
    if node["job_failure"] is not None and not node["failures"]:
        findings.problem(f"{host}: tasks cannot be imported by {node['executable']} {version}: {node['job_failure']}")


def _judge_ways(tried: tuple[str, int], findings: Findings) -> None:
    findings.can_stay = True
    for why in sorted({str(node["unreached"]) for node in findings.nodes if node["unreached"] is not None}):
        hosts = sorted({str(node["host"]) for node in findings.nodes if node["unreached"] == why})
        findings.cannot_stay(
            f"{', '.join(hosts)} did not reach this process at {tried[0]} port {tried[1]} ({why}). If a firewall is "
            "between, open a range of ports to here and name it as `driver_port` in the settings of `config`; if nodes "
            "reach this machine at another address, name that as `driver_host`"
        )


def _compare(driver: Report, findings: Findings) -> None:
    for name in node_report.PACKAGES:
        there = sorted({str(node["packages"][name]) for node in findings.nodes})
        if there != [driver["packages"][name]]:
            findings.warning(
                f"{name} is {' and '.join(there)} on the nodes and {driver['packages'][name]} here: results can differ "
                "in their last bits. `mr-ml env build` gives all nodes this machine's"
            )
    there = sorted({str(node["bits"]) for node in findings.nodes})
    if there != [driver["bits"]]:
        where = "between nodes" if len(there) > 1 else "on the nodes and here"
        findings.warning(
            f"the same arithmetic gives other last bits {where} (other libraries or other processors): a model may "
            "differ in its last bits with where its tasks ran"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
