"""Which Python the tasks on a cluster run, and where its packages come from.

An *environment* is an archive of Python packages, perhaps with the Python itself, stored below the root under the hash
of its content; Hadoop unpacks it once on every node, and tasks find it in their working folder:

    env/python-<hash>.tar.gz     environment/lib/python3.11/site-packages/..., and environment/bin/python3 if it has one
    env/v000001.json             what is in it; the highest number is the one that jobs use
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, field, fields
from types import MappingProxyType
from typing import Any, Protocol

from hdfs_layout import NotFoundError, Root, latest_version, publish_version, read_version
from hdfs_layout.dataclass import dataclass
from mr_ml.errors import BadDataError, StorageError
from mr_ml.runners.settings_file import AUTO, NONE

FOLDER = "environment"
KIND = "environment"
_VERSION = re.compile(r"[0-9]\.[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An archive of packages for the nodes.

    Attributes
    ----------
    hash
        Of the content.
    python
        Version with which the packages work, such as 3.11.
    packages
        Name -> version.
    has_interpreter
        Whether the Python itself is in it.
    has_shared_library
        Whether that Python needs its own library from the archive.
    bytes
        Size of the archive.
    """

    hash: str
    python: str
    packages: Mapping[str, str]
    has_interpreter: bool
    has_shared_library: bool
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return the document that describes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Environment:
        """Undo `to_json`."""
        return cls(**{item.name: data[item.name] for item in fields(cls)})


@dataclass(frozen=True, kw_only=True)
class NodePython:
    """How tasks run Python.

    Attributes
    ----------
    command
        Words of the command.
    archive
        URI of what Hadoop unpacks as `FOLDER` in the working folder of every task.
    variables
        Of the tasks' environment.
    environment
        What is in the archive, if it is one of ours.
    """

    command: tuple[str, ...]
    archive: str | None = None
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    environment: Environment | None = None


class PythonSettings(Protocol):
    """What settings of a cluster say of Python; see `mr_ml.runners.hadoop.settings.HadoopSettings`."""

    @property
    def python(self) -> str | None:
        """The nodes' Python."""

    @property
    def python_archive(self) -> str:
        """Where its packages come from."""

    @property
    def default_python(self) -> str:
        """The nodes' Python if neither says it."""


def find_python(root: Root, settings: PythonSettings) -> NodePython:
    """Return what the settings ask for: by default the environment that was built last for this root, if there is one.

    Raises
    ------
    StorageError
        If the environment's archive is missing.
    """
    command = None if settings.python is None else tuple(settings.python.split())
    if settings.python_archive == NONE:
        return NodePython(command=command or (settings.default_python,))
    if settings.python_archive != AUTO:
        return NodePython(command=command or (f"{FOLDER}/bin/python3",), archive=settings.python_archive)
    environment = last_built(root)
    if environment is None:
        return NodePython(command=command or (settings.default_python,))
    path = root.layout.environment(environment.hash)
    if not root.store.exists(path):
        raise StorageError(
            f"expected the nodes' Python packages in {root.store.uri(path)}, found nothing; run `mr-ml env build` "
            f"again, or say `python_archive: {NONE}` in the settings of `config`"
        )
    variables = {"PYTHONPATH": f"{FOLDER}/{site_packages(environment.python)}", "PYTHONNOUSERSITE": "1"}
    if environment.has_shared_library:
        variables["LD_LIBRARY_PATH"] = f"{FOLDER}/lib"
    own = (f"{FOLDER}/bin/python3",) if environment.has_interpreter else (settings.default_python,)
    return NodePython(
        command=command or own,
        archive=root.store.uri(path),
        variables=MappingProxyType(variables),
        environment=environment,
    )


def site_packages(python: str) -> str:
    """Where packages are in an archive."""
    return f"lib/python{python}/site-packages"


def last_built(root: Root) -> Environment | None:
    """Return the environment that jobs use; None if none was built.

    Raises
    ------
    BadDataError
        If its description is damaged.
    """
    try:
        version = read_version(root.store, root.layout.environments)
    except NotFoundError:
        return None
    try:
        built = Environment.from_json(version.document["environment"])
        if not _VERSION.fullmatch(built.python):
            raise TypeError(built.python)
        return built
    except (KeyError, TypeError) as error:
        raise BadDataError(
            f"{root.store.uri(version.path)}: expected the description of an environment, found none; run "
            "`mr-ml env build`"
        ) from error


def publish(root: Root, environment: Environment) -> int:
    """Make an environment, whose archive is there, the one that jobs use; its number."""
    if last_built(root) == environment:
        number = latest_version(root.store, root.layout.environments)
        assert number is not None
        return number
    return publish_version(root.store, root.layout.environments, {"kind": KIND, "environment": environment.to_json()})
