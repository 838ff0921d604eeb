"""What a user may choose about a Hadoop cluster: one YAML file, every key checked."""

from __future__ import annotations

import os
import re
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
    in_java,
    load_file,
)

# The driver says a word every few seconds.
LEAST_IDLE_SECONDS = 20
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_LAST_PORT = 65535

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
    resident_tasks, resident_memory_mb
        How many tasks stay for a training, and what each has for decoded blocks; by default a task for about 64 MB of
        packed data, and what its container leaves.
    driver_host, driver_port
        Where they reach the driver: a name or address of this machine, or one at which a router or a container's host
        takes connections for it, and a port, or a range such as 40000-40099 of which the first free one is taken. By
        default the address towards the NameNode, and any free port.
    patience_seconds
        How long the driver waits for the first of them, or for another when all are lost.
    idle_seconds
        How long they keep their containers when nothing is wanted of them, or the driver says nothing.
    pack_in_driver_mb
        Text of up to so many megabytes the driver packs itself, without a job; 0 for none.
    jobconf
        Any other properties of Hadoop's, passed with -D; they win over the settings above.
    """

    default_python: ClassVar[str] = "python3"

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
    resident_tasks: int | None = None
    resident_memory_mb: int | None = None
    driver_host: str | None = None
    driver_port: str | None = None
    patience_seconds: int = 120
    idle_seconds: int = 60
    pack_in_driver_mb: int = PACK_IN_DRIVER_MB
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
            "mapreduce.map.speculative": in_java(self.speculative),
            "mapreduce.reduce.speculative": in_java(self.speculative),
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
    return load_file(path, HadoopSettings, checked)


def checked(key: str, value: Any, *, where: str) -> Any:
    """Return the value of a key of `HadoopSettings`, see `mr_ml.runners.settings_file.Check`."""
    if key == "jobconf":
        return checked_properties(value, where=where)
    if key == "speculative":
        if not isinstance(value, bool):
            raise UsageError(f"{where}: expected true or false, found {value!r}")
        return value
    if key == "idle_seconds":
        return checked_count(value, where=where, least=LEAST_IDLE_SECONDS)
    if key in ("reducers", "resident_tasks", "patience_seconds") or key.endswith(("_mb", "_vcores")):
        return checked_count(value, where=where, least=0 if key == "pack_in_driver_mb" else 1)
    if key == "driver_port":
        return _checked_ports(value, where=where)
    if key == "python_archive":
        return checked_archive(value, where=where)
    text = checked_text(value, where=where)
    if key == "priority" and text not in PRIORITIES:
        raise UsageError(f"{where}: expected one of {', '.join(PRIORITIES)}, found {text!r}")
    return os.path.abspath(os.path.expanduser(text)) if key in ("hadoop_home", "conf_dir", "streaming_jar") else text


def _checked_ports(value: Any, *, where: str) -> str:
    """Return a port, or the first and the last of a range, as text."""
    text = str(value)
    match = _PORTS.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= int(match[2] or match[1]) <= _LAST_PORT:
        raise UsageError(f"{where}: expected a port, or a range of ports such as 40000-40099, found {value!r}")
    return text
