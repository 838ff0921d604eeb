"""Where predictions go: a file or a folder of any store, which appears when it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol

from hdfs_layout import AlreadyExistsError, LocalStore, Store, open_store, scheme_of, staged_path
from hdfs_layout.faults import storage_error
from hdfs_layout.owners import owned, sweep
from hdfs_layout.paths import STAGED_PREFIX, WRITING_PREFIX
from mr_ml.errors import BadDataError, StorageError, UnavailableError, UsageError
from mr_ml.interrupts import uninterrupted
from mr_ml.runners.local.scratch import scratch_folder

_PREFIX = ".predict-"


class Target(Protocol):
    """Where predictions go, within a ``with`` block."""

    @property
    def is_one(self) -> bool:
        """Whether the output for all files of input is one, of the empty name."""

    @property
    def scratch(self) -> str:
        """A folder of this machine for tasks to write to, within the block."""

    def __enter__(self) -> Target: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file of the folder, or, for the empty name, the only one."""

    def publish(self) -> None:
        """Give everything that was written its name."""

    def uri(self, name: str) -> str:
        """Address of a file once it is published."""


class Output:
    """A new file, or a new folder of files. Leaving it without `publish` leaves nothing behind.

    Written under a hidden name beside the target, which is then renamed, see `hdfs_layout.Store.publish_tree`.

    Parameters
    ----------
    to
        A path of this machine, or the URI of a file or folder in a store.

    Raises
    ------
    UsageError
        If something of that name exists, or it can be no name.
    """

    is_one = False

    def __init__(self, to: str) -> None:
        self._to = to
        self._store, self._name = _store_of(to)
        try:
            is_taken = self._store.exists(self._name)
        except BadDataError:
            raise UsageError(f"expected as `to` the name of a new file or folder, found {to!r}") from None
        if is_taken:
            raise self._taken()
        self._staged = staged_path("")
        self.scratch = ""
        """A folder of this machine for tasks to write to, within the block: beside the output if that is here."""

    def __enter__(self) -> Output:
        beside = self._store.local_path("")
        folder = str(scratch_folder(needs_bytes=None)) if beside is None else beside
        self.scratch = os.path.join(folder, owned(_PREFIX))
        try:
            if beside is not None:
                self._store.make_folder("")
                sweep(beside, _PREFIX, STAGED_PREFIX, WRITING_PREFIX)
            os.mkdir(self.scratch, 0o700)
        except OSError as error:
            doing, place = ("write to", folder) if beside is None else ("write beside `to`", self._to)
            raise storage_error(error, doing=doing, place=place) from error
        except StorageError as error:
            raise StorageError(f"cannot write beside `to` {self._to}: {error}") from error
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with uninterrupted():
            if self.scratch:
                shutil.rmtree(self.scratch, ignore_errors=True)
            # gone if it was published; if the store is gone, what led here says more
            with suppress(StorageError, UnavailableError):
                self._store.remove_tree(self._staged)

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file of the folder, or, for the empty name, the only one."""
        self._store.write(f"{self._staged}/{name}" if name else self._staged, chunks)

    def publish(self) -> None:
        """Give everything that was written its name.

        Raises
        ------
        UsageError
            If the name is taken.
        """
        try:
            self._store.publish_tree(self._staged, self._name)
        except AlreadyExistsError:
            raise self._taken() from None

    def uri(self, name: str) -> str:
        """Address of a file once it is published.

        Raises
        ------
        UsageError
            If no file of the store can be called so.
        """
        try:
            return self._store.uri(f"{self._name}/{name}" if name else self._name)
        except BadDataError:
            raise UsageError(
                f"expected input files whose names can be those of outputs, found one that gives {name!r}; rename it"
            ) from None

    def _taken(self) -> UsageError:
        return UsageError(f"`to` {self._to} exists; choose another name or remove it")


def _store_of(to: str) -> tuple[Store, str]:
    """Open the store of the folder in which the output will be, and its name there."""
    if not scheme_of(to):
        # tasks run in folders of their own
        target = Path(to).absolute()
        return LocalStore(str(target.parent)), target.name
    folder, _, name = to.rstrip("/").rpartition("/")
    if not name or not folder.partition("://")[2]:
        raise UsageError(f"expected as `to` a new file or folder, such as hdfs:///user/me/predictions; found {to!r}")
    return open_store(folder), name
