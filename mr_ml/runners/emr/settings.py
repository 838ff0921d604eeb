"""What a user may choose about a cluster on EMR: the settings of a Hadoop cluster, and those of renting one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError
from mr_ml.runners.emr.nodes import (
    ROLES,
    BootstrapAction,
    InstanceFleet,
    InstanceGroup,
    bootstrap_actions,
    counted,
    fleets,
    folder,
    groups,
    instance_type,
    several,
    whole,
)
from mr_ml.runners.hadoop.settings import HadoopSettings, checked
from mr_ml.runners.settings_file import checked_text, load_file

DEFAULT_RELEASE = "emr-7.13.0"
LEAST_IDLE_MINUTES, MOST_IDLE_MINUTES = 5, 7 * 24 * 60
_MOST_NAME, _MOST_VALUE = 128, 256
# Of tags, those that the clusters of mr_ml are known by.
OWN_TAGS = "mr_ml:"
_OF_A_MACHINE = ("hadoop_home", "conf_dir", "streaming_jar")
_OF_TASKS_THAT_STAY = (
    "resident_tasks", "resident_memory_mb", "driver_host", "driver_port", "patience_seconds", "idle_seconds",
)  # fmt: skip
_RELEASE = re.compile(r"emr-[0-9]+\.[0-9]+\.[0-9]+(?:-[a-z0-9.-]+)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class EmrSettings(HadoopSettings):
    """Those of `HadoopSettings`, without what is of a Hadoop on this machine, and these; what EMR needs has no default.

    Attributes
    ----------
    release
        Of EMR.
    region
        Where clusters are; by default as for the aws command.
    log_uri
        Where EMR copies logs, s3://...; without it nothing can be read of a job whose tasks died.
    service_role, instance_profile
        IAM's, of EMR itself and of the nodes.
    subnets
        One for instance groups; for fleets EMR chooses among several.
    master_security_group, core_security_group, service_security_group
        Managed by EMR; by default it makes them.
    security_groups
        Further ones, for all nodes.
    key_name
        Of EC2, to log in by ssh.
    tags
        Of the cluster and its instances.
    groups, fleets
        The nodes: one of both.
    root_volume_gb
        Of every instance.
    idle_minutes
        After which a cluster with nothing to do ends by itself, whatever became of the machine that started it.
    bootstrap
        In this order.
    security_configuration
        Name of one of EMR's: encryption, Kerberos.
    prices
        Instance type -> what an hour of it costs, with what EMR takes, in whatever currency: the user's numbers.
    max_hours, max_cost
        A command starts no job after it has used its cluster for so long, or when that has cost so much.
    """

    default_python: ClassVar[str] = "python3.11"

    release: str = DEFAULT_RELEASE
    region: str | None = None
    log_uri: str | None = None
    service_role: str | None = None
    instance_profile: str | None = None
    subnets: tuple[str, ...] = ()
    master_security_group: str | None = None
    core_security_group: str | None = None
    service_security_group: str | None = None
    security_groups: tuple[str, ...] = ()
    key_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    groups: tuple[InstanceGroup, ...] = ()
    fleets: tuple[InstanceFleet, ...] = ()
    root_volume_gb: int | None = None
    idle_minutes: int = 15
    bootstrap: tuple[BootstrapAction, ...] = ()
    security_configuration: str | None = None
    prices: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    max_hours: float | None = None
    max_cost: float | None = None

    def check_startable(self) -> None:
        """Raise `UsageError` if something is missing that a new cluster needs."""
        needed = ("service_role", "instance_profile")
        missing = [name for name in needed if getattr(self, name) is None]
        if not (self.groups or self.fleets):
            missing.append("groups (or fleets)")
        if missing:
            raise UsageError(
                f"a cluster on EMR needs {', '.join(missing)}: give them in the settings of `config`, or name a "
                "cluster that runs with `cluster_id`"
            )


def load_settings(path: str | None) -> EmrSettings:
    """Read the file of `config`; without one, what there is a default for.

    Raises
    ------
    UsageError
        If it is not YAML, or a key or value is not one of `EmrSettings`.
    StorageError
        If it cannot be read.
    """
    settings = load_file(path, EmrSettings, _checked)
    _check_together(settings, f"`config` {path}")
    return settings


def _check_together(settings: EmrSettings, where: str) -> None:
    if settings.groups and settings.fleets:
        raise UsageError(f"{where}: expected groups or fleets, found both; EMR takes one kind")
    for name, nodes in (("groups", settings.groups), ("fleets", settings.fleets)):
        roles = [node.role for node in nodes]
        single = ("master", "core") if name == "groups" else ROLES
        doubled = [role for role in single if roles.count(role) > 1]
        if nodes and ("master" not in roles or doubled):
            raise UsageError(f"{where}: {name}: expected one master, at most one core, found {', '.join(roles)}")
    if settings.groups and len(settings.subnets) > 1:
        raise UsageError(
            f"{where}: subnets: expected one with groups, found {len(settings.subnets)}; fleets take several"
        )
    if settings.max_cost is not None and not settings.prices:
        raise UsageError(f"{where}: max_cost needs prices: what an hour of each instance type costs")
    types = [group.type for group in settings.groups] + [name for fleet in settings.fleets for name in fleet.types]
    unknown = sorted({name for name in types if name not in settings.prices})
    if settings.prices and unknown:
        raise UsageError(f"{where}: prices: expected one for every instance type, found none for {', '.join(unknown)}")


def _checked(key: str, value: Any, *, where: str) -> Any:
    if key in _OF_A_MACHINE:
        raise UsageError(f"{where}: is of Hadoop on this machine, of which `runner` emr needs nothing; leave it out")
    if key in _OF_TASKS_THAT_STAY:
        raise UsageError(f"{where}: is of tasks that stay, which `runner` emr has none of; leave it out")
    check = _CHECKS.get(key)
    return checked(key, value, where=where) if check is None else check(value, where)


def _text(value: Any, where: str) -> str:
    return checked_text(value, where=where)


def _release(value: Any, where: str) -> str:
    if not _RELEASE.fullmatch(_text(value, where)):
        raise UsageError(f"{where}: expected a release of EMR such as {DEFAULT_RELEASE}, found {value!r}")
    return str(value)


def _ids(start: str, value: Any, where: str) -> tuple[str, ...]:
    found = several(value, where)
    wrong = [item for item in found if not item.startswith(start)]
    if wrong:
        raise UsageError(f"{where}: expected ids such as {start}0123abcd, found {wrong[0]!r}")
    return found


def _id(start: str, value: Any, where: str) -> str:
    return _ids(start, _text(value, where), where)[0]


def _amount(value: Any, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise UsageError(f"{where}: expected a number above 0, found {value!r}")
    return float(value)


def _idle_minutes(value: Any, where: str) -> int:
    if value == 0:
        raise UsageError(f"{where}: expected from {LEAST_IDLE_MINUTES} on, found 0: no cluster runs for ever")
    return whole(LEAST_IDLE_MINUTES, MOST_IDLE_MINUTES, value, where)


def _lines(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise UsageError(f"{where}: expected lines `NAME: VALUE`, found {value!r}")
    return value


def _tags(value: Any, where: str) -> Mapping[str, str]:
    found = {}
    for name, item in _lines(value, where).items():
        # YAML reads true and 7 where others read text
        text = str(item).lower() if isinstance(item, bool) else str(item)
        if isinstance(item, dict | list) or not 1 <= len(name) <= _MOST_NAME or len(text) > _MOST_VALUE:
            raise UsageError(
                f"{where}: expected `NAME: VALUE` with at most {_MOST_NAME} and {_MOST_VALUE} letters, found "
                f"{name!r}: {item!r}"
            )
        if name.startswith((OWN_TAGS, "aws:")):
            raise UsageError(f"{where}: names that begin with {OWN_TAGS} or aws: are not yours to give, found {name!r}")
        found[name] = text
    return MappingProxyType(found)


def _prices(value: Any, where: str) -> Mapping[str, float]:
    found = {
        instance_type(name, where): _amount(price, f"{where}: {name}") for name, price in _lines(value, where).items()
    }
    return MappingProxyType(found)


_CHECKS: Mapping[str, Callable[[Any, str], Any]] = {
    "release": _release,
    "region": _text,
    "log_uri": folder,
    "service_role": _text,
    "instance_profile": _text,
    "subnets": partial(_ids, "subnet-"),
    "security_groups": partial(_ids, "sg-"),
    "master_security_group": partial(_id, "sg-"),
    "core_security_group": partial(_id, "sg-"),
    "service_security_group": partial(_id, "sg-"),
    "key_name": _text,
    "tags": _tags,
    "groups": groups,
    "fleets": fleets,
    "root_volume_gb": counted(15, 100),
    "idle_minutes": _idle_minutes,
    "bootstrap": bootstrap_actions,
    "security_configuration": _text,
    "prices": _prices,
    "max_hours": _amount,
    "max_cost": _amount,
}
