"""Settings of a cluster: one YAML file, every key checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from mr_ml.errors import StorageError, UsageError

T = TypeVar("T")

_PROPERTY = re.compile(r"[A-Za-z][A-Za-z0-9._-]*", re.ASCII)
AUTO, NONE = "auto", "none"
# What a driver packs in less time than the first of several jobs takes to start.
PACK_IN_DRIVER_MB = 256
# Which Hadoop and Spark unpack.
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")


class Check(Protocol):
    """Of one key's value."""

    def __call__(self, key: str, value: Any, *, where: str) -> Any:
        """Return the value as settings hold it, or raise a `UsageError` that begins with `where`."""


def load_file(path: str | None, kind: type[T], check: Check) -> T:
    """Read the file of `config`; without one, all settings have their defaults.

    Parameters
    ----------
    kind
        A dataclass of which every field has a default; keys are its fields.
    check
        Of values; None is the same as a key that is not there.

    Raises
    ------
    UsageError
        If it is not YAML, or a key or value is not one of those.
    StorageError
        If it cannot be read.
    """
    if path is None:
        return kind()
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
    known = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    for key, value in found.items():
        if key not in known:
            raise UsageError(
                f"`config` {path}: expected keys of {', '.join(known)}; found {key!r}. If it is a setting of another "
                "`runner`, name that one"
            )
        if value is not None:
            found[key] = check(str(key), value, where=f"`config` {path}: {key}")
    return kind(**{key: value for key, value in found.items() if value is not None})


def checked_properties(value: Any, *, where: str) -> Mapping[str, str]:
    """Read properties of Hadoop's or Spark's, as text."""
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected lines `PROPERTY: VALUE`, found {value!r}")
    for name, item in value.items():
        if not (isinstance(name, str) and _PROPERTY.fullmatch(name)) or isinstance(item, dict | list):
            raise UsageError(f"{where}: expected `PROPERTY: VALUE` with one value, found {name!r}: {item!r}")
    return MappingProxyType({name: str(in_java(item)) for name, item in value.items()})


def checked_count(value: Any, *, where: str, least: int = 1) -> int:
    """Read a whole number."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 31:
        raise UsageError(f"{where}: expected a whole number from {least} on, found {value!r}")
    return value


def checked_text(value: Any, *, where: str) -> str:
    """Read a text that is not empty and has no control characters."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise UsageError(f"{where}: expected a text, found {value!r}")
    return value


def checked_archive(value: Any, *, where: str) -> str:
    """Read where the nodes' Python packages come from."""
    text = checked_text(value, where=where)
    is_uri = "://" in text and text.endswith(ARCHIVES) and not set(text) & set("#,\\*?[]{} ")
    if text not in (AUTO, NONE) and not is_uri:
        raise UsageError(
            f"{where}: expected {AUTO}, {NONE} or the URI of an archive on the cluster, such as "
            f"hdfs:///user/me/python{ARCHIVES[0]} (or {', '.join(ARCHIVES[1:])}), found {text!r}"
        )
    return text


def in_java(value: Any) -> Any:
    """Spell true and false as properties have them."""
    return str(value).lower() if isinstance(value, bool) else value
