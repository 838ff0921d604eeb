"""The store of a place in a bucket of S3, or of what speaks its protocol.

There are no folders: a path is a key, and a folder is what keys have in common before a ``/``. An object of which the
key ends with ``/`` is what Hadoop's s3a and the AWS console leave where they were asked for an empty folder: no file.

Publish: one conditional PUT (``If-None-Match: *``) of what was staged, for S3 has no rename; a large file is copied
within S3 and the upload is completed on that condition. Never CopyObject: not every server heeds its condition.
Who is told that the name is taken looks who took it, see `upload`.

Publish of a tree, which S3 cannot do in one step: see `S3Store.publish_tree`.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from hdfs_layout.dataclass import dataclass
from hdfs_layout.errors import BadDataError, NotFoundError, StorageError, UsageError, taken
from hdfs_layout.paths import HIDDEN, PUBLISHING, join, split_path
from hdfs_layout.s3.boto import ClientError
from hdfs_layout.s3.client import authorities, client, signer
from hdfs_layout.s3.download import Download
from hdfs_layout.s3.errors import TRANSIENT, code_of, errors, refused, unanswered
from hdfs_layout.s3.upload import COPIED_PART_BYTES, PART_BYTES, UNLESS_TAKEN, Place, put, put_copy, writer_of
from hdfs_layout.store import Address, Entry

# A task reads what it is told to as soon as it has done what it was told before.
ADDRESS_SECONDS = 900
# Of all of a file: its reader may wait for a cluster to start, and for others' jobs there.
FILE_ADDRESS_SECONDS = 12 * 3600
_READ_BUFFER_BYTES = 1 << 20
_DELETED_AT_ONCE = 1000
_COPIES_AT_ONCE = 8
_ATTEMPTS = 8
_FIRST_DELAY_SECONDS = 0.05
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII)
_TAKEN = ("412", "PreconditionFailed")
# Somebody else is just about it: then one of us has it in a moment.
_CONFLICT = ("ConditionalRequestConflict", "OperationAborted")


def open_s3(root: str) -> S3Store:
    """Open ``s3://bucket/folder`` or ``s3a://...``, which here is the same; whom to ask, and as whom, see `client`.

    The path is taken as it stands, as ``aws s3`` does: ``%20`` is not a blank. Asks for nothing yet.

    Raises
    ------
    UsageError
        If the root or the settings of AWS are not understood, or boto3 is not installed.
    """
    scheme, _, rest = root.partition("://")
    bucket, _, folder = rest.partition("/")
    if "@" in bucket or ":" in bucket:
        # there is a time-honoured way to write a secret here
        raise UsageError(
            f"expected as root {scheme.lower()}://BUCKET/FOLDER; found a ':' or '@' in the bucket's name. Give "
            f"credentials by AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and a server by "
            f"AWS_ENDPOINT_URL_S3."
        )
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(
            f"expected as root {scheme.lower()}://BUCKET/FOLDER; found {root[:200]!a}. Choose another `root`."
        )
    names = [name for name in folder.split("/") if name]
    try:
        split_path("/".join(names)), "/".join(names).encode("utf-8")
    except (BadDataError, UnicodeEncodeError):
        raise UsageError(
            f"expected as root a place on S3 without '.', '..' and control characters; found {root[:200]!a}. "
            f"Choose another `root`."
        ) from None
    store = S3Store(root="/".join([f"{scheme.lower()}://{bucket}", *names]))
    with store.errors("open", ""):
        client("s3")
    return store


@dataclass(frozen=True, kw_only=True)
class S3Store:
    """Files below a place in a bucket; see `hdfs_layout.store.Store` for what each method promises.

    Attributes
    ----------
    root : str
        ``s3://bucket/folder``. The bucket must be there, the folder need not.
    """

    root: str

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.root.split("/")[2]

    def read(self, path: str) -> bytes:
        """See `Store.read`."""
        return self._content(path)

    def read_range(self, path: str, *, offset: int, length: int) -> bytes:
        """See `Store.read_range`."""
        if offset < 0 or length < 0:
            raise BadDataError(f"expected an offset and a length >= 0 in {path!r}; found {offset} and {length}.")
        if not length:
            self.size(path)
            return b""
        return self._content(path, first=offset, last=offset + length - 1)

    def open_read(self, path: str) -> BinaryIO:
        """See `Store.open_read`. Cannot seek."""
        with self.errors("read", path):
            return io.BufferedReader(self._download(path), _READ_BUFFER_BYTES)

    def write(self, path: str, data: bytes | Iterable[bytes], *, private: bool = False) -> None:
        """See `Store.write`. Holds 8 MiB at a time of what is larger, 16 GiB and more: up to 128 MiB.

        A killed writer leaves no file, but parts of one that nobody sees; see `upload`.
        """
        place = self._place(path)
        with self.errors("write", path):
            put(client("s3"), place, data, writer=uuid.uuid4().hex)

    def exists(self, path: str) -> bool:
        """See `Store.exists`. A folder exists if any key is below it."""
        return self.status(path) is not None

    def status(self, path: str) -> Entry | None:
        """See `Store.status`. Of a name that a file and a folder have: the file."""
        name = path.rpartition("/")[2]
        with self.errors("look for", path):
            with contextlib.suppress(NotFoundError):
                if path:
                    found = self._head(path)
                    return Entry(name, False, found["ContentLength"], found["LastModified"].timestamp())
            is_folder = next(self._pages(self._prefix(path), MaxKeys=1)).get("KeyCount")
        return Entry(name, True, 0, 0.0) if is_folder else None

    def size(self, path: str) -> int:
        """See `Store.size`."""
        return int(self._head(path)["ContentLength"])

    def checksum(self, path: str) -> str:
        """See `Store.checksum`. Made of the ETag, which S3 gives each content: no content is sent here."""
        etag = self._head(path)["ETag"].strip('"')
        return f"etag:{etag.encode().hex()}"

    def list(self, path: str) -> tuple[str, ...]:
        """See `Store.list`."""
        return tuple(sorted({entry.name for entry in self.entries(path)}))

    def entries(self, path: str, *, hidden: bool = False) -> tuple[Entry, ...]:
        """See `Store.entries`. A name that a file and a folder have is there twice; the time of a folder is 0."""
        prefix, found, is_there = self._prefix(path), [], False
        with self.errors("list", path):
            for page in self._pages(prefix, Delimiter="/"):
                for item in page.get("Contents", ()):
                    name = item["Key"][len(prefix) :]
                    found.append(Entry(name, False, item["Size"], item["LastModified"].timestamp()))
                for item in page.get("CommonPrefixes", ()):
                    found.append(Entry(item["Prefix"][len(prefix) : -1], True, 0, 0.0))
                is_there |= bool(page.get("KeyCount"))
        if not is_there:
            raise self._missing("list", path)
        # without a name: the mark of an empty folder
        return tuple(sorted(entry for entry in found if entry.name and (hidden or not entry.name.startswith(HIDDEN))))

    def walk(self, path: str) -> tuple[str, ...]:
        """See `Store.walk`."""
        names = (name for name, _ in self._files_below(path, doing="list") if f"/{HIDDEN}" not in f"/{name}")
        return tuple(sorted(join(path, name) for name in names))

    def make_folder(self, path: str) -> None:
        """See `Store.make_folder`. Does nothing."""
        self._prefix(path)

    def publish(self, staged: str, target: str) -> None:
        """See `Store.publish`. One conditional PUT, and the removal of what was staged."""
        send = self._sender(staged, self._place(target))
        with self.errors("publish", target):
            self._send_unless_taken(target, send)
        with contextlib.suppress(StorageError):
            self.remove(staged)

    def publish_tree(self, staged: str, target: str) -> None:
        """See `Store.publish_tree`. One step for a file; for a folder as many as it has files.

        S3 cannot give a folder its name in one step. The hidden file ``.publishing`` takes the target's name for this
        publisher, on condition that nobody has it; then S3 copies the files, of which those whose names begin with
        ``_`` come last (Hadoop's ``_SUCCESS``); then ``.publishing`` goes. So two never publish into one folder, and
        who lists hidden names can tell a folder that is not whole. Who reads it without looking may see the first
        files alone for as long as that takes. When it fails, what was copied is removed; when that fails too, or it is
        killed, ``.publishing`` stays, and so does the refusal of the name, until somebody removes the folder.
        """
        self._place(staged), self._place(target)
        try:
            self.size(staged)
        except NotFoundError:
            self._publish_folder(staged, target)
        else:
            self._expect_free(target)
            self.publish(staged, target)

    def remove(self, path: str) -> None:
        """See `Store.remove`."""
        place = self._place(path)
        with contextlib.suppress(NotFoundError), self.errors("remove", path):
            client("s3").delete_object(**place)

    def remove_tree(self, path: str) -> None:
        """See `Store.remove_tree`."""
        below = (key for key, _ in self._objects(path, doing="remove"))
        self._remove_keys(itertools.chain([self._place(path)["Key"]], below), path)

    def local_path(self, path: str) -> str | None:
        """See `Store.local_path`."""
        self._prefix(path)
        return None

    def addresses(self, path: str, *, offset: int = 0, length: int | None = None) -> tuple[Address, ...]:
        """See `Store.addresses`; one, signed by who asks, for a GET of this range within `ADDRESS_SECONDS`.

        That of all of a file is for `FILE_ADDRESS_SECONDS`. Either ends earlier where the credentials do.
        """
        headers = {} if length is None else {"Range": f"bytes={offset}-{offset + length - 1}"}
        place = self._place(path)
        seconds = FILE_ADDRESS_SECONDS if length is None else ADDRESS_SECONDS
        with self.errors("make an address of", path):
            url = signer(self.bucket).generate_presigned_url(
                "get_object", Params={**place, **headers}, ExpiresIn=seconds
            )
        # of a file that is signed without a range, any may be asked for
        parts = {"Range": "bytes={offset}-{last}"} if length is None else {}
        return (Address(url=url, headers=headers, proxies=True, authorities=authorities(), part_headers=parts),)

    def uri(self, path: str) -> str:
        """See `Store.uri`. Spelled as ``aws s3`` and ``hadoop fs`` take it, with nothing escaped."""
        self._prefix(path)
        return f"{self.root}/{path}" if path else self.root

    @contextlib.contextmanager
    def errors(self, doing: str, path: str) -> Iterator[None]:
        """Raise a `StorageError` instead of what botocore raises."""
        with errors(doing, self.uri(path), bucket=self.bucket):
            try:
                yield
            except ClientError as error:
                if error.operation_name == "HeadObject":
                    # an answer without words: 404 may mean the bucket, 403 and 400 anything
                    client("s3").list_objects_v2(Bucket=self.bucket, Prefix=self._place(path)["Key"], MaxKeys=1)
                raise

    def _prefix(self, path: str) -> str:
        """Return what the keys of everything below begin with."""
        names = split_path(path)
        try:
            "".join(names).encode("utf-8")
        except UnicodeEncodeError:
            raise BadDataError(f"expected a path below the root that is UTF-8; found {path[:200]!a}.") from None
        return "".join(f"{name}/" for name in (*self.root.split("/")[3:], *names))

    def _place(self, path: str) -> Place:
        """Bucket and key of a file."""
        if not path:
            raise BadDataError("expected a path below the root; found the root itself, which is no file.")
        return {"Bucket": self.bucket, "Key": self._prefix(path)[:-1]}

    def _head(self, path: str) -> dict[str, Any]:
        place = self._place(path)
        with self.errors("look for", path):
            found: dict[str, Any] = client("s3").head_object(**place)
            return found

    def _pages(self, prefix: str, **options: Any) -> Iterator[dict[str, Any]]:
        pages = client("s3").get_paginator("list_objects_v2")
        return iter(pages.paginate(Bucket=self.bucket, Prefix=prefix, **options))

    def _objects(self, path: str, *, doing: str) -> Iterator[tuple[str, int]]:
        """Key and size of everything below."""
        with self.errors(doing, path):
            for page in self._pages(self._prefix(path)):
                for item in page.get("Contents", ()):
                    yield item["Key"], item["Size"]

    def _files_below(self, path: str, *, doing: str) -> tuple[tuple[str, int], ...]:
        """Name, from the folder, and size of all files below, hidden ones too."""
        start = len(self._prefix(path))
        found = [(key[start:], size) for key, size in self._objects(path, doing=doing)]
        if not found:
            raise self._missing(doing, path)
        # else it is the mark of an empty folder, or no name of ours
        return tuple((name, size) for name, size in found if all(name.split("/")))

    def _missing(self, doing: str, path: str) -> NotFoundError:
        return NotFoundError(
            f"could not {doing} {self.uri(path)!r}: found no such file or folder. Check the name and `root`, and "
            f"whether it was removed."
        )

    def _download(self, path: str, *, first: int = 0, last: int | None = None) -> Download:
        place = self._place(path)

        def get(**options: str) -> Mapping[str, Any]:
            answer: Mapping[str, Any] = client("s3").get_object(**place, **options)
            return answer

        return Download(get, first=first, last=last)

    def _content(self, path: str, *, first: int = 0, last: int | None = None) -> bytes:
        with self.errors("read", path):
            try:
                download = self._download(path, first=first, last=last)
            except ClientError as error:
                if code_of(error) not in ("416", "InvalidRange"):
                    raise
                return b""
            return self._all_of(download, path)

    def _all_of(self, download: Download, path: str) -> bytes:
        with download:
            try:
                return download.readall()
            except OSError as error:
                raise unanswered(error, f"could not read {self.uri(path)!r}") from error

    def _sender(self, staged: str, place: Place) -> Callable[[str], None]:
        """Return what gives a place the staged file's content, in the name of a writer, unless it is taken."""
        with self.errors("publish", staged):
            download = self._download(staged)
            if download.size <= PART_BYTES:
                body = self._all_of(download, staged)
                return lambda writer: put(client("s3"), place, body, writer=writer, **UNLESS_TAKEN)
            download.close()
        source, size = self._place(staged), download.size
        return lambda writer: put_copy(client("s3"), source, size, place, writer=writer, **UNLESS_TAKEN)

    def _send_unless_taken(self, target: str, send: Callable[[str], None]) -> None:
        place, writer = self._place(target), uuid.uuid4().hex
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_FIRST_DELAY_SECONDS * 2 ** (attempt - 1))
            try:
                return send(writer)
            except ClientError as error:
                refusal = error
            if code_of(refusal) in _TAKEN:
                # perhaps by us: boto repeats a request whose answer was lost
                there = writer_of(client("s3"), place)
                if there == writer:
                    return None
                if there is not None:
                    raise taken(self.uri(target)) from refusal
            elif code_of(refusal) not in _CONFLICT:
                raise refusal
        raise refusal

    def _expect_free(self, target: str, *, but: str = "") -> None:
        """Raise `AlreadyExistsError` if a file or folder has the name, other than by the key `but`."""
        with contextlib.suppress(NotFoundError):
            self.size(target)
            raise taken(self.uri(target))
        if any(key != but for key, _ in self._objects(target, doing="publish")):
            raise taken(self.uri(target))

    def _publish_folder(self, staged: str, target: str) -> None:
        files = self._files_below(staged, doing="publish")
        self._expect_free(target)
        claim = self._place(join(target, PUBLISHING))
        with self.errors("publish", target):
            self._send_unless_taken(
                join(target, PUBLISHING), lambda writer: put(client("s3"), claim, b"", writer=writer, **UNLESS_TAKEN)
            )
        copied: list[str] = []
        try:
            # Whoever published a moment ago has given up its claim already.
            self._expect_free(target, but=claim["Key"])
            copied = [self._place(join(target, name))["Key"] for name, _ in files]
            self._copy_files(staged, target, files)
        except BaseException:
            # The claim last: while it is there nobody takes what is left for whole.
            with contextlib.suppress(StorageError):
                self._remove_keys(copied, target)
                self.remove(join(target, PUBLISHING))
            raise
        self.remove(join(target, PUBLISHING))
        with contextlib.suppress(StorageError):
            self.remove_tree(staged)

    def _copy_files(self, staged: str, target: str, files: tuple[tuple[str, int], ...]) -> None:
        def copy(file: tuple[str, int]) -> None:
            self._copy(join(staged, file[0]), join(target, file[0]), file[1])

        last = [file for file in files if file[0].rpartition("/")[2].startswith("_")]
        with ThreadPoolExecutor(_COPIES_AT_ONCE) as pool:
            try:
                for _ in pool.map(copy, [file for file in files if file not in last]):
                    pass
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        for file in last:
            copy(file)

    def _copy(self, staged: str, target: str, size: int) -> None:
        source, place = self._place(staged), self._place(target)
        with self.errors("publish", target):
            if size <= COPIED_PART_BYTES:
                # without a condition: the folder is ours
                client("s3").copy_object(**place, CopySource=dict(source))
            else:
                put_copy(client("s3"), source, size, place, writer=uuid.uuid4().hex)

    def _remove_keys(self, keys: Iterable[str], path: str) -> None:
        rest = iter(keys)
        while batch := list(itertools.islice(rest, _DELETED_AT_ONCE)):
            self._remove_batch(batch, path)

    def _remove_batch(self, keys: Sequence[str], path: str) -> None:
        for attempt in range(_ATTEMPTS):
            with self.errors("remove", path):
                answer = client("s3").delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
                )
            # 200, and yet not removed
            failed = [error for error in answer.get("Errors", ()) if error.get("Code") != "NoSuchKey"]
            lasting = [error for error in failed if error.get("Code") not in TRANSIENT]
            if not failed:
                return
            if lasting or attempt + 1 == _ATTEMPTS:
                first = (lasting or failed)[0]
                raise refused(
                    ClientError(
                        {"Error": {"Code": first.get("Code", ""), "Message": first.get("Message", "")}}, "DeleteObjects"
                    ),
                    f"could not remove {self.uri(path)!r}",
                    bucket=self.bucket,
                )
            keys = [error["Key"] for error in failed]
            time.sleep(_FIRST_DELAY_SECONDS * 2**attempt)
