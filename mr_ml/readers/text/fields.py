"""Fields of a text as 64-bit words: the vectorised primitives that both readers stand on.

A field is a half-open byte range [start, end) of a uint8 buffer. Its bytes are gathered eight at a time as
little-endian words that *end* where the field ends, so that the last character is always the most significant byte and
whatever precedes the field can be shifted out.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

_HASHED_BY_WORDS = 256
_GATHER_BYTES = 4 << 20


def words_of(buffer: U8) -> U64:
    """View a buffer as its overlapping 8-byte words: element i holds bytes i to i + 7, little-endian.

    Returns
    -------
    uint64, shape (max(len(buffer) - 7, 1),)
        Unaligned and read-only by intent: index it with integer arrays (`take` would copy it whole). A buffer of less
        than eight bytes is padded by zeros behind.
    """
    if len(buffer) < 8:
        buffer = np.concatenate([buffer, np.zeros(8 - len(buffer), np.uint8)])
    buffer = np.ascontiguousarray(buffer)
    return np.ndarray((len(buffer) - 7,), dtype="<u8", buffer=buffer.data, strides=(1,))


def words_ending_at(words: U64, ends: I64) -> U64:
    """Gather the eight bytes before each of `ends`; bytes before the buffer's start read as zero.

    Parameters
    ----------
    words : uint64
        From `words_of`.
    ends : int64, shape (k,)
        0 <= end <= length of the buffer; may be negative, which reads as zeros.
    """
    first = ends - 8
    if len(first) == 0 or first.min() >= 0:
        gathered: U64 = words[first]
        return gathered
    missing = np.minimum(np.maximum(-first, 0), 8).astype(np.uint64)
    gathered = words[np.maximum(first, 0)] << (missing * np.uint64(8))
    return gathered


def gather(buffer: U8, starts: I64, ends: I64, *, width: int) -> U8:
    """Copy fields into the rows of a matrix, padded with NUL on the right.

    Parameters
    ----------
    width : int
        At least the longest field's length.

    Returns
    -------
    uint8, shape (k, width)
    """
    columns = np.arange(width)
    positions = starts[:, None] + columns
    inside = positions < ends[:, None]
    np.minimum(positions, max(len(buffer) - 1, 0), out=positions)
    matrix: U8 = np.where(inside, buffer[positions], np.uint8(0)) if len(buffer) else np.zeros(inside.shape, np.uint8)
    return matrix


def batches_by_width(lengths: I64) -> list[tuple[int, NDArray[np.intp]]]:
    """Group fields so that a matrix of each group wastes less than half of its room and takes a few MB at most.

    Returns
    -------
    list of (width, field numbers)
        Every field once; width is a power of two, 8 at least. One field longer than the room is a group of its own.
    """
    batches = []
    width, shorter = 8, -1
    longest = int(lengths.max(initial=0))
    while shorter < longest:
        chosen = np.flatnonzero((lengths > shorter) & (lengths <= width))
        step = max(1, _GATHER_BYTES // width)
        batches += [(width, chosen[i : i + step]) for i in range(0, len(chosen), step)]
        width, shorter = width * 2, width
    return batches


def hash_fields(buffer: U8, starts: I64, ends: I64) -> U64:
    """Hash the bytes of each field to 64 bits; equal bytes give equal hashes on every machine and in every version.

    Returns
    -------
    uint64, shape (k,)

    Notes
    -----
    Words are mixed in by the finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
    generators"). Fields above 256 bytes go through BLAKE2b one at a time. Not a defence against somebody who searches
    for collisions: two groups that collide stay together in a split, which harms nobody.
    """
    lengths = ends - starts
    words = words_of(buffer)
    hashes = mixed(lengths.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    short = np.flatnonzero(lengths <= _HASHED_BY_WORDS)
    rest = lengths[short]
    end = ends[short]
    active = short
    while len(active):
        word = words_ending_at(words, end) >> ((8 - np.minimum(rest, 8)) * 8).astype(np.uint64)
        hashes[active] = mixed(hashes[active] ^ word)
        going_on = rest > 8
        active, end, rest = active[going_on], end[going_on] - 8, rest[going_on] - 8
    for i in np.flatnonzero(lengths > _HASHED_BY_WORDS).tolist():
        digest = hashlib.blake2b(buffer[starts[i] : ends[i]].tobytes(), digest_size=8).digest()
        hashes[i] = int.from_bytes(digest, "little")
    return hashes


def mixed(z: U64) -> U64:
    """Mix the bits of words: see `hash_fields`."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    word: U64 = z ^ (z >> np.uint64(31))
    return word
