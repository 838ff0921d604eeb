"""Environments for nodes: reproducible archives, which one jobs use, and what the check says of a node."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import io
import json
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hdfs_layout import Layout, LocalStore, Root
from mr_ml.errors import BadDataError, InternalError, StorageError, UsageError
from mr_ml.runners import node_check, node_report
from mr_ml.runners.hadoop import check as hadoop_check
from mr_ml.runners.hadoop import env as hadoop_env
from mr_ml.runners.hadoop import env_build as hadoop_env_build
from mr_ml.runners.hadoop.env import Environment, NodePython, find_python
from mr_ml.runners.hadoop.env_build import Archive
from mr_ml.runners.hadoop.settings import HadoopSettings

BUILT = Environment(
    hash="ab" * 16, python="3.11", packages={"numpy": "2.0"}, has_interpreter=False, has_shared_library=False, bytes=3
)
LAYOUT = Layout("")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "root"))


def archive(folder: Path, **files: bytes) -> Archive:
    folder.mkdir()
    found = []
    for name, data in sorted(files.items()):
        path = folder / name
        path.write_bytes(data)
        found.append((f"lib/{name}.py", path))
    return Archive(tuple(found), (), False, False)


def made(found: Archive) -> bytes:
    out = io.BytesIO()
    found.write(out)
    return out.getvalue()


def test_equal_content_gives_equal_archives_and_any_change_another_name(tmp_path: Path) -> None:
    first = archive(tmp_path / "a", one=b"x = 1\n", two=b"")
    again = archive(tmp_path / "b", one=b"x = 1\n", two=b"")
    (tmp_path / "b" / "one").touch()
    assert (first.hash, made(first)) == (again.hash, made(again))
    others = [
        archive(tmp_path / "c", one=b"x = 2\n", two=b""),
        archive(tmp_path / "d", one=b"x = 1\n", three=b""),
        archive(tmp_path / "e", one=b"x = 1\n", two=b""),
    ]
    (tmp_path / "e" / "two").chmod(0o755)
    assert len({first.hash, *(other.hash for other in others)}) == 4


def test_an_archive_holds_sources_and_byte_code_that_python_takes(tmp_path: Path) -> None:
    found = made(archive(tmp_path / "a", one=b"x = 6 * 7\n", broken=b"this is no Python\n"))
    with tarfile.open(fileobj=io.BytesIO(found)) as tar:
        cached = f"lib/__pycache__/one.{sys.implementation.cache_tag}.pyc"
        assert sorted(tar.getnames()) == [cached, "lib/broken.py", "lib/one.py"]
        tar.extractall(tmp_path / "out", filter="data")
    # byte code that names no time counts whatever the source says now
    (tmp_path / "out" / "lib" / "one.py").write_text("x = 0\n")
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import one; print(one.x)"], cwd=tmp_path / "out" / "lib",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "42\n"


def test_what_is_collected_are_whole_packages_without_their_tests() -> None:
    found = hadoop_env_build.collect(interpreter=False)
    names = [name for name, _ in found.files]
    folder = hadoop_env.site_packages(hadoop_env_build.python_version())
    assert dict(found.packages).keys() >= {"numpy", "scipy"}
    for wanted in ("numpy/__init__.py", "scipy/sparse/__init__.py", "scipy/special/__init__.py"):
        assert f"{folder}/{wanted}" in names
    assert not [name for name in names if "/tests/" in name or name.endswith(".pyc") or ".." in name]
    assert all(name.startswith(folder) for name in names)


def test_for_tables_come_their_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = dict(hadoop_env_build.collect(interpreter=False).packages)
    found = hadoop_env_build.collect(interpreter=False, tables=True)
    names = {name for name, _ in found.files}
    folder = hadoop_env.site_packages(hadoop_env_build.python_version())
    assert {f"{folder}/pyarrow/parquet/core.py", f"{folder}/fastavro/__init__.py"} <= names
    assert dict(found.packages).keys() - plain.keys() >= {"pyarrow", "fastavro"}
    known = importlib.metadata.distribution

    def missing(name: str) -> importlib.metadata.Distribution:
        if name in hadoop_env_build.TABLES:
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(UsageError, match=r"pip install 'mr_ml\[columnar,avro\]'"):
        hadoop_env_build.collect(interpreter=False, tables=True)


def test_with_the_interpreter_comes_its_library() -> None:
    found = hadoop_env_build.collect(interpreter=True)
    names = {name for name, _ in found.files}
    version = hadoop_env_build.python_version()
    assert {"bin/python3", f"lib/python{version}/os.py", f"lib/python{version}/json/decoder.py"} <= names
    assert not [name for name in names if f"python{version}/ensurepip" in name or f"python{version}/test/" in name]
    assert found.has_shared_library == any(".so" in name for name in names if name.count("/") == 1)


def test_an_archive_that_does_not_work_is_not_sent(tmp_path: Path) -> None:
    found = archive(tmp_path / "a", one=b"")
    with pytest.raises(UsageError, match="No module named 'numpy'"):
        hadoop_env_build.try_out(found, io.BytesIO(made(found)))


def test_jobs_use_what_was_built_last(store: LocalStore) -> None:
    settings = HadoopSettings()
    assert find_python(Root(store, LAYOUT), settings) == NodePython(command=("python3",))
    first = dataclasses.replace(BUILT, hash="cd" * 16)
    for built in (first, BUILT):
        store.write(LAYOUT.environment(built.hash), b"...")
    assert hadoop_env.publish(Root(store, LAYOUT), first) == 1
    assert hadoop_env.publish(Root(store, LAYOUT), BUILT) == 2
    assert hadoop_env.publish(Root(store, LAYOUT), BUILT) == 2
    found = find_python(Root(store, LAYOUT), settings)
    assert found.archive == store.uri(f"env/python-{BUILT.hash}.tar.gz")
    assert found.command == ("python3",)
    assert found.environment == BUILT
    assert found.variables["PYTHONPATH"] == "environment/lib/python3.11/site-packages"
    # built once more, the first is the latest again
    assert hadoop_env.publish(Root(store, LAYOUT), first) == 3
    store.remove(LAYOUT.environment(first.hash))
    with pytest.raises(StorageError, match="`mr-ml env build` again"):
        find_python(Root(store, LAYOUT), settings)
    assert find_python(Root(store, LAYOUT), HadoopSettings(python_archive="none")).archive is None


def test_whose_python_runs(store: LocalStore) -> None:
    whole = dataclasses.replace(BUILT, has_interpreter=True, has_shared_library=True)
    store.write(LAYOUT.environment(whole.hash), b"...")
    hadoop_env.publish(Root(store, LAYOUT), whole)
    found = find_python(Root(store, LAYOUT), HadoopSettings())
    assert found.command == ("environment/bin/python3",)
    assert found.variables["LD_LIBRARY_PATH"] == "environment/lib"
    # Hadoop cuts a variable at its first blank, and takes what follows for further ones
    assert not [value for value in found.variables.values() if len(value.split()) != 1]
    assert find_python(Root(store, LAYOUT), HadoopSettings(python="nice python3.11")).command == ("nice", "python3.11")
    own = find_python(Root(store, LAYOUT), HadoopSettings(python_archive="hdfs://n/conda.tar.gz"))
    assert own == NodePython(command=("environment/bin/python3",), archive="hdfs://n/conda.tar.gz")


@pytest.mark.parametrize("document", [{}, {"environment": {"python": "3.11"}}, {"environment": None}])
def test_a_description_that_is_none(store: LocalStore, document: dict[str, Any]) -> None:
    from hdfs_layout import publish_version

    publish_version(store, LAYOUT.environments, document)
    with pytest.raises(BadDataError, match="mr-ml env build"):
        find_python(Root(store, LAYOUT), HadoopSettings())


@pytest.mark.parametrize("python", ["3.11/../../../tmp:", "3.11 LD_PRELOAD=/tmp/x.so", "3.11\n"])
def test_a_description_cannot_put_other_folders_on_the_path_nor_set_variables(store: LocalStore, python: str) -> None:
    hadoop_env.publish(Root(store, LAYOUT), BUILT)
    evil = dataclasses.replace(BUILT, python=python)
    from hdfs_layout import publish_version

    publish_version(store, LAYOUT.environments, {"environment": evil.to_json()})
    with pytest.raises(BadDataError):
        find_python(Root(store, LAYOUT), HadoopSettings())


def task(tmp_path: Path, *python: str, driver: tuple[str, int] | None = None) -> tuple[bytes, bytes]:
    """Key and value that a task of the check writes with this Python: its shell script, as Hadoop would start it.

    As Hadoop would read it too: a carriage return ends a line.
    """
    (tmp_path / "request").write_bytes(hadoop_check.script(driver))
    words = [*python, node_report.CODE_NAME, "some.module", "MRSome", "--step-num=0", "--mapper"]
    done = subprocess.run(["sh", "request", *words], cwd=tmp_path, input=b"0\n", capture_output=True, check=True)
    (line,) = done.stdout.splitlines()
    key, _, value = line.partition(b"\t")
    return key, value


def find(
    pairs: list[tuple[bytes, bytes]], *, command: str = "python3", built_for: str | None = None,
    tried: tuple[str, int] | None = None,
) -> node_check.Findings:  # fmt: skip
    driver = node_report.report()
    return node_check.find(
        pairs, driver=driver, command=command, built_for=built_for, n_tasks=len(pairs), tried=tried
    )  # fmt: skip


def executable(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_node_says_what_it_has(tmp_path: Path) -> None:
    """Even one that cannot import a thing of ours."""
    key, value = task(tmp_path, sys.executable, "-S")
    found = json.loads(value)
    assert key == b"report"
    assert found["python"] == sys.version.split()[0]
    assert found["packages"] == {"numpy": None, "scipy": None}
    problems = find([(key, value)]).problems
    assert any("numpy cannot be imported" in text and "`mr-ml env build`" in text for text in problems)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "does not run"),
        (
            'case $1 in --version) echo "Python 3.6.8";; *) echo SyntaxError: future >&2; exit 1;; esac',
            "is Python 3.6.8",
        ),
        ('case $1 in --version) echo "Python 2.7.18" >&2;; *) exit 1;; esac', "is Python 2.7.18"),
        (
            'case $1 in --version) printf "Python 3.6.8\\r\\n";; *) printf "50%%\\r99%%\\r" >&2; exit 1;; esac',
            "is Python 3.6.8",
        ),
    ],
)
def test_a_node_without_a_python_that_can_run(tmp_path: Path, script: str | None, said: str) -> None:
    python = str(tmp_path / "none") if script is None else executable(tmp_path / "old", script)
    (problem,) = find([task(tmp_path, python)], command=python).problems
    assert said in problem
    assert "expected Python 3.11 or later" in problem
    assert "`mr-ml env build --interpreter`" in problem


def node(**changed: Any) -> tuple[bytes, bytes]:
    return b"report", json.dumps({**node_report.report(), **changed}).encode()


def test_equal_nodes_need_no_warning() -> None:
    found = find([node(), node()])
    assert (found.problems, found.warnings, len(found.nodes)) == ([], [], 2)


def test_what_makes_bits_differ_is_warned_of() -> None:
    packages = node_report.report()["packages"]
    found = find([node(), node(packages={**packages, "numpy": "1.25.0"}, bits="0" * 16)])
    assert not found.problems
    versions, bits = found.warnings
    assert "1.25.0" in versions
    assert "`mr-ml env build`" in versions
    assert "between nodes" in bits


def test_what_keeps_tasks_from_running_is_a_problem() -> None:
    (old,) = find([node(python="3.9.2")]).problems
    assert "Python 3.9.2" in old
    (other,) = find([node(python="3.13.1")], built_for=BUILT.python).problems
    assert "for Python 3.11" in other
    assert "--interpreter" in other
    (code,) = find([node(job_failure="ImportError: no module")]).problems
    assert "tasks cannot be imported" in code
    with pytest.raises(InternalError, match="expected the answers of 2 tasks"):
        node_check.find([node()], driver={}, command="python3", n_tasks=2)


def test_whether_tasks_could_stay(tmp_path: Path) -> None:
    """A task tries the driver's address; what comes of it is no problem, for passes can be jobs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()[:2]
        reached = find([task(tmp_path, sys.executable, driver=address)], tried=address)
    assert (reached.can_stay, reached.warnings, reached.problems) == (True, [], [])
    alone = find([task(tmp_path, sys.executable, driver=address), node()], tried=address)
    assert (alone.can_stay, alone.problems) == (False, [])
    (said,) = alone.warnings
    assert f"port {address[1]} (ConnectionRefusedError" in said
    assert "`driver_port`" in said
    assert find([node()]).can_stay is None


def test_the_bits_of_this_machine_are_the_same_every_time() -> None:
    assert node_report.report()["bits"] == node_report.report()["bits"]
