"""Paths, manifests and versions below a root, and the stores that read and write them. See README.md here.

Imports the standard library only. The stores of HDFS and S3 load `requests` and boto3 when they are opened. Nothing is
loaded before it is used: the help of a command line needs none of it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hdfs_layout.document import decode_document as decode_document
    from hdfs_layout.document import encode_document as encode_document
    from hdfs_layout.errors import AlreadyExistsError as AlreadyExistsError
    from hdfs_layout.errors import NotFoundError as NotFoundError
    from hdfs_layout.errors import PerhapsPublishedError as PerhapsPublishedError
    from hdfs_layout.errors import StoreUnavailableError as StoreUnavailableError
    from hdfs_layout.local import LocalStore as LocalStore
    from hdfs_layout.open import STORES as STORES
    from hdfs_layout.open import open_store as open_store
    from hdfs_layout.open import scheme_of as scheme_of
    from hdfs_layout.open import split_uri as split_uri
    from hdfs_layout.paths import Layout as Layout
    from hdfs_layout.paths import Reference as Reference
    from hdfs_layout.paths import check_name as check_name
    from hdfs_layout.paths import parse_reference as parse_reference
    from hdfs_layout.paths import split_path as split_path
    from hdfs_layout.paths import staged_path as staged_path
    from hdfs_layout.root import Root as Root
    from hdfs_layout.root import open_root as open_root
    from hdfs_layout.run_log import append_events as append_events
    from hdfs_layout.run_log import read_events as read_events
    from hdfs_layout.store import Address as Address
    from hdfs_layout.store import Entry as Entry
    from hdfs_layout.store import Store as Store
    from hdfs_layout.store import check_store as check_store
    from hdfs_layout.versions import Version as Version
    from hdfs_layout.versions import find_version as find_version
    from hdfs_layout.versions import latest_version as latest_version
    from hdfs_layout.versions import list_versions as list_versions
    from hdfs_layout.versions import mark_removed as mark_removed
    from hdfs_layout.versions import publish_version as publish_version
    from hdfs_layout.versions import publish_version_as as publish_version_as
    from hdfs_layout.versions import publish_version_once as publish_version_once
    from hdfs_layout.versions import read_latest as read_latest
    from hdfs_layout.versions import read_version as read_version
    from hdfs_layout.versions import unmark_removed as unmark_removed

# Name -> the module that has it.
_PLACES = {
    "Address": "hdfs_layout.store",
    "AlreadyExistsError": "hdfs_layout.errors",
    "Entry": "hdfs_layout.store",
    "Layout": "hdfs_layout.paths",
    "LocalStore": "hdfs_layout.local",
    "NotFoundError": "hdfs_layout.errors",
    "PerhapsPublishedError": "hdfs_layout.errors",
    "Reference": "hdfs_layout.paths",
    "Root": "hdfs_layout.root",
    "STORES": "hdfs_layout.open",
    "Store": "hdfs_layout.store",
    "StoreUnavailableError": "hdfs_layout.errors",
    "Version": "hdfs_layout.versions",
    "append_events": "hdfs_layout.run_log",
    "check_name": "hdfs_layout.paths",
    "check_store": "hdfs_layout.store",
    "decode_document": "hdfs_layout.document",
    "encode_document": "hdfs_layout.document",
    "find_version": "hdfs_layout.versions",
    "latest_version": "hdfs_layout.versions",
    "list_versions": "hdfs_layout.versions",
    "mark_removed": "hdfs_layout.versions",
    "open_root": "hdfs_layout.root",
    "open_store": "hdfs_layout.open",
    "parse_reference": "hdfs_layout.paths",
    "publish_version": "hdfs_layout.versions",
    "publish_version_as": "hdfs_layout.versions",
    "publish_version_once": "hdfs_layout.versions",
    "read_events": "hdfs_layout.run_log",
    "read_latest": "hdfs_layout.versions",
    "read_version": "hdfs_layout.versions",
    "scheme_of": "hdfs_layout.open",
    "split_path": "hdfs_layout.paths",
    "split_uri": "hdfs_layout.open",
    "staged_path": "hdfs_layout.paths",
    "unmark_removed": "hdfs_layout.versions",
}

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


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
