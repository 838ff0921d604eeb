"""Which stores the jobs of a Hadoop cluster read and write themselves, and what is particular to each.

A job gets its files by the addresses that the store gives them, `Store.uri`, so Hadoop must know the scheme:

    hdfs    Hadoop's own
    s3a     the connector S3A of hadoop-aws
    s3      the same where the cluster says so, as Amazon EMR does: fs.s3.impl=org.apache.hadoop.fs.s3a.S3AFileSystem

A new store that clusters can read is one line in `FILE_SYSTEMS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from hdfs_layout.dataclass import dataclass
from hdfs_layout.open import scheme_of
from mr_ml.errors import UsageError

# Characters of a path that Hadoop's jobs read as something else.
INTERPRETED = frozenset("*?[]{}\\,#")


@dataclass(frozen=True, kw_only=True)
class FileSystem:
    """What is particular to the files of a scheme.

    Attributes
    ----------
    few_files
        So many small files have a map task each; more share tasks.
    properties
        Of Hadoop, for each job below such a root; the settings of `config` win.
    """

    few_files: int
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


_S3A = FileSystem(
    # each of its tasks loads the AWS SDK first, and no node has any of the files
    few_files=4,
    properties=MappingProxyType(
        {
            # A rename is a copy there: once for each byte, by the tasks, and not a second time by the application
            # master for all of them. What that gives up, an empty folder where a job fails, nobody looks at.
            "mapreduce.fileoutputcommitter.algorithm.version": "2",
            # by default each attempt of a task asks a server that is gone for three minutes; so for half a minute ...
            "fs.s3a.retry.limit": "4",
            # ... and one that answers 503 for more than a quarter of an hour; so for three minutes
            "fs.s3a.retry.throttle.limit": "8",
        }
    ),
)
FILE_SYSTEMS: Mapping[str, FileSystem] = MappingProxyType({"hdfs": FileSystem(few_files=16), "s3a": _S3A, "s3": _S3A})
"""By scheme."""


def file_system_of(place: str) -> FileSystem:
    """Return what is particular to the files of a URI that the cluster can read."""
    return FILE_SYSTEMS[scheme_of(place)]


def cluster_reads(place: str) -> bool:
    """Whether the jobs of a cluster read what is there by the same address."""
    return scheme_of(place) in FILE_SYSTEMS


def check_root(root: str, *, runner: str = "hadoop") -> None:
    """Check that the jobs of a cluster can read and write below a root.

    Raises
    ------
    UsageError
        If they cannot.
    """
    scheme = scheme_of(root)
    if not cluster_reads(root):
        spelt = ", ".join(f"{known}://..." for known in FILE_SYSTEMS)
        what = f"`runner` {runner} needs a root that the cluster's jobs can read, {spelt}; found {root}"
        if scheme.endswith("hdfs"):
            path = root.partition("://")[2].partition("/")[2]
            raise UsageError(f"{what}. Give `root` hdfs:///{path} with HADOOP_CONF_DIR set")
        raise UsageError(
            f"{what}. Give `root` hdfs:///user/NAME/mr_ml or s3a://BUCKET/mr_ml; `hadoop fs -put` brings a root there "
            "as a whole"
        )
    if interpreted := sorted({*INTERPRETED, "%", " "} & set(root)):
        raise UsageError(
            f"Hadoop's jobs read {' '.join(interpreted)} in a path as something else; found the root {root}"
        )
