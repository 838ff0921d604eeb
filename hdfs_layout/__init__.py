"""Paths, manifests and versions below a root, and the stores that read and write them. See README.md here.

Imports the standard library only. The stores of HDFS and S3 load `requests` and boto3 when they are opened.
"""

from hdfs_layout.document import decode_document, encode_document
from hdfs_layout.errors import AlreadyExistsError, NotFoundError, PerhapsPublishedError, StoreUnavailableError
from hdfs_layout.local import LocalStore
from hdfs_layout.open import STORES, open_store, scheme_of, split_uri
from hdfs_layout.paths import Layout, Reference, check_name, parse_reference, split_path, staged_path
from hdfs_layout.root import Root, open_root
from hdfs_layout.run_log import append_events, read_events
from hdfs_layout.store import Address, Entry, Store, check_store
from hdfs_layout.versions import (
    Version,
    find_version,
    latest_version,
    list_versions,
    mark_removed,
    publish_version,
    publish_version_as,
    publish_version_once,
    read_latest,
    read_version,
    unmark_removed,
)

__all__ = [
    "STORES",
    "Address",
    "AlreadyExistsError",
    "Entry",
    "Layout",
    "LocalStore",
    "NotFoundError",
    "PerhapsPublishedError",
    "Reference",
    "Root",
    "Store",
    "StoreUnavailableError",
    "Version",
    "append_events",
    "check_name",
    "check_store",
    "decode_document",
    "encode_document",
    "find_version",
    "latest_version",
    "list_versions",
    "mark_removed",
    "open_root",
    "open_store",
    "parse_reference",
    "publish_version",
    "publish_version_as",
    "publish_version_once",
    "read_events",
    "read_latest",
    "read_version",
    "scheme_of",
    "split_path",
    "split_uri",
    "staged_path",
    "unmark_removed",
]
