"""SparkContexts as tests share them: pyspark allows one a process, and each takes seconds to open.

`spark_contexts` opens the one that a test asks for, and keeps it until another one is asked for; who asks sets the
variables of QUICK_JAVA. MR_ML_SKIP_SPARK=1 skips all tests that need one, visibly, as do a missing pyspark or Java.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hdfs_layout import Root, open_root
from mr_ml.runners.spark.context import SharedContext
from mr_ml.runners.spark.master import Master
from mr_ml.runners.spark.runner import SparkJobRunner
from mr_ml.runners.spark.settings import SparkSettings

# Two executors on this machine, of one core each, as on a cluster that does not share files with the driver.
CLUSTER = "local-cluster[2,1,700]"
# Java that lives for seconds: its second compiler takes as much of the processors as all else, and gains nothing.
QUICK_JAVA = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}


class SparkContexts:
    """One SparkContext at a time.

    Attributes
    ----------
    folder
        A root without an environment of packages.
    marks
        A folder in which tests ask tasks to kill something.
    """

    def __init__(self, folder: Path, marks: Path) -> None:
        self.folder = folder
        self.marks = marks
        self._asked: tuple[Any, ...] = ()
        self._shared: SharedContext | None = None

    def shared(self, master: str, **settings: Any) -> SharedContext:
        """What a master with settings has open, or will open; others are closed."""
        asked = master, *sorted(settings.items())
        if asked != self._asked or self._shared is None:
            self.close()
            self._asked = asked
            conf = {
                "spark.executorEnv.MR_ML_TEST_MARKS": str(self.marks),
                # for toy jobs, which are no part of what is shipped
                **({} if master.startswith("local[") else {"spark.executorEnv.PYTHONPATH": os.pathsep.join(sys.path)}),
            }
            chosen = SparkSettings(
                python=sys.executable, executor_memory_mb=600, cache_mb=50, pack_in_driver_mb=0, conf=conf, **settings
            )  # fmt: skip
            self._shared = SharedContext(open_root(str(self.folder)), Master.of(master), chosen)
        return self._shared

    def runner(self, root: Root, master: str, **settings: Any) -> SparkJobRunner:
        """A runner for a root, which shares it; not to be closed."""
        return SparkJobRunner(root, self.shared(master, **settings))

    def close(self) -> None:
        if self._shared is not None:
            self._shared.close()
            self._shared = None


def skip_without_spark() -> None:
    """Skip, visibly, where there is no Spark or the caller asked to leave it out."""
    if os.environ.get("MR_ML_SKIP_SPARK") == "1":
        pytest.skip("MR_ML_SKIP_SPARK=1: tests on Spark are left out")
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed; scripts/test.sh installs it: pip install -e '.[spark]'")
    home = os.environ.get("JAVA_HOME")
    if not (os.access(f"{home}/bin/java", os.X_OK) if home else shutil.which("java")):
        pytest.skip("there is no Java on PATH or in JAVA_HOME")


@pytest.fixture(scope="session")
def spark_contexts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkContexts]:
    """The session's SparkContexts."""
    skip_without_spark()
    contexts = SparkContexts(tmp_path_factory.mktemp("spark"), tmp_path_factory.getbasetemp())
    yield contexts
    contexts.close()
