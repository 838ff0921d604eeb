"""What Hadoop's own configuration says: where a cluster's NameNodes answer HTTP, and whether they want Kerberos.

Reads ``core-site.xml`` and ``hdfs-site.xml`` of HADOOP_CONF_DIR, or else of ``$HADOOP_HOME/etc/hadoop`` or
``/etc/hadoop/conf``, as Hadoop's clients do. Does not follow ``xi:include``, nor knows Hadoop's own default files:
what is not set counts as empty.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

# A document type is refused below, so no entity can be declared and expanded.
from xml.etree import ElementTree

from hdfs_layout.dataclass import dataclass
from hdfs_layout.errors import UsageError
from hdfs_layout.job_tokens import RPC_PORT

HTTP_PORT, HTTPS_PORT = 9870, 9871
_FILES = ("core-site.xml", "hdfs-site.xml")
_LARGEST_FILE_BYTES = 16 << 20
_VARIABLE = re.compile(r"\$\{([^${}\s]+)\}")
_MOST_EXPANSIONS = 20
_LABEL = "[A-Za-z0-9_-]{1,63}"
_AUTHORITY = re.compile(rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.%]+\])(?::(?P<port>[0-9]{{1,5}}))?", re.ASCII)
_ANY_HOST = ("0.0.0.0", "[::]", "")  # noqa: S104  compared with, never bound to


@dataclass(frozen=True)
class HadoopConfig:
    """Properties of Hadoop's XML files.

    Attributes
    ----------
    folder : str or None
        Where they were read, or None if there is no configuration.
    properties : mapping
        Name to value, as written.
    environment : mapping
        For ``${env.NAME}``.
    """

    folder: str | None = None
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def get(self, name: str) -> str:
        """Value of a property with its ``${...}`` replaced, stripped; empty if it is not set."""
        value = self.properties.get(name, "")
        for _ in range(_MOST_EXPANSIONS):
            value, changes = _VARIABLE.subn(self._variable, value, count=1)
            if not changes:
                break
        return value.strip()

    def names(self, name: str) -> tuple[str, ...]:
        """Value of a property as names between commas."""
        return tuple(filter(None, (part.strip() for part in self.get(name).split(","))))

    def _variable(self, match: re.Match[str]) -> str:
        variable = match[1]
        if variable.startswith("env."):
            name, _, default = variable[len("env.") :].partition(":-")
            return self.environment.get(name, default)
        return self.properties.get(variable, "")


@dataclass(frozen=True)
class NameNodes:
    """Where a cluster answers HTTP.

    Attributes
    ----------
    authority : str
        Host and port, or name service, that stands in the URI.
    urls : tuple of str
        ``http://host:port`` of each NameNode; several where one of them is active and the others stand by.
    source : str
        Where these addresses come from, for messages.
    """

    authority: str
    urls: tuple[str, ...]
    source: str


def load_hadoop_config(environment: Mapping[str, str]) -> HadoopConfig:
    """Read the configuration that the environment names.

    Raises
    ------
    UsageError
        If HADOOP_CONF_DIR is no folder, or a file in it is not Hadoop's XML.
    """
    folder = _folder(environment)
    properties: dict[str, str] = {}
    if folder is not None:
        for name in _FILES:
            properties.update(_read_site_file(os.path.join(folder, name)))
    return HadoopConfig(folder, MappingProxyType(properties), MappingProxyType(dict(environment)))


def find_namenodes(config: HadoopConfig, *, scheme: str, authority: str) -> NameNodes:
    """Find the HTTP addresses of the NameNodes of a URI.

    Parameters
    ----------
    scheme : str
        ``hdfs``: the authority is a name service or the address for Hadoop's own protocol, or empty for
        ``fs.defaultFS``. ``webhdfs`` and ``swebhdfs``: a name service or the HTTP(S) address itself, or empty likewise.
    authority : str
        ``host``, ``host:port``, a name service, or nothing.

    Raises
    ------
    UsageError
        If the authority is none, or is empty and no ``fs.defaultFS`` stands in for it.
    """
    if not authority:
        return _default_namenodes(config, scheme)
    host, port = _split(authority)
    secure = scheme == "swebhdfs" or (scheme == "hdfs" and config.get("dfs.http.policy").upper() == "HTTPS_ONLY")
    web = _Web(config=config, secure=secure)
    if authority in (*config.names("dfs.nameservices"), *config.names("dfs.internal.nameservices")):
        urls = tuple(filter(None, (web.url(suffix) for suffix in web.suffixes(authority))))
        if not urls:
            raise UsageError(
                f"expected in {config.folder} the addresses of name service {authority!r} ({web.key}.{authority}...); "
                f"found none. Complete that configuration, or give webhdfs://HOST:PORT/... as `root`."
            )
        return NameNodes(authority, urls, f"name service {authority} in {config.folder}")
    if scheme != "hdfs":
        return NameNodes(authority, (web.join(host, port or web.port),), "the root itself")
    services = (*config.names("dfs.nameservices"), "")
    for suffix in (suffix for service in services for suffix in web.suffixes(service)):
        rpc = web.rpc_address(suffix)
        if rpc and _same(rpc, authority) and (url := web.url(suffix)):
            return NameNodes(authority, (url,), f"{config.folder}")
    where = f"{config.folder} does not say" if config.folder else "no HADOOP_CONF_DIR says"
    guess = (
        f"a guess (the usual port), because {where} which it is: set HADOOP_CONF_DIR, or give webhdfs://HOST:PORT/... "
        f"as root"
    )
    return NameNodes(authority, (web.join(host, web.port),), guess)


def _default_namenodes(config: HadoopConfig, scheme: str) -> NameNodes:
    default = config.get("fs.defaultFS") or config.get("fs.default.name")
    default_scheme, _, rest = default.partition("://")
    authority = rest.partition("/")[0]
    if default_scheme.lower() not in ("hdfs", "webhdfs", "swebhdfs") or not authority:
        what = f"{default!a} in {config.folder}" if default else f"none in {config.folder or 'HADOOP_CONF_DIR (unset)'}"
        raise UsageError(
            f"expected for a root without a host, {scheme}:///..., that fs.defaultFS names an HDFS; found {what}. "
            f"Set HADOOP_CONF_DIR to the cluster's configuration, or name the host: {scheme}://HOST:PORT/..."
        )
    return find_namenodes(config, scheme=default_scheme.lower(), authority=authority)


@dataclass(frozen=True, kw_only=True)
class _Web:
    """HTTP addresses, or HTTPS ones, as a configuration spells them."""

    config: HadoopConfig
    secure: bool

    @property
    def key(self) -> str:
        return f"dfs.namenode.{'https' if self.secure else 'http'}-address"

    @property
    def port(self) -> int:
        return HTTPS_PORT if self.secure else HTTP_PORT

    def suffixes(self, service: str) -> tuple[str, ...]:
        """Return what follows the names of properties of each NameNode of a service; one NameNode may have none."""
        if not service:
            return ("",)
        nodes = self.config.names(f"dfs.ha.namenodes.{service}")
        return tuple(f".{service}.{node}" for node in nodes) or (f".{service}",)

    def rpc_address(self, suffix: str) -> str:
        address = self.config.get(f"dfs.namenode.rpc-address{suffix}")
        if not address and not suffix:
            address = self.config.get("fs.defaultFS").partition("hdfs://")[2].partition("/")[0]
        return address

    def url(self, suffix: str) -> str | None:
        address, rpc = self.config.get(self.key + suffix), self.rpc_address(suffix)
        if not address and not rpc:
            return None
        host, port = _split(address) if address else ("", None)
        if host in _ANY_HOST:
            host = _split(rpc)[0] if rpc else "localhost"
        return self.join(host, port or self.port)

    def join(self, host: str, port: int) -> str:
        return f"{'https' if self.secure else 'http'}://{host}:{port}"


def _split(authority: str) -> tuple[str, int | None]:
    """Host (lower case) and port of ``host:port``."""
    match = _AUTHORITY.fullmatch(authority)
    if match is None or int(match["port"] or 1) not in range(1, 65536):
        raise UsageError(
            f"expected HOST or HOST:PORT as an HDFS address; found {authority[:200]!a}. A user's name goes into "
            f"HADOOP_USER_NAME."
        )
    return match["host"].lower(), int(match["port"]) if match["port"] else None


def _same(first: str, second: str) -> bool:
    (host, port), (other_host, other_port) = _split(first), _split(second)
    return host == other_host and (port or RPC_PORT) == (other_port or RPC_PORT)


def _folder(environment: Mapping[str, str]) -> str | None:
    given = environment.get("HADOOP_CONF_DIR")
    if given:
        if not os.path.isdir(given):
            raise UsageError(
                f"expected in HADOOP_CONF_DIR the folder of core-site.xml and hdfs-site.xml; found {given[:200]!a}, "
                f"which is no folder. Correct or unset it."
            )
        return os.path.abspath(given)
    home = environment.get("HADOOP_HOME")
    usual = [os.path.join(home, "etc", "hadoop")] if home else []
    return next((folder for folder in (*usual, "/etc/hadoop/conf") if os.path.isdir(folder)), None)


class _PlainTree(ElementTree.TreeBuilder):
    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ElementTree.ParseError("a document type declaration, which Hadoop's files do not have")


def _read_site_file(path: str) -> dict[str, str]:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(
            f"expected to read {path!r}; found {error.strerror}. Fix it, or set HADOOP_CONF_DIR to another folder."
        ) from error
    try:
        if len(data) > _LARGEST_FILE_BYTES:
            raise ElementTree.ParseError(f"more than {_LARGEST_FILE_BYTES} bytes")
        root = ElementTree.fromstring(data, ElementTree.XMLParser(target=_PlainTree()))  # noqa: S314  see above
        if root.tag != "configuration":
            raise ElementTree.ParseError(f"<{root.tag}> instead of <configuration>")
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the last two: an encoding that is none
        raise UsageError(f"expected in {path!r} Hadoop's XML; found {error}. Fix that file.") from error
    properties: dict[str, str] = {}
    for item in root.iter("property"):
        name = (item.findtext("name") or "").strip()
        if name:
            properties[name] = item.findtext("value") or ""
    return properties
