"""Open the store of a root: the registry of stores by scheme.

A store is one file here, or in another package, and one line in `STORES`, or an entry point of the group
``mr_ml.stores``; its case in tests/contract/store_kinds.py makes the contract suite run on it.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Callable

from hdfs_layout.errors import UsageError
from hdfs_layout.registry import Registry
from hdfs_layout.store import Store

STORES: Registry[Callable[[str], Store]] = Registry(
    "store",
    group="mr_ml.stores",
    built_in={
        "file": "hdfs_layout.local:open_file_uri",
        "hdfs": "hdfs_layout.hdfs.store:open_hdfs",
        "webhdfs": "hdfs_layout.hdfs.store:open_hdfs",
        "swebhdfs": "hdfs_layout.hdfs.store:open_hdfs",
        "s3": "hdfs_layout.s3.store:open_s3",
        "s3a": "hdfs_layout.s3.store:open_s3",
    },
)
"""Scheme of a URI, in lower case, to what opens the store of a root of that scheme."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
# hdfs:/x is a slip for hdfs://x; taken as a folder it would silently store on the local disk.
_SINGLE_SLASH = re.compile(r"(file|hdfs|webhdfs|swebhdfs|s3|s3a|s3n):/", re.IGNORECASE)


def open_store(root: str) -> Store:
    """Open the store of a root. Touches no file of it yet.

    Parameters
    ----------
    root : str
        A folder's path, ``file:///...``, a folder on HDFS: ``hdfs://...``, ``webhdfs://...``, ``swebhdfs://...``, or a
        place in a bucket of S3: ``s3://...``, ``s3a://...``.

    Raises
    ------
    UsageError
        If the root is empty, of a kind that there is no store for, or a file, or if its store needs a package that is
        not installed.
    """
    scheme = scheme_of(root)
    if scheme == "s3n":
        # not shown: it was usual to write a secret into it
        raise UsageError(
            "expected as root s3://BUCKET/FOLDER; found s3n://, which Hadoop has dropped. Write s3:// instead: the "
            "same files have the same names there."
        )
    if scheme:
        if scheme not in STORES:
            raise UsageError(
                f"expected as root a folder or one of {', '.join(f'{name}://' for name in STORES)}; found "
                f"{root[:200]!a}, for which there is no store in this release. Choose a folder."
            )
        return STORES.get(scheme)(root)
    if not root:
        raise UsageError("expected as root a folder; found nothing. Give `root` or set MR_ML_ROOT.")
    if _SINGLE_SLASH.match(root):
        raise UsageError(f"expected as root a folder or scheme://...; found {root[:200]!a}. Write two slashes.")
    # Imported where it is needed: a store's own dependencies must not be needed to open another one.
    from hdfs_layout.local import open_folder

    return open_folder(os.path.expanduser(root))


def split_uri(uri: str) -> tuple[str, str]:
    """``hdfs://host/a/b`` -> ``hdfs://host/``, ``a/b``: the root of the file system, and the path below it.

    Only in ``file:///a%20b`` are characters of the path escaped.
    """
    scheme, _, rest = uri.partition("://")
    authority, _, path = rest.partition("/")
    if scheme.lower() == "file":
        path = os.fsdecode(urllib.parse.unquote_to_bytes(path))
    return f"{scheme}://{authority}/", path


def path_of(place: str) -> str:
    """Return the path of a URI from the root of its file system on, without scheme and host; a path as it is."""
    return f"/{split_uri(place)[1]}" if scheme_of(place) else place


def scheme_of(place: str) -> str:
    """Return the scheme of a URI with two slashes, in lower case; empty for a path of this machine."""
    scheme, separator, _ = place.partition("://")
    return scheme.lower() if separator and _SCHEME.fullmatch(scheme) else ""
