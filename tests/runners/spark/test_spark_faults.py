"""What users are told when Spark does not start or when something fails, and that nothing is left after a signal."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from commands import Commands
from spark_contexts import SparkContexts, skip_without_spark

from mr_ml.errors import InternalError, MrMlError, UnavailableError, UsageError
from mr_ml.runners.spark.faults import explained
from mr_ml.runners.spark.java import Java
from mr_ml.runners.spark.master import Master

SPARK = ("-r", "spark", "--master", "local[2]")
PATIENCE_SECONDS = 240


@pytest.fixture
def no_context(spark_contexts: SparkContexts) -> None:
    """No SparkContext in this process: commands open theirs."""
    spark_contexts.close()


def evaluate(packed: Commands, *more: object) -> tuple[int, str]:
    """A command with one pass."""
    if not (packed.root / "models" / "any").exists():
        packed("train", "logistic", "--model", "any", "--l2", "1")
    found = packed.run("evaluate", "any", "logistic", "--split", "test", *SPARK, *more)
    assert "Traceback" not in found.err
    return found.code, found.err


def test_pyspark_is_missing(packed: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    code, said = evaluate(packed)
    assert code == 2
    assert "needs pyspark" in said
    assert "pip install 'mr_ml[spark]'" in said


@pytest.mark.usefixtures("no_context")
@pytest.mark.parametrize(
    ("java", "said"),
    [
        (None, "Spark needs Java: expected it as"),
        (
            "#!/bin/sh\necho 'java.lang.UnsupportedClassVersionError: org/apache/spark/Main has been compiled by a "
            "more recent version (class file version 61.0), this one knows up to 52.0' >&2; exit 1\n",
            "Spark needs Java 17 or later, found",
        ),
        ("#!/bin/sh\necho 'Error: no disk' >&2; exit 3\n", "did not start"),
    ],
)
def test_java_is_missing_or_too_old(
    packed: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java: str | None, said: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    if java is not None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "java").write_text(java)
        (tmp_path / "bin" / "java").chmod(0o755)
    code, err = evaluate(packed)
    assert said in err
    assert code == (69 if "no disk" in (java or "") else 2)
    assert [list(folder.iterdir()) for folder in (tmp_path / "tmp").iterdir()] == [[]]


@pytest.mark.usefixtures("no_context")
def test_no_spark_where_the_settings_say(packed: Commands, tmp_path: Path) -> None:
    config = tmp_path / "spark.yaml"
    config.write_text(f"spark_home: {tmp_path}\n")
    code, said = evaluate(packed, "--config", config)
    assert code == 2
    assert "name a distribution of Spark as spark_home" in said


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (
            "RuntimeError: Python in worker has different version: 3.12 than that in driver: 3.11, PySpark cannot run",
            UsageError, "found 3.12 there and 3.11 here",
        ),
        (
            "Exception: Python in worker has different version 3.9 than that in driver 3.11, PySpark cannot run",
            UsageError, "found 3.9 there",
        ),
        ('java.io.IOException: Cannot run program "/no/python": error=2', UsageError, "cannot run the Python"),
        ("Call From a to b:8032 failed: java.net.ConnectException: no", UnavailableError, "does not answer"),
        ("Job 3 cancelled because SparkContext was shut down", UnavailableError, "ended in the midst"),
        ("SparkException: Python worker exited unexpectedly (crashed)", InternalError, r"local\[2,4\] it is"),
        ("java.lang.OutOfMemoryError: Java heap space", InternalError, "driver_memory_mb"),
        ("something else\n\tat org.apache.X.y(X.scala:3)\n", InternalError, "something else$"),
    ],
)  # fmt: skip
def test_what_spark_says_becomes_a_sentence(text: str, kind: type[MrMlError], said: str) -> None:
    java = cast(Java, SimpleNamespace(has_ended=lambda within: False))
    found = explained(RuntimeError(text), java=java, master=Master.of("local[2]"))
    assert type(found) is kind
    with pytest.raises(kind, match=said):
        raise found


def descendants(pid: int) -> set[int]:
    """Processes that it has started, and those that these have; whatever group or session they are in."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, todo = set(), [pid]
    while todo:
        parent = todo.pop()
        children = [child for child, its in parents.items() if its == parent]
        found.update(children)
        todo += children
    return found


def wait_until(process: subprocess.Popen[Any], happened: Any) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)


def wait_for_the_end_of(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], 60)[0], f"process {pid} still runs"
    finally:
        os.close(handle)


@pytest.mark.parametrize(("number", "when"), [(signal.SIGINT, "passes"), (signal.SIGTERM, "start")])
def test_after_a_signal_nothing_is_left(
    packed: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, when: str
) -> None:
    """Neither Java nor Python processes nor files, in whatever state Spark was; and the run can go on."""
    skip_without_spark()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    before = set((packed.root / "runs").iterdir()) if (packed.root / "runs").exists() else set()
    train = ("train", "softmax", "--model", "m", "--loss", "softmax", "--solver", "lbfgs", "--max-passes", "400")
    process = packed.start(*train, "--l2", "0", "--tolerance", "1e-15", *SPARK)

    def has_passed() -> bool:
        begun = set((packed.root / "runs").iterdir()) - before if (packed.root / "runs").exists() else set()
        logs = [run / "log.jsonl" for run in begun]
        return any(log.exists() and b'"event": "pass"' in log.read_bytes() for log in logs)

    try:
        wait_until(process, has_passed if when == "passes" else lambda: descendants(process.pid))
        started = descendants(process.pid)
        assert started
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 128 + number
    finally:
        process.kill()
        process.wait()
    for pid in started:
        wait_for_the_end_of(pid)
    assert not list(temporary.iterdir())
