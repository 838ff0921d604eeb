"""What HDFS objects to, as a `StorageError` that says what was found, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hdfs_layout.dataclass import dataclass
from hdfs_layout.errors import NotFoundError, StorageError, StoreUnavailableError
from hdfs_layout.hdfs.http import NoAnswerError, RemoteError

_INTACT = "Nothing half-written is visible; published versions are intact."
_QUOTA = f"Free some space or have the quota raised (hdfs dfs -count -q -v PATH shows it), then run again. {_INTACT}"
_ACCESS = (
    "Ask the owner for access (hdfs dfs -ls, -chmod, -setfacl), set HADOOP_USER_NAME to who has it, or choose another "
    "`root`."
)
_NODES = f"See whether enough DataNodes run and have space (hdfs dfsadmin -report), then run again. {_INTACT}"

# Hadoop's exception -> class of ours, what was found, what to do.
_SENTENCES: dict[str, tuple[type[StorageError], str, str]] = {
    "FileNotFoundException": (
        NotFoundError,
        "no such file or folder",
        "Check the name and `root`, and whether it was removed.",
    ),
    "ParentNotDirectoryException": (
        NotFoundError,
        "a file where a folder is needed",
        "Rename or remove that file, or choose another name.",
    ),
    "PathIsDirectoryException": (
        StorageError,
        "a folder where a file is needed",
        "Rename or remove that folder, or choose another name.",
    ),
    "FileAlreadyExistsException": (
        StorageError,
        "a file where a folder is needed",
        "Rename or remove that file, or choose another name.",
    ),
    "AccessControlException": (StorageError, "permission denied", _ACCESS),
    "AuthenticationException": (
        StorageError,
        "that HDFS does not accept who asks",
        "Where it uses Kerberos, set HADOOP_CONF_DIR to its configuration (hadoop.security.authentication), install "
        "mr_ml[kerberos] and run kinit.",
    ),
    "SafeModeException": (
        StoreUnavailableError,
        "HDFS in safe mode, in which nothing can be changed",
        f"Wait until the NameNode has left it (hdfs dfsadmin -safemode get), then run again. {_INTACT}",
    ),
    "NSQuotaExceededException": (StorageError, "the quota of names exceeded", _QUOTA),
    "DSQuotaExceededException": (StorageError, "the quota of space exceeded", _QUOTA),
    "QuotaByStorageTypeExceededException": (StorageError, "the quota of a storage type exceeded", _QUOTA),
    "MaxDirectoryItemsExceededException": (StorageError, "a folder with too many files", "Choose another `root`."),
    "PathComponentTooLongException": (
        StorageError,
        "a name that is too long",
        "Choose a shorter name or a `root` with a shorter path.",
    ),
    "InvalidPathException": (StorageError, "a name that HDFS does not take", "Choose one without ':'."),
    "BlockMissingException": (
        StoreUnavailableError,
        "blocks of it that no DataNode has",
        "See which are missing (hdfs fsck PATH -files -blocks -locations), bring their DataNodes back, then run again.",
    ),
    "StandbyException": (StoreUnavailableError, "no active NameNode", "Run again when one is active."),
    "RetriableException": (StoreUnavailableError, "a NameNode that is not ready", "Run again when it is."),
    "": (
        StoreUnavailableError,
        "a service that is not the WebHDFS of a NameNode",
        "Check that the address is that of a NameNode's HTTP server (not of HttpFS or Knox), of Hadoop 3, and that "
        "dfs.webhdfs.enabled is true.",
    ),
}
# What a plain IOException is, is in its words only.
_WORDS: tuple[tuple[str, tuple[type[StorageError], str, str]], ...] = (
    ("could only be written to", (StoreUnavailableError, "too few DataNodes that take a block", _NODES)),
    ("could only be replicated to", (StoreUnavailableError, "too few DataNodes that take a block", _NODES)),
    ("failed to find datanode", (StoreUnavailableError, "no DataNode", _NODES)),
    ("could not obtain block", _SENTENCES["BlockMissingException"]),
    ("could not obtain the last block", _SENTENCES["BlockMissingException"]),
    ("no active nodes contain this block", _SENTENCES["BlockMissingException"]),
)
# What HDFS answers, to users other than its superuser, about a path that leads through a file.
_THROUGH_A_FILE = "(is not a directory)"


@dataclass(frozen=True, kw_only=True)
class Translator:
    """Makes errors for users out of those of the wire.

    Attributes
    ----------
    user : str or None
        Who asks.
    source : str
        Where the NameNodes' addresses come from.
    """

    user: str | None
    source: str

    @contextmanager
    def errors(self, doing: str, place: str) -> Iterator[None]:
        """Raise a `StorageError` instead of `RemoteError` and `NoAnswerError`."""
        try:
            yield
        except RemoteError as error:
            raise self._refused(error, f"could not {doing} {place!r}") from error
        except NoAnswerError as error:
            raise StoreUnavailableError(
                f"could not {doing} {place!r}: expected an answer of HDFS; found {error}. The addresses come from "
                f"{self.source}. Check them, that HDFS runs, and that this machine reaches it; then run again. "
                f"{_INTACT}"
            ) from error

    def _refused(self, error: RemoteError, what: str) -> StorageError:
        kind, detail = error.kind, f" ({error})"
        if kind == "AccessControlException" and error.message.endswith(_THROUGH_A_FILE):
            kind = "ParentNotDirectoryException"
        words = error.message.lower()
        known = next((sentence for part, sentence in _WORDS if part in words), _SENTENCES.get(kind))
        if known is None:
            return StorageError(f"{what}: found {error}. See the NameNode's log.")
        category, cause, remedy = known
        if kind == "AccessControlException":
            cause += f" to user {self.user!r}" if self.user is not None else ""
        return category(f"{what}: found {cause}{detail}. {remedy}")
