"""The one binary container: a JSON header and named arrays, versioned, checksummed, safe to read.

Blocks, statistics, queries and checkpoints are all stored as frames.

    magic "MRML" | version u8 | 0 0 0 | header length u32 | header (UTF-8 JSON) | arrays | crc32 u32

Every part starts at a multiple of 8 bytes (so arrays can be used in place) and the whole is a multiple of 24
bytes, so that its base64 text has no padding and every character of the text is covered by the checksum.
"""

from __future__ import annotations

import binascii
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import kernels
from mr_ml.errors import BadDataError

try:  # several times the speed of the standard library where it is installed; the same text either way
    import pybase64
except ImportError:  # bare nodes
    pybase64 = None  # type: ignore[assignment]

MAGIC = b"MRML"
VERSION = 1
_PREFIX = struct.Struct("<4sB3xI")
_DTYPES = frozenset({"|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8"})
_ALIGN = 8
_WHOLE = 24
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)

Array = NDArray[Any]


@dataclass(frozen=True)
class Frame:
    """A decoded frame; `arrays` are read-only views of the bytes that it was decoded from."""

    kind: str
    meta: Mapping[str, Any]
    arrays: Mapping[str, Array]
    crc: int


def encode(kind: str, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Return the frame's bytes: a pure function of its contents (no clock, no padding garbage).

    Raises
    ------
    ValueError
        If an array has a dtype that frames do not carry or `meta` holds NaN or infinity.
    """
    listed = []
    parts: list[Any] = []
    for name, given in arrays.items():
        array = np.ascontiguousarray(given).reshape(np.shape(given))
        dtype = array.dtype.newbyteorder("<").str
        if dtype not in _DTYPES:
            raise ValueError(f"frame array {name!r}: dtype {array.dtype} is not one of {sorted(_DTYPES)}")
        # a view: an array may be as large as a model of millions of features
        data = array.astype(dtype, copy=False).reshape(-1).view(np.uint8)
        listed.append([name, dtype, list(array.shape)])
        parts.append(data)
        parts.append(bytes(-len(data) % _ALIGN))
    header = _JSON.encode({"kind": kind, "meta": meta, "arrays": listed}).encode()
    start = _PREFIX.pack(MAGIC, VERSION, len(header)) + header
    parts.insert(0, start + bytes(-len(start) % _ALIGN))
    size = sum(map(len, parts)) + 4
    parts.append(bytes(-size % _WHOLE))
    crc = 0
    for part in parts:
        crc = kernels.crc32(part, crc)
    parts.append(struct.pack("<I", crc))
    return b"".join(parts)


def crc_of(data: bytes) -> int:
    """Return the checksum that an encoded frame carries, without comparing it with the bytes."""
    return int.from_bytes(data[-4:], "little")


def decode(data: bytes | memoryview, *, kind: str | tuple[str, ...], where: str) -> Frame:
    """Check and open a frame.

    Parameters
    ----------
    data
        The bytes that `encode` returned, which nobody may change while the arrays are used.
    kind
        The kind, or one of the kinds, that the caller expects.
    where
        Named in the error: a file, or partition and block.

    Raises
    ------
    BadDataError
        If the bytes are not exactly one undamaged frame of this kind and a known version.
    """
    if len(data) < _WHOLE or data[:4] != MAGIC:
        raise BadDataError(f"{where}: expected a frame that starts with {MAGIC!r}, found {len(data)} other bytes")
    _, version, header_size = _PREFIX.unpack_from(data)
    if version != VERSION:
        raise BadDataError(
            f"{where}: format version {version}, this mr_ml reads version {VERSION}; use the mr_ml that wrote it"
        )
    crc = kernels.crc32(memoryview(data)[:-4])
    if crc != struct.unpack_from("<I", data, len(data) - 4)[0]:
        raise BadDataError(f"{where}: checksum mismatch: the bytes changed after they were written")
    try:
        header = json.loads(bytes(data[_PREFIX.size : _PREFIX.size + header_size]))
        stored_kind, meta, listed = header["kind"], header["meta"], header["arrays"]
        at = _PREFIX.size + header_size
        padding = [data[5:8]]
        arrays: dict[str, Array] = {}
        for name, dtype, shape in listed:
            padding.append(data[at : at + (-at % _ALIGN)])
            at += -at % _ALIGN
            # before it is multiplied: the product of a number and a text is that many texts
            sound = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
            if not sound or dtype not in _DTYPES or not isinstance(name, str) or name in arrays:
                raise ValueError(f"array {name!r} has dtype {dtype!r} and shape {shape!r}")
            count = math.prod(shape)
            array = np.frombuffer(data, dtype, count, at).reshape(shape) if count else np.empty(shape, dtype)
            arrays[name] = array
            at += array.nbytes
        end = at + (-at % _ALIGN)
        end += 4 + (-(end + 4) % _WHOLE)
        if end != len(data):
            raise ValueError(f"{len(data)} bytes instead of {end}")
        if any(map(any, (*padding, data[at:-4]))):
            raise ValueError("padding that is not zero")
        if not isinstance(meta, dict):
            raise ValueError(f"meta is {type(meta).__name__}, not an object")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BadDataError(f"{where}: malformed frame: {error}") from error
    expected = (kind,) if isinstance(kind, str) else kind
    if stored_kind not in expected:
        raise BadDataError(
            f"{where}: expected a frame of kind {' or '.join(map(repr, expected))}, found {stored_kind!r}"
        )
    return Frame(stored_kind, meta, arrays, crc)


def to_text(data: bytes) -> bytes:
    """Return `data` as one line's worth of base64, no newline."""
    if pybase64 is not None:
        return bytes(pybase64.b64encode(data))
    return binascii.b2a_base64(data, newline=False)


def from_text(text: bytes | memoryview, *, where: str) -> bytes:
    """Undo `to_text`; refuses anything but strict base64.

    Raises
    ------
    BadDataError
        If the text is not strict base64.
    """
    try:
        if pybase64 is not None:
            return bytes(pybase64.b64decode(text, validate=True))
        data = binascii.a2b_base64(text, strict_mode=True)
        # even in its strict mode the standard library lets needless padding pass
        if len(text) != -(-len(data) // 3) * 4:
            raise ValueError(f"{len(text)} characters for {len(data)} bytes")
        return data
    except (binascii.Error, ValueError) as error:
        raise BadDataError(f"{where}: not base64 text: {error}") from error
