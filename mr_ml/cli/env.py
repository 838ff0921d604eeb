"""mr-ml env: whether the machines that would run tasks can, and what they need brought to them."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hdfs_layout import check_store
from mr_ml.cli.common import narrator, open_session, print_result, root_of, table
from mr_ml.errors import UnavailableError
from mr_ml.progress import stage
from mr_ml.runners import node_report
from mr_ml.runners.hadoop import env as hadoop_env
from mr_ml.runners.node_check import Findings

_PIECE_BYTES = 1 << 20
_OTHERS = ("compiled loops", "memory MB", "of a task", "cores", "bits")


def check(options: argparse.Namespace) -> None:
    """Write below the root, run one small job, and say what the nodes have."""
    from mr_ml.passes.resident import trial

    say = narrator(options)
    with open_session(options) as session:
        root = session.root
        check_store(root.store)
        say(f"{root.store.root} can be written, read and removed from")
        findings = trial.check(session.runner, root.store, n_tasks=options.tasks, say=say)
    here = node_report.report()
    data = {
        "root": root.store.root, "runner": options.runner, "here": here, "nodes": findings.nodes,
        "environment": findings.brought, "problems": findings.problems, "warnings": findings.warnings,
        "can_stay": findings.can_stay,
    }  # fmt: skip
    print_result(options, data, _text(here, findings))
    if findings.problems:
        raise UnavailableError("tasks cannot run there:\n" + "\n".join(findings.problems))


def build(options: argparse.Namespace) -> None:
    """Bring this Python's packages to the root, where jobs find them from then on."""
    from mr_ml.runners.hadoop import env_build as hadoop_env_build

    root = root_of(options)
    say = narrator(options)
    archive = hadoop_env_build.collect(interpreter=options.interpreter, tables=options.tables)
    path = root.layout.environment(archive.hash)
    if root.store.exists(path):
        n_bytes, is_new = root.store.size(path), False
    else:
        say(f"archiving {len(archive.files)} files; this takes a minute")
        with stage("building the archive", unit="steps"), tempfile.TemporaryFile() as file:
            archive.write(file)
            hadoop_env_build.try_out(archive, file)
            n_bytes, is_new = file.seek(0, 2), True
            file.seek(0)
            say(f"uploading {n_bytes / 1e6:.0f} MB to {root.store.uri(path)}")
            root.store.write(path, iter(lambda: file.read(_PIECE_BYTES), b""))
    environment = archive.describe(n_bytes=n_bytes)
    number = hadoop_env.publish(root, environment)
    data = {"version": number, "uri": root.store.uri(path), "uploaded": is_new, **environment.to_json()}
    packages = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    whole = f"{'with' if options.interpreter else 'for'} Python {environment.python}"
    with_config = "" if options.config is None else f" --config {options.config}"
    text = (
        f"{root.store.uri(path)}: {packages}, {whole}, {n_bytes / 1e6:.0f} MB{'' if is_new else ', as it was'}\n"
        f"`-r {options.config_of}` uses it from now on; see whether it works there: mr-ml env check "
        f"-r {options.config_of} --root {root.store.root}{with_config}"
    )
    print_result(options, data, text)


def _text(here: Mapping[str, Any], findings: Findings) -> str:
    header = ["host", "tasks", "Python", *node_report.PACKAGES, *_OTHERS]
    counted = Counter(json.dumps(_columns(node)) for node in findings.nodes)
    rows = [_row(json.loads(columns), tasks=str(n)) for columns, n in sorted(counted.items())]
    lines = [table(header, [*rows, _row(["this machine", *_columns(here)[1:]], tasks="")])]
    if findings.brought is not None:
        lines.append(f"Python packages from {findings.brought['uri']}")
    lines += [f"warning: {text}" for text in findings.warnings]
    if not findings.problems:
        lines.append(
            f"tasks can run: {len(findings.nodes)} did, on {len({node['host'] for node in findings.nodes})} host(s)"
            + ("; they reach this process, and can stay for all passes" if findings.can_stay else "")
        )
    return "\n".join(lines)


def _columns(node: Mapping[str, Any]) -> list[Any]:
    packages = [node["packages"][name] for name in node_report.PACKAGES]
    loops = "yes" if node["native"] else "no"
    numbers = [node["memory_mb"], node["container_mb"], node["cores"]]
    return [node["host"], node["python"], *packages, loops, *numbers, node["bits"]]


def _row(columns: Sequence[Any], *, tasks: str) -> list[str]:
    host, *others = columns
    return [str(host), tasks, *("-" if value is None else str(value) for value in others)]
