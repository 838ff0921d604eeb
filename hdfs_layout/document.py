"""JSON documents that prove themselves whole: manifests of versions, specs of runs.

A document is an object. On disk it is canonical JSON (keys sorted, indented by 2, ASCII only, a newline at the end)
with two keys added: ``format``, the number of this format, and ``sha256``, that of the file's bytes without the line
that holds it. So a person can check one by hand: ``grep -v '^  "sha256": ' v000003.json | sha256sum``.

There is exactly one way to write a document, hence any change whatsoever, be it a flipped bit, a lost tail or an edit,
leaves a file that does not decode.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mr_ml.errors import BadDataError

FORMAT = 1
RESERVED_KEYS = ("format", "sha256")

_DIGEST_LINE = b'  "sha256": '


def encode_document(document: Mapping[str, Any]) -> bytes:
    """Canonical bytes of a document, with its format number and its checksum.

    Parameters
    ----------
    document : mapping
        Strings to whatever JSON holds; tuples become lists. Without the reserved keys ``format`` and ``sha256``.

    Raises
    ------
    BadDataError
        If it holds NaN or infinity.
    TypeError, ValueError
        If it holds something else that JSON has no word for, or a reserved key: a defect of the caller.

    Notes
    -----
    ``decode_document(encode_document(document)) == document`` if keys are strings and sequences are lists.
    """
    taken = [key for key in RESERVED_KEYS if key in document]
    if taken:
        raise ValueError(
            f"a document cannot have its own {' and '.join(map(repr, taken))}: the store of documents adds it"
        )
    # Through JSON and back: keys that are numbers become strings before they are sorted, as a reader will sort them.
    envelope = {**json.loads(_canonical(document)), "format": FORMAT, "sha256": ""}
    digest = _digest(_canonical(envelope))
    return _canonical({**envelope, "sha256": digest})


def decode_document(data: bytes, *, where: str) -> dict[str, Any]:
    """Read what `encode_document` wrote, without the two added keys.

    Parameters
    ----------
    data : bytes
        The whole file. Hostile: nothing in it is executed, and only the exact output of `encode_document` passes.
    where : str
        The file's address, for messages.

    Raises
    ------
    BadDataError
        If it is damaged, or of a newer format.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(where, f"{len(data)} bytes that are not JSON ({str(error)[:100]})") from error
    if not isinstance(found, dict):
        raise _damaged(where, f"JSON that is not an object but a {type(found).__name__}")
    number = found.get("format")
    if not isinstance(number, int) or number < 1:
        raise _damaged(where, f"the format number {ascii(number)[:50]}")
    if number > FORMAT:
        raise BadDataError(
            f"expected in {where} at most format {FORMAT}, which this release reads; found format {number}, written by "
            f"a newer release. Upgrade mr_ml to read it."
        )
    document = {key: value for key, value in found.items() if key not in RESERVED_KEYS}
    try:
        whole = encode_document(document) == data
    except (BadDataError, ValueError, RecursionError) as error:
        raise _damaged(where, f"values that are never written ({str(error)[:100]})") from error
    if not whole:
        raise _damaged(where, f"{len(data)} bytes that its checksum or its canonical form does not match")
    return document


def _canonical(document: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(document, sort_keys=True, indent=2, allow_nan=False).encode("ascii") + b"\n"
    except ValueError:
        json.dumps(document)  # raises again if it was not for NaN or infinity
        raise BadDataError(
            "expected finite numbers only in a document; found NaN or infinity, which JSON cannot hold. "
            "A metric or sum has overflowed: look at the run's log."
        ) from None


def _digest(data: bytes) -> str:
    lines = data.splitlines(keepends=True)
    return hashlib.sha256(b"".join(line for line in lines if not line.startswith(_DIGEST_LINE))).hexdigest()


def _damaged(where: str, found: str) -> BadDataError:
    return BadDataError(
        f"expected {where} to be a whole document as it was published; found {found}. It was truncated or changed "
        f"since: restore that file from a copy, or remove it if nothing refers to it."
    )
