"""The machines of a cluster on EMR, and the scripts that they run first: what a settings file says of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any, TypeVar

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError
from mr_ml.runners.settings_file import checked_text

ROLES = ("master", "core", "task")
VOLUME_TYPES = ("gp3", "gp2", "io1", "io2", "st1", "sc1", "standard")
_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", re.ASCII)

T = TypeVar("T")
Check = Callable[[Any, str], Any]


@dataclass(frozen=True, kw_only=True)
class Volumes:
    """Disks of every instance, besides its root volume; none if `ebs_gb` is None.

    Attributes
    ----------
    ebs_gb, ebs_type, ebs_volumes
        Size and kind of each, and how many.
    """

    ebs_gb: int | None = None
    ebs_type: str = "gp3"
    ebs_volumes: int = 1


@dataclass(frozen=True, kw_only=True)
class InstanceGroup(Volumes):
    """Instances of one type.

    Attributes
    ----------
    role
        master, core or task.
    count
        How many.
    spot
        On the spot market, for at most the price on demand. A group has no fallback: see `InstanceFleet`.
    """

    role: str
    type: str
    count: int = 1
    spot: bool = False


@dataclass(frozen=True, kw_only=True)
class InstanceFleet(Volumes):
    """Instances of several types, of which EMR takes what there is.

    Attributes
    ----------
    types
        Type -> how many units of capacity one of it is.
    on_demand, spot
        Units that are wanted.
    spot_timeout_minutes
        When the cluster is started and so long there is not enough on the spot market, the rest is taken on demand.
    """

    role: str
    types: Mapping[str, int]
    on_demand: int = 0
    spot: int = 0
    spot_timeout_minutes: int = 10


@dataclass(frozen=True, kw_only=True)
class BootstrapAction:
    """A script on S3 that every node runs before Hadoop starts."""

    path: str
    args: tuple[str, ...] = ()


def folder(value: Any, where: str) -> str:
    """Read an address on S3; with a slash at its end."""
    text = checked_text(value, where=where)
    if not text.startswith("s3://") or not text.removeprefix("s3://").strip("/"):
        raise UsageError(f"{where}: expected s3://BUCKET/..., found {value!r}")
    return text.rstrip("/") + "/"


def several(value: Any, where: str) -> tuple[str, ...]:
    """Read a text, or a list of such."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UsageError(f"{where}: expected one at least, found none")
    return tuple(checked_text(item, where=where) for item in values)


def whole(least: int, most: int, value: Any, where: str) -> int:
    """Read a whole number of a range."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UsageError(f"{where}: expected a whole number from {least} to {most}, found {value!r}")
    return value


def instance_type(value: Any, where: str) -> str:
    """Read a type of EC2's."""
    if not _TYPE.fullmatch(checked_text(value, where=where)):
        raise UsageError(f"{where}: expected an instance type such as m6i.xlarge, found {value!r}")
    return str(value)


def _role(value: Any, where: str) -> str:
    if value not in ROLES:
        raise UsageError(f"{where}: expected one of {', '.join(ROLES)}, found {value!r}")
    return str(value)


def _volume_type(value: Any, where: str) -> str:
    if value not in VOLUME_TYPES:
        raise UsageError(f"{where}: expected one of {', '.join(VOLUME_TYPES)}, found {value!r}")
    return str(value)


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{where}: expected true or false, found {value!r}")
    return value


def _weights(value: Any, where: str) -> Mapping[str, int]:
    if isinstance(value, dict) and value:
        return MappingProxyType({instance_type(name, where): whole(1, 10_000, n, where) for name, n in value.items()})
    return MappingProxyType(dict.fromkeys((instance_type(name, where) for name in several(value, where)), 1))


def counted(least: int, most: int) -> Check:
    """Return the check of a whole number."""
    return lambda value, where: whole(least, most, value, where)


_OF_NODES: Mapping[str, Check] = {
    "role": _role, "type": instance_type, "types": _weights, "count": counted(1, 10_000),
    "spot_timeout_minutes": counted(5, 1440),
    "on_demand": counted(0, 1_000_000), "ebs_gb": counted(1, 65_536), "ebs_type": _volume_type,
    "ebs_volumes": counted(1, 25), "path": folder, "args": several,
}  # fmt: skip


def _entries(kind: type[T], value: Any, where: str, **other: Check) -> tuple[T, ...]:
    """Read a list of entries, whose keys are the fields of a dataclass."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise UsageError(f"{where}: expected a list of entries `KEY: VALUE`, found {value!r}")
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    checks = {**_OF_NODES, **other}
    found = []
    for number, entry in enumerate(value):
        place = f"{where}[{number}]"
        if wrong := [key for key in entry if key not in known]:
            raise UsageError(f"{place}: expected keys of {', '.join(known)}; found {wrong[0]!r}")
        if missing := [name for name, item in known.items() if item.default is MISSING and name not in entry]:
            raise UsageError(f"{place}: expected {', '.join(missing)}, found none")
        found.append(kind(**{key: checks[key](item, f"{place}.{key}") for key, item in entry.items()}))
    return tuple(found)


def groups(value: Any, where: str) -> Sequence[InstanceGroup]:
    """Read instance groups."""
    return _entries(InstanceGroup, value, where, spot=_flag)


def fleets(value: Any, where: str) -> Sequence[InstanceFleet]:
    """Read instance fleets."""
    found: Sequence[InstanceFleet] = _entries(InstanceFleet, value, where, spot=counted(0, 1_000_000))
    for number, fleet in enumerate(found):
        if not fleet.on_demand + fleet.spot or (fleet.role == "master" and fleet.on_demand + fleet.spot != 1):
            wanted = "exactly 1" if fleet.role == "master" else "some"
            raise UsageError(
                f"{where}[{number}]: expected {wanted} of on_demand and spot together, found "
                f"{fleet.on_demand} and {fleet.spot}"
            )
    return found


def bootstrap_actions(value: Any, where: str) -> Sequence[BootstrapAction]:
    """Read the scripts."""
    return _entries(BootstrapAction, value, where, path=lambda path, place: folder(path, place).rstrip("/"))
