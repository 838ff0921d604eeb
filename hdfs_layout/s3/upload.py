"""Writing an object: whole or not at all, and knowing whether one did it.

S3 shows an object when its last byte is there, never before: after one PUT, or when an upload in parts is *completed*.
A condition (``If-None-Match: *``) holds for the whole of it. A killed writer of parts leaves an upload that nobody
sees and that the bucket's owner pays for, until the bucket's rule AbortIncompleteMultipartUpload removes it.

A request whose answer was lost is repeated by boto, and the second answer speaks of what the first one did: "it exists
already", "there is no such upload". So every writer leaves a name of its own in the object's metadata, and looks
whether that is the one that is there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from hdfs_layout.s3.boto import BotoCoreError, ClientError
from hdfs_layout.s3.errors import code_of

WRITER = "mr-ml-writer"
UNLESS_TAKEN: Mapping[str, str] = {"IfNoneMatch": "*"}
# S3 takes 10,000 parts of at least 5 MiB: with these it is 496 GiB, and the first 16 GiB are in parts of one size.
PART_BYTES = 8 << 20
_PARTS_OF_ONE_SIZE = 2000
# Parts that S3 copies by itself may have 5 GiB.
COPIED_PART_BYTES = 1 << 30

Place = Mapping[str, str]
Send = Callable[[Mapping[str, Any]], str]
"""Sends one part to the upload and number that it is given, and returns its ETag."""


def put(client: Any, place: Place, data: bytes | Iterable[bytes], *, writer: str, **condition: str) -> None:
    """Write an object, in parts if it is large."""
    parts = _parts(data)
    first, second = next(parts, b""), next(parts, None)
    if second is None:
        client.put_object(**place, Body=first, Metadata={WRITER: writer}, **condition)
        return

    def sent(part: bytes) -> Send:
        def send(number: Mapping[str, Any]) -> str:
            return str(client.upload_part(**place, **number, Body=part)["ETag"])

        return send

    def all_sent() -> Iterator[Send]:
        yield sent(first)
        yield sent(second)
        yield from map(sent, parts)

    _put_parts(client, place, all_sent(), writer=writer, **condition)


def put_copy(client: Any, source: Place, size: int, place: Place, *, writer: str, **condition: str) -> None:
    """Write an object with the content of another one, which does not leave S3; not an empty one.

    In parts, because of a copy in one piece not every server heeds the condition.
    """

    def copied(first: int) -> Send:
        last = min(first + COPIED_PART_BYTES, size) - 1

        def send(number: Mapping[str, Any]) -> str:
            answer = client.upload_part_copy(
                **place, **number, CopySource=dict(source), CopySourceRange=f"bytes={first}-{last}"
            )
            return str(answer["CopyPartResult"]["ETag"])

        return send

    _put_parts(client, place, map(copied, range(0, size, COPIED_PART_BYTES)), writer=writer, **condition)


def writer_of(client: Any, place: Place) -> str | None:
    """Say who wrote the object that is there; None if there is none. Empty if it does not say."""
    try:
        return str(client.head_object(**place)["Metadata"].get(WRITER, ""))
    except ClientError as error:
        if code_of(error) not in ("404", "NoSuchKey"):
            raise
        return None


def _put_parts(client: Any, place: Place, parts: Iterable[Send], *, writer: str, **condition: str) -> None:
    upload = client.create_multipart_upload(**place, Metadata={WRITER: writer})["UploadId"]
    try:
        done = [
            {"PartNumber": number, "ETag": send({"UploadId": upload, "PartNumber": number})}
            for number, send in enumerate(parts, 1)
        ]
        client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": done}, **condition)
    except BaseException as error:
        with contextlib.suppress(ClientError, BotoCoreError):
            client.abort_multipart_upload(**place, UploadId=upload)
        is_lost = isinstance(error, ClientError) and code_of(error) == "NoSuchUpload"
        if not (is_lost and writer_of(client, place) == writer):
            raise


def _parts(data: bytes | Iterable[bytes]) -> Iterator[bytes]:
    held, number = bytearray(), 0
    for chunk in (data,) if isinstance(data, bytes | bytearray | memoryview) else data:
        rest = memoryview(chunk)
        while rest:
            room = (PART_BYTES << number // _PARTS_OF_ONE_SIZE) - len(held)
            held += rest[:room]
            if len(rest) < room:
                break
            yield bytes(held)
            held, rest, number = bytearray(), rest[room:], number + 1
    if held:
        yield bytes(held)
