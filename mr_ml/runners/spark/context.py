"""The SparkContext of a command: opened at its first job, the same for all, and closed at its end."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import field
from pathlib import Path
from typing import Any

from hdfs_layout import Root
from hdfs_layout.dataclass import dataclass
from mr_ml.errors import InternalError, MrMlError, UsageError
from mr_ml.interrupts import uninterrupted
from mr_ml.runners.hadoop.code import shipped_code, stored_code
from mr_ml.runners.hadoop.env import FOLDER, NodePython, find_python
from mr_ml.runners.hadoop.file_systems import cluster_reads, file_system_of
from mr_ml.runners.hadoop.properties import default_properties
from mr_ml.runners.hadoop.work import tag_of
from mr_ml.runners.local.scratch import scratch_folder
from mr_ml.runners.spark.faults import explained
from mr_ml.runners.spark.java import Java
from mr_ml.runners.spark.master import YARN, Master
from mr_ml.runners.spark.settings import SparkSettings
from mr_ml.runners.variables import BLAS_VARIABLES

_LOOPBACK = "127.0.0.1"
_INSTALL = "do: pip install 'mr_ml[spark]', or a pyspark of the cluster's version, 3.5 or later"
_NO_PYSPARK = f"`runner` spark needs pyspark, which cannot be imported; {_INSTALL}"
_LEAST = (3, 5)
# Spark's own.
_ATTEMPTS = 4
# Of Hadoop's properties, those that say how long a client waits for a cluster.
_WAITS = ("yarn.resourcemanager.", "ipc.client.")
_PROPERTIES = {
    "spark.submit.deployMode": "client",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # what a pass returns is bounded by the model, not by a number of Spark's
    "spark.driver.maxResultSize": "0",
    # what is read back is text, whatever the cluster does by default, and all there when the job is done
    "spark.hadoop.mapreduce.output.fileoutputformat.compress": "false",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    # files are few and named one by one: no job of their own to look at them
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
}


@dataclass
class SharedContext:
    """What the runner and its copies have together.

    Attributes
    ----------
    root
        Whose environment of packages tasks use.
    """

    root: Root
    master: Master
    settings: SparkSettings
    _open: Opened | None = None
    _is_closed: bool = False
    _opening: threading.RLock = field(default_factory=threading.RLock)

    def python(self) -> NodePython:
        """Say which Python tasks run."""
        if self.master.is_here:
            return NodePython(command=(self.settings.python or sys.executable,))
        return find_python(self.root, self.settings)

    def opened(self, work: str) -> Opened:
        """Give what is open, or open it for the jobs of this work.

        Raises
        ------
        UsageError
            If pyspark or Java is missing or too old, or this process has another SparkContext.
        UnavailableError
            If the cluster does not answer.
        """
        with self._opening:
            if self._is_closed:
                raise InternalError("this runner was closed; open another one")
            if self._open is None:
                self._open = _open(self, work)
            return self._open

    def close(self) -> None:
        """Close what is open, and open nothing any more."""
        with self._opening:
            self._is_closed = True
            opened, self._open = self._open, None
            if opened is not None:
                opened.close()


@dataclass
class Opened:
    """A SparkContext, with its part in Java.

    Attributes
    ----------
    context
        Of pyspark's.
    attempts
        How often Spark tries a task.
    """

    context: Any
    java: Java
    master: Master
    attempts: int
    _gateway: Any
    _session: Any = None
    _is_broken: bool = False

    @property
    def session(self) -> Any:
        """The SparkSession, by which text is read."""
        if self._session is None:
            from pyspark.sql import SparkSession

            self._session = SparkSession(self.context)
        return self._session

    @contextmanager
    def working(self) -> Iterator[None]:
        """Turn what pyspark raises within the block into errors of ours."""
        try:
            yield
        except MrMlError:
            raise
        except Exception as error:
            raise explained(error, java=self.java, master=self.master) from error
        except BaseException:
            # in the midst of a word with Java: what it answers next is the answer to that
            self._is_broken = True
            raise

    def close(self) -> None:
        """End it, and remove its files."""
        with uninterrupted():
            if self._is_broken or self.java.has_ended():
                self.context._jsc = None
            with suppress(Exception):
                self.context.stop()
            with suppress(Exception):
                self._gateway.close()
            type(self.context)._gateway = type(self.context)._jvm = None
            self.java.end(at_once=self._is_broken)
            shutil.rmtree(self.java.folder, ignore_errors=True)


def _open(shared: SharedContext, work: str) -> Opened:
    classes = _pyspark()
    if classes.SparkContext._active_spark_context is not None or classes.SparkContext._gateway is not None:
        raise UsageError(
            "this process has used Spark by itself, and pyspark allows one SparkContext a process; run mr_ml in another"
        )
    master, python = shared.master, shared.python()
    folder = Path(tempfile.mkdtemp(prefix="spark-", dir=scratch_folder(needs_bytes=None)))
    java = gateway = None
    try:
        with _left_alone():
            java = Java.start(
                folder, spark_home=_spark_home(shared.settings, classes), environment=_environment(master, folder),
                properties=_properties(
                    master, shared.settings, python, folder, root=shared.root.store.root, work=work
                ),
            )  # fmt: skip
            try:
                with java.named():
                    gateway = classes.launch_gateway()
                context = classes.SparkContext(conf=classes.SparkConf(_jvm=gateway.jvm), gateway=gateway)
                context.pythonExec = python.command[0]
                # it would print a traceback when Java ends in the midst of something
                context._accumulatorServer.handle_error = lambda *connection: None
                _check_version(context.version, classes.version)
                if not master.is_here:
                    _ship(context, shared.root, folder)
                failures = context.getConf().get("spark.task.maxFailures", str(_ATTEMPTS))
                attempts = master.attempts if master.is_here else int(failures)
                return Opened(context, java, master, attempts, gateway)
            except MrMlError:
                raise
            except Exception as error:
                raise explained(error, java=java, master=master) from error
    except BaseException:
        with uninterrupted():
            if gateway is not None:
                with suppress(Exception):
                    gateway.close()
            classes.SparkContext._active_spark_context = None
            classes.SparkContext._gateway = classes.SparkContext._jvm = None
            if java is not None:
                java.end(at_once=True)
            shutil.rmtree(folder, ignore_errors=True)
        raise


@dataclass(frozen=True)
class _Classes:
    """Of pyspark."""

    SparkContext: Any
    SparkConf: Any
    launch_gateway: Any
    version: str
    folder: str


def _pyspark() -> _Classes:
    try:
        import pyspark
        from pyspark import SparkConf, SparkContext
        from pyspark.java_gateway import launch_gateway
    except ImportError as error:
        raise UsageError(f"{_NO_PYSPARK} ({error})") from error
    version = str(pyspark.__version__)
    if _numbers(version) < _LEAST:
        raise UsageError(f"`runner` spark needs pyspark 3.5 or later, found {version}; {_INSTALL}")
    return _Classes(SparkContext, SparkConf, launch_gateway, version, os.path.dirname(str(pyspark.__file__)))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def _check_version(found: str, own: str) -> None:
    if _numbers(found) != _numbers(own):
        raise UsageError(
            f"expected a Spark of pyspark's version, {own}, found {found}; name its distribution as spark_home in the "
            f"settings of `config` or in SPARK_HOME, or install pyspark {found}"
        )


def _spark_home(settings: SparkSettings, classes: _Classes) -> str:
    return settings.spark_home or os.environ.get("SPARK_HOME") or classes.folder


def _environment(master: Master, folder: Path) -> dict[str, str]:
    """Return the variables of Java's process.

    Raises
    ------
    UsageError
        If they do not name the cluster.
    """
    variables = dict(os.environ)
    if master.url == YARN and not (variables.get("HADOOP_CONF_DIR") or variables.get("YARN_CONF_DIR")):
        raise UsageError(
            "`master` yarn: expected the folder of the cluster's configuration in HADOOP_CONF_DIR, or as conf_dir in "
            "the settings of `config`; found neither"
        )
    options = f"{variables.get('JAVA_TOOL_OPTIONS', '')} -Djava.io.tmpdir={folder} -XX:-UsePerfData"
    variables["JAVA_TOOL_OPTIONS"] = options.strip()
    if master.is_on_loopback:
        variables.update(SPARK_LOCAL_IP=_LOOPBACK, SPARK_WORKER_DIR=f"{folder}/work")
    return variables


def _properties(
    master: Master, settings: SparkSettings, python: NodePython, folder: Path, *, root: str, work: str
) -> dict[str, str]:
    """Return Spark's properties."""
    variables = {**dict.fromkeys(BLAS_VARIABLES, "1"), **python.variables}
    chosen = {
        **_PROPERTIES,
        "spark.driver.memory": f"{settings.driver_memory_mb}m",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
    }
    if master.is_on_loopback:
        chosen.update({"spark.driver.host": _LOOPBACK, "spark.driver.bindAddress": _LOOPBACK})
    if master.is_here:
        # tasks find what this process finds
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    else:
        hadoops = {name: value for name, value in default_properties().items() if name.startswith(_WAITS)}
        if cluster_reads(root):
            hadoops.update(file_system_of(root).properties)
        chosen.update({f"spark.hadoop.{name}": value for name, value in hadoops.items()})
        chosen.update(settings.executor_properties())
        chosen["spark.yarn.tags"] = tag_of(work)
        if python.archive is not None:
            chosen["spark.archives"] = f"{python.archive}#{FOLDER}"
    chosen.update({f"spark.executorEnv.{name}": value for name, value in variables.items()})
    chosen.update(settings.conf)
    return {
        **chosen, "spark.master": master.url, "spark.app.name": f"mr_ml {work}", "spark.local.dir": str(folder),
        "spark.pyspark.python": python.command[0],
    }  # fmt: skip


def _ship(context: Any, root: Root, folder: Path) -> None:
    """Give executors the code, by way of the store, and its compiled part."""
    context.addPyFile(stored_code(root))
    native = shipped_code().native
    if native is not None:
        name, data = native
        (folder / name).write_bytes(data)
        context.addFile(str(folder / name))


@contextmanager
def _left_alone() -> Iterator[None]:
    """Undo what pyspark does to this process: where it looks for modules, and what Ctrl-C does."""
    places = list(sys.path)
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if is_main else None
    try:
        yield
    finally:
        sys.path[:] = places
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
