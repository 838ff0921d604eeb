"""What Spark says when something fails, as an error of ours: one sentence, an exit code, and what to do."""

from __future__ import annotations

import re

from mr_ml.errors import InternalError, MrMlError, UnavailableError, UsageError
from mr_ml.runners.spark.java import Java
from mr_ml.runners.spark.master import Master

_SHOWN_BYTES = 1500
_GOING_SECONDS = 3.0
# How pyspark says that its SparkContext is no more.
_STOPPED = re.compile(
    r"SparkContext was shut down|stopped SparkContext|SparkContext has been shutdown|cancelled because SparkContext"
    r"|SparkContext is (?:not active|stopped)|YARN application has exited"
)
_UNREACHABLE = re.compile(
    r"ConnectException|ConnectTimeoutException|NoRouteToHostException|SocketTimeoutException|UnknownHostException"
    r"|SafeModeException|StandbyException|Connection refused|All masters are unresponsive|Failed to connect to"
)
_OTHER_PYTHON = re.compile(r"Python in worker has different version:? ([0-9.]+) than that in driver:? ([0-9.]+)")
_NO_PYTHON = re.compile(r'Cannot run program "([^"]+)"')
_NO_PYSPARK = re.compile(r"No module named '?(pyspark[\w.]*|py4j[\w.]*)")
_CRASHED = "Python worker exited unexpectedly"
_NO_MEMORY = re.compile(r"OutOfMemoryError|Container killed by YARN for exceeding|exceeds? (?:physical )?memory limit")


def explained(error: BaseException, *, java: Java, master: Master) -> MrMlError:
    """Say what became of a job, or of the start, of which pyspark raised this.

    Parameters
    ----------
    java
        Spark's part of the driver.
    """
    text = str(error)
    # what Java itself did not say may be that it is gone, which takes a moment to show
    if java.has_ended(within=0 if "java_exception" in vars(error) else _GOING_SECONDS):
        status = java.process.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
        said = java.said()
        return UnavailableError(
            f"Spark's part of the driver {how} in the midst of it; run it again"
            + (f". It said:\n{said}" if said else "")
        )
    told = _told(text)
    other = _OTHER_PYTHON.search(text)
    if other:
        return UsageError(
            f"Spark needs the same Python on the nodes as here, found {other[1]} there and {other[2]} here: name one "
            "in the settings of `config`, as `python`, or bring this machine's there: `mr-ml env build --interpreter`"
        )
    missing = _NO_PYTHON.search(text)
    if missing:
        return UsageError(
            f"the nodes cannot run the Python that was asked for, {missing[1]}: name another in the settings of "
            "`config`, as `python`, or bring this machine's there: `mr-ml env build --interpreter`"
        )
    if _NO_PYSPARK.search(text):
        return UsageError(f"the nodes' Python does not find pyspark, which Spark brings there. Spark said:\n{told}")
    if _UNREACHABLE.search(text):
        return UnavailableError(
            f"`master` {master.url}, or the file system that it uses, does not answer; is it running, and does "
            f"HADOOP_CONF_DIR name the cluster's configuration? Spark said:\n{told}"
        )
    if _STOPPED.search(text):
        return UnavailableError(f"the Spark application ended in the midst of it; run it again. Spark said:\n{told}")
    hint = ""
    if _CRASHED in text or "exit code 137" in text:
        hint = "A task's Python was killed, mostly for want of memory. "
        if master.is_here and master.attempts == 1:
            hint += f"With `master` {master.url} no task is tried again; with local[{master.threads},4] it is. "
    elif _NO_MEMORY.search(text):
        hint = "Give it more memory: driver_memory_mb, executor_memory_mb in the settings of `config`. "
    return InternalError(f"Spark gave the job up. {hint}It said:\n{told}")


def _told(text: str) -> str:
    """Return the lines of Spark's message that tell something: not where it was in Spark's own code."""
    lines = [line for line in text.splitlines() if line.strip() and not re.match(r"\s+at |\t", line)]
    return "\n".join(dict.fromkeys(lines))[:_SHOWN_BYTES]
