"""What a user may choose about a Hadoop cluster: one YAML file, every key checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from mr_ml.errors import StorageError, UsageError

_JOBCONF_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*", re.ASCII)
AUTO, NONE = "auto", "none"
# Which Hadoop unpacks.
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
PRIORITIES = ("VERY_LOW", "LOW", "NORMAL", "HIGH", "VERY_HIGH")


@dataclass(frozen=True, kw_only=True)
class HadoopSettings:
    """All optional; what is None is left to the cluster's configuration.

    Attributes
    ----------
    hadoop_home, conf_dir
        Folders on this machine, instead of HADOOP_HOME and HADOOP_CONF_DIR.
    streaming_jar
        Path on this machine; by default found below hadoop_home.
    python
        The nodes' Python, 3.11 or later: a command, or an absolute path on every node.
    python_archive
        Where its packages come from: `auto`, the archive that was built last for the root, if any; `none`, they are
        installed on the nodes; or the URI of an archive that holds a whole Python.
    queue, priority
        YARN's.
    map_memory_mb, reduce_memory_mb, map_vcores, reduce_vcores
        Of each task's container.
    reducers
        Reduce tasks of a pass.
    split_mb
        About how many megabytes of a partition one map task reads.
    speculative
        Whether slow tasks are started a second time elsewhere.
    jobconf
        Any other properties of Hadoop's, passed with -D; they win over the settings above.
    """

    hadoop_home: str | None = None
    conf_dir: str | None = None
    streaming_jar: str | None = None
    python: str | None = None
    python_archive: str = AUTO
    queue: str | None = None
    priority: str | None = None
    map_memory_mb: int | None = None
    reduce_memory_mb: int | None = None
    map_vcores: int | None = None
    reduce_vcores: int | None = None
    reducers: int = 1
    split_mb: int | None = None
    speculative: bool | None = None
    jobconf: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def properties(self, *, input_bytes: int) -> dict[str, str]:
        """Return the settings as Hadoop's properties, for a job that reads so many bytes."""
        chosen: dict[str, Any] = {
            "mapreduce.job.queuename": self.queue,
            "mapreduce.job.priority": self.priority,
            "mapreduce.map.memory.mb": self.map_memory_mb,
            "mapreduce.reduce.memory.mb": self.reduce_memory_mb,
            "mapreduce.map.cpu.vcores": self.map_vcores,
            "mapreduce.reduce.cpu.vcores": self.reduce_vcores,
            "mapreduce.map.speculative": _java(self.speculative),
            "mapreduce.reduce.speculative": _java(self.speculative),
        }
        if self.split_mb is not None:
            # Streaming's input format has no largest size, but aims at a number of map tasks
            chosen["mapreduce.job.maps"] = max(-(-input_bytes // (self.split_mb << 20)), 1)
            chosen["mapreduce.input.fileinputformat.split.minsize"] = self.split_mb << 20
        return {name: str(value) for name, value in chosen.items() if value is not None} | dict(self.jobconf)


def load_settings(path: str | None) -> HadoopSettings:
    """Read the file of `config`; without one, everything is left to the cluster and the environment.

    Raises
    ------
    UsageError
        If it is not YAML, or a key or value is not one of those above.
    StorageError
        If it cannot be read.
    """
    if path is None:
        return HadoopSettings()
    import yaml  # type: ignore[import-untyped]

    try:
        with open(path, "rb") as source:
            found = yaml.safe_load(source)
    except OSError as error:
        raise StorageError(f"cannot read `config` {path}: {error.strerror}; check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"`config` {path}: expected YAML, found {' '.join(str(error).split())[:300]}") from error
    if found is None:
        found = {}
    if not isinstance(found, dict):
        raise UsageError(f"`config` {path}: expected lines `KEY: VALUE`, found a {type(found).__name__}")
    known = {item.name: item for item in fields(HadoopSettings)}
    for key, value in found.items():
        if key not in known:
            raise UsageError(f"`config` {path}: expected keys of {', '.join(known)}; found {key!r}")
        if value is not None:
            found[key] = _checked(str(key), value, where=f"`config` {path}: {key}")
    return HadoopSettings(**{key: value for key, value in found.items() if value is not None})


def _checked(key: str, value: Any, *, where: str) -> Any:
    if key == "jobconf":
        if not isinstance(value, dict):
            raise UsageError(f"{where}: expected lines `PROPERTY: VALUE`, found {value!r}")
        for name, item in value.items():
            if not (isinstance(name, str) and _JOBCONF_NAME.fullmatch(name)) or isinstance(item, dict | list):
                raise UsageError(f"{where}: expected `PROPERTY: VALUE` with one value, found {name!r}: {item!r}")
        return MappingProxyType({name: str(_java(item)) for name, item in value.items()})
    if key == "speculative":
        if not isinstance(value, bool):
            raise UsageError(f"{where}: expected true or false, found {value!r}")
    elif key == "reducers" or key.endswith(("_mb", "_vcores")):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 1 << 31:
            raise UsageError(f"{where}: expected a whole number from 1 on, found {value!r}")
    elif not isinstance(value, str) or not value or not value.isprintable():
        raise UsageError(f"{where}: expected a text, found {value!r}")
    elif key == "priority" and value not in PRIORITIES:
        raise UsageError(f"{where}: expected one of {', '.join(PRIORITIES)}, found {value!r}")
    elif key == "python_archive":
        is_uri = "://" in value and value.endswith(ARCHIVES) and not set(value) & set("#,\\*?[]{} ")
        if value not in (AUTO, NONE) and not is_uri:
            raise UsageError(
                f"{where}: expected {AUTO}, {NONE} or the URI of an archive on the cluster, such as "
                f"hdfs:///user/me/python{ARCHIVES[0]} (or {', '.join(ARCHIVES[1:])}), found {value!r}"
            )
    elif key in ("hadoop_home", "conf_dir", "streaming_jar"):
        return os.path.abspath(os.path.expanduser(value))
    return value


def _java(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
