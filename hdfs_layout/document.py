"""JSON documents with a checksum inside, their seal: manifests of versions, specs of runs.

A document is an object. On disk it is JSON (keys sorted, indented by 2, ASCII only, a newline at the end) with two keys
added: ``format``, the number of this format, and ``sha256``, that of the file's bytes without the line that holds it.
So a person can check one by hand: ``grep -v '^  "sha256": ' v000003.json | sha256sum``.

The seal covers every byte: one flipped bit, a lost tail or an edit leaves a file that does not decode. It is no
signature: anyone who may write the file can seal it again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from hdfs_layout.errors import BadDataError

FORMAT = 1
RESERVED_KEYS = ("format", "sha256")
REMEDY = "restore that file from a copy, or remove it if nothing refers to it"

_UNSEALED = b'\n  "sha256": ""'
# Only top-level keys stand two blanks from the left, and no string holds a newline: so this is that key's line.
_SEAL = re.compile(rb'(?<=\n)  "sha256": "([0-9a-f]{64})",?\n')


def encode_document(document: Mapping[str, Any]) -> bytes:
    """Bytes of a document with its format number and its seal; equal documents give equal bytes.

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
    About 1 s for a million strings.
    """
    taken = [key for key in RESERVED_KEYS if key in document]
    if taken:
        raise ValueError(f"a document cannot have its own {' and '.join(map(repr, taken))}: encoding adds it")
    try:
        text = (
            json.dumps({**document, "format": FORMAT, "sha256": ""}, sort_keys=True, indent=2, allow_nan=False) + "\n"
        )
    except ValueError:
        json.dumps(document)  # raises again if it was not for NaN or infinity
        raise BadDataError(
            "expected finite numbers only in a document; found NaN or infinity, which JSON cannot hold. "
            "A metric or sum has overflowed: look at the run's log."
        ) from None
    before, seal, after = text.encode("ascii").partition(_UNSEALED)
    end = after.index(b"\n") + 1  # after the line's comma, if it has one
    digest = hashlib.sha256(before + b"\n" + after[end:]).hexdigest()
    return before + seal[:-1] + digest.encode("ascii") + b'"' + after


def decode_document(data: bytes, *, where: str, remedy: str = REMEDY) -> dict[str, Any]:
    """Read what `encode_document` wrote, without the two added keys.

    Parameters
    ----------
    data : bytes
        The whole file. Hostile: nothing in it is executed.
    where : str
        The file's address, for messages.
    remedy : str
        What to do about a damaged one.

    Raises
    ------
    BadDataError
        If it is damaged, or of a newer format.
    """

    def damaged(found: str) -> BadDataError:
        return BadDataError(
            f"expected {where} to be a whole document as it was published; found {found}. It was truncated or changed "
            f"since: {remedy}."
        )

    try:
        document = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise damaged(f"{len(data)} bytes that are not JSON ({str(error)[:100]})") from error
    if not isinstance(document, dict):
        raise damaged(f"JSON that is not an object but a {type(document).__name__}")
    number = document.pop("format", None)
    # The number first: a newer format may be sealed in another way.
    if type(number) is not int or number < 1:
        raise damaged("no format number in it")
    if number > FORMAT:
        raise BadDataError(
            f"expected in {where} at most format {FORMAT}, which this release reads; found format {str(number)[:20]}, "
            f"written by a newer release. Upgrade mr_ml to read it."
        )
    seal = _SEAL.search(data)
    if seal is None:
        raise damaged("no checksum in it")
    rest = hashlib.sha256(data[: seal.start()])
    rest.update(data[seal.end() :])
    if not rest.hexdigest() == seal[1].decode("ascii") == document.pop("sha256", None):
        raise damaged(f"{len(data)} bytes that do not match their checksum")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
