"""What a development cluster is: one frozen value, stored as cluster.json in the cluster's folder."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
from pathlib import Path

FIXED_PORTS = (
    "namenode_rpc",
    "namenode_http",
    "namenode_https",
    "rm_client",
    "rm_scheduler",
    "rm_tracker",
    "rm_admin",
    "rm_http",
    "history_rpc",
    "history_http",
    "history_admin",
    "kdc",
)


def user_name() -> str:
    """Who runs the daemons, hence HDFS's superuser: the process's user, whatever USER or LOGNAME claim."""
    return pwd.getpwuid(os.geteuid()).pw_name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster:
    """One cluster on this machine.

    Attributes
    ----------
    directory, home, java : str
        The cluster's folder, HADOOP_HOME and JAVA_HOME.
    workers : int
        DataNodes, and as many NodeManagers if there is YARN.
    node_memory_mb, node_vcores : int
        What each NodeManager offers to containers.
    ports : dict
        `FIXED_PORTS`, all on 127.0.0.1. The workers bind port 0 and announce what they got.
    token : str
        In the environment of every daemon and container, and nowhere else.
    s3 : str
        URL of the S3 server that s3:// and s3a:// mean, or empty: none. Its keys are in conf/core-site.xml alone.
    kerberos : bool
        Everybody proves who they are, and HDFS answers HTTPS only; see `kerberos`.
    overrides : tuple of (file, key, value)
    archives : str
        Folder of class data archives, or empty: none.
    yarn : bool
        Whether there is more than HDFS.
    recording : bool
        Write the archives rather than use them.
    """

    directory: str
    home: str
    java: str
    workers: int
    tuned: bool
    history: bool
    node_memory_mb: int
    node_vcores: int
    ports: dict[str, int]
    token: str
    s3: str = ""
    kerberos: bool = False
    overrides: tuple[tuple[str, str, str], ...] = ()
    archives: str = ""
    yarn: bool = True
    recording: bool = False

    @property
    def path(self) -> Path:
        return Path(self.directory)

    @property
    def conf(self) -> Path:
        return self.path / "conf"

    @property
    def data(self) -> Path:
        """Everything that `down` removes."""
        return self.path / "data"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def hdfs_uri(self) -> str:
        return f"hdfs://127.0.0.1:{self.ports['namenode_rpc']}"

    @property
    def webhdfs_url(self) -> str:
        if self.kerberos:
            return f"https://127.0.0.1:{self.ports['namenode_https']}"
        return f"http://127.0.0.1:{self.ports['namenode_http']}"

    @property
    def resource_manager_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['rm_http']}"

    def save(self) -> None:
        partial = self.path / "cluster.json.partial"
        partial.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")
        partial.replace(self.path / "cluster.json")

    @classmethod
    def load(cls, directory: Path) -> Cluster | None:
        """The cluster described in `directory`; None if there is none."""
        try:
            fields = json.loads((directory / "cluster.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        fields["overrides"] = tuple((file, key, value) for file, key, value in fields["overrides"])
        return cls(**fields)

    def exports(self) -> dict[str, str]:
        """The environment of a client, but for PATH, to which `<home>/bin` is to be added in front."""
        s3 = {"AWS_ENDPOINT_URL_S3": self.s3} if self.s3 else {}
        return s3 | {
            "HADOOP_HOME": self.home,
            "HADOOP_CONF_DIR": str(self.conf),
            "HADOOP_LOG_DIR": str(self.logs),
            "JAVA_HOME": self.java,
            "MR_ML_TEST_HDFS": self.hdfs_uri,
            "MR_ML_TEST_WEBHDFS": self.webhdfs_url,
        }

    def class_path(self) -> str:
        """Jars first: an archive is valid only while its class path is a prefix of the one in use."""
        return (Path(self.home) / "etc" / "classpath").read_text(encoding="utf-8")
