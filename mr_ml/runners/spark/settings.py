"""What a user may choose about Spark: one YAML file, every key checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, ClassVar

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError
from mr_ml.runners.settings_file import (
    AUTO,
    PACK_IN_DRIVER_MB,
    checked_archive,
    checked_count,
    checked_properties,
    checked_text,
    load_file,
)

_FOLDERS = ("spark_home", "conf_dir")
# Spark's own: MB of an executor's heap, and what it has beside it, as a part of the heap and at least.
_HEAP_MB, _OVERHEAD_PART, _OVERHEAD_MB = 1024, 0.1, 384
# Properties on which the jobs themselves depend.
_FIXED = (
    "spark.master", "spark.submit.deployMode", "spark.app.name", "spark.pyspark.python", "spark.pyspark.driver.python",
    "spark.archives", "spark.yarn.dist.archives", "spark.submit.pyFiles", "spark.files", "spark.local.dir",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SparkSettings:
    """All optional; what is None is left to Spark's own configuration.

    Attributes
    ----------
    spark_home, conf_dir
        Folders on this machine: a distribution of Spark instead of SPARK_HOME or the one that pyspark brings, and the
        cluster's configuration instead of HADOOP_CONF_DIR.
    python, python_archive
        As of `mr_ml.runners.hadoop.settings.HadoopSettings`; the command is one word.
    queue
        YARN's.
    executors, executor_cores, executor_memory_mb
        How many executors, and what each has.
    driver_memory_mb
        Of Spark's part of the driver, which is Java's.
    reducers
        Reduce tasks of a pass; by default one, or as many as tasks run at once where the model is large.
    split_mb
        How many megabytes of a file one map task reads at most.
    cache_mb
        Decoded blocks that the Python of each executor may keep between passes.
    pack_in_driver_mb
        As of `mr_ml.runners.hadoop.settings.HadoopSettings`; not with a master on this machine, whose tasks share it.
    conf
        Any other properties of Spark's; they win over the settings above.
    """

    spark_home: str | None = None
    conf_dir: str | None = None
    python: str | None = None
    python_archive: str = AUTO
    queue: str | None = None
    executors: int | None = None
    executor_cores: int = 1
    executor_memory_mb: int | None = None
    driver_memory_mb: int = 1024
    reducers: int | None = None
    split_mb: int = 128
    cache_mb: int = 0
    pack_in_driver_mb: int = PACK_IN_DRIVER_MB
    conf: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    default_python: ClassVar[str] = "python3"

    def executor_properties(self) -> dict[str, str]:
        """Return the settings of executors as Spark's properties."""
        chosen: dict[str, Any] = {
            "spark.executor.cores": self.executor_cores,
            "spark.executor.instances": self.executors,
            "spark.executor.memory": None if self.executor_memory_mb is None else f"{self.executor_memory_mb}m",
            "spark.yarn.queue": self.queue,
        }
        if self.cache_mb:
            # it is in Python, which has what the heap does not take
            beside = max(_OVERHEAD_MB, int(_OVERHEAD_PART * (self.executor_memory_mb or _HEAP_MB)))
            chosen["spark.executor.memoryOverhead"] = f"{beside + self.cache_mb}m"
        return {name: str(value) for name, value in chosen.items() if value is not None}


def load_settings(path: str | None) -> SparkSettings:
    """Read the file of `config`; without one, everything is left to Spark's configuration and the environment.

    Raises
    ------
    UsageError
        If it is not YAML, or a key or value is not one of those above.
    StorageError
        If it cannot be read.
    """
    settings = load_file(path, SparkSettings, _checked)
    if settings.cache_mb and settings.executor_cores > 1:
        raise UsageError(
            f"`config` {path}: expected executor_cores 1 beside cache_mb, found {settings.executor_cores}: Spark gives "
            "a task to any of an executor's Python processes, and each would keep all blocks"
        )
    return settings


def _checked(key: str, value: Any, *, where: str) -> Any:
    if key == "conf":
        properties = checked_properties(value, where=where)
        for name, item in properties.items():
            if not name.startswith("spark.") or name in _FIXED:
                raise UsageError(
                    f"{where}: expected properties of Spark's, spark.NAME, other than {', '.join(_FIXED)}; found {name}"
                )
            if not item.isprintable():
                raise UsageError(f"{where}: {name}: expected a text, found {item!r}")
        return properties
    if key.endswith("_mb") or key in ("executors", "executor_cores", "reducers"):
        return checked_count(value, where=where, least=0 if key in ("cache_mb", "pack_in_driver_mb") else 1)
    if key == "python_archive":
        return checked_archive(value, where=where)
    text = checked_text(value, where=where)
    if key == "python" and len(text.split()) != 1:
        raise UsageError(f"{where}: Spark expects one word, a command or an absolute path; found {text!r}")
    return os.path.abspath(os.path.expanduser(text)) if key in _FOLDERS else text
