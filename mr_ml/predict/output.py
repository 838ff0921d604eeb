"""Where predictions go: a file or a folder, on this machine or on HDFS, which appears when it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol

from hdfs_layout import AlreadyExistsError, staged_path
from hdfs_layout.faults import storage_error
from hdfs_layout.owners import owned, sweep
from mr_ml.errors import StorageError, UnavailableError, UsageError
from mr_ml.interrupts import uninterrupted

_PREFIX = ".predict-"
REMOTE = ("hdfs://", "webhdfs://", "swebhdfs://")


class Output(Protocol):
    """A new file, or a new folder of files. Leaving it without `publish` leaves nothing behind."""

    @property
    def scratch(self) -> str:
        """A folder of this machine beside the output, for tasks to write to; empty if there is none."""

    def __enter__(self) -> Output: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file of the folder, or, for the empty name, the only one."""

    def publish(self) -> None:
        """Give everything that was written its name.

        Raises
        ------
        UsageError
            If the name is taken.
        """

    def uri(self, name: str) -> str:
        """Address of a file once it is published."""


def open_output(to: str) -> Output:
    """The output that a path or a URI names.

    Raises
    ------
    UsageError
        If something of that name exists.
    """
    return HdfsOutput(to) if to.startswith(REMOTE) else LocalOutput(to)


def _taken(to: str) -> UsageError:
    return UsageError(f"--to {to} exists; choose another name or remove it")


class LocalOutput:
    """On this machine: written into a hidden folder beside the target, then renamed."""

    def __init__(self, to: str) -> None:
        self._to = to
        # tasks run in folders of their own
        self._target = Path(to).absolute()
        if os.path.lexists(self._target):
            raise _taken(to)
        self._folder = str(self._target.parent / owned(_PREFIX))
        self._whole = Path(self._folder) / "whole"

    @property
    def scratch(self) -> str:
        return self._folder

    def __enter__(self) -> LocalOutput:
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            sweep(self._target.parent, _PREFIX)
            os.mkdir(self._folder, 0o700)
        except OSError as error:
            raise storage_error(error, doing="write beside --to", place=self._to) from error
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with uninterrupted():
            shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        target = self._whole / name if name else self._whole
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                for chunk in chunks:
                    out.write(chunk)
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def publish(self) -> None:
        try:
            if self._whole.is_dir():
                # replaces an empty folder at most
                self._whole.rename(self._target)
            else:
                self._publish_file()
        except OSError as error:
            if os.path.lexists(self._target):
                raise _taken(self._to) from None
            raise self._failed(error) from error

    def _publish_file(self) -> None:
        try:
            os.link(self._whole, self._target)
        except OSError:
            # some file systems have no hard links; a rename would replace a file
            if os.path.lexists(self._target):
                raise
            self._whole.rename(self._target)

    def uri(self, name: str) -> str:
        return str(self._target / name) if name else str(self._target)

    def _failed(self, error: OSError) -> StorageError:
        return storage_error(error, doing="write --to", place=self._to)


class HdfsOutput:
    """On HDFS: written under a hidden name beside the target, then renamed in one operation of the NameNode."""

    scratch = ""

    def __init__(self, to: str) -> None:
        self._to = to
        folder, _, self._name = to.rstrip("/").rpartition("/")
        if not self._name or not folder.startswith(REMOTE):
            raise UsageError(
                f"expected as --to a new file or folder, such as hdfs:///user/me/predictions; found {to!r}"
            )
        # what it needs is not needed on a machine without a cluster
        from hdfs_layout.hdfs.store import open_hdfs

        self._store = open_hdfs(folder)
        if self._store.exists(self._name):
            raise _taken(to)
        self._staged = staged_path("")
        self._is_folder = False

    def __enter__(self) -> HdfsOutput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # gone if it was published; if HDFS is gone, what led here says more
        with suppress(StorageError, UnavailableError):
            self._store.remove_tree(self._staged)

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        self._is_folder = bool(name)
        self._store.write(f"{self._staged}/{name}" if name else self._staged, chunks)

    def publish(self) -> None:
        try:
            if self._is_folder:
                self._store.publish_folder(self._staged, self._name)
            else:
                self._store.publish(self._staged, self._name)
        except AlreadyExistsError:
            raise _taken(self._to) from None

    def uri(self, name: str) -> str:
        return self._store.uri(f"{self._name}/{name}" if name else self._name)
