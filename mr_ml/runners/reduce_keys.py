"""Keys that Hadoop sends to the reduce task of our choice.

Hadoop's HashPartitioner sends a key to reduce task (h & 0x7fffffff) % n, where h = 31 h + b over the bytes b of the key
from h = 1 on, in 32 bits (`org.apache.hadoop.io.WritableComparator.hashBytes`). With k more characters, each one of 31
neighbours of the alphabet, h takes every value of a range of 31^k; so a key for a number gets the ending that brings it
to the task of that number.
"""

from __future__ import annotations

_FIRST = ord("0")
_BASE = 31
_RANGE = 1 << 31
NUMBER_DIGITS = 8


def reduce_key(number: int, *, n_reducers: int) -> bytes:
    """Return the key of reduce task `number` among `n_reducers`; keys sort by their numbers."""
    return sent_to(b"%0*d" % (NUMBER_DIGITS, number), number, n_reducers=n_reducers)


def sent_to(stem: bytes, number: int, *, n_reducers: int) -> bytes:
    """Make a key that begins with the stem and goes to reduce task `number` among `n_reducers`."""
    length = 1
    while _BASE**length < 2 * n_reducers:
        length += 1
    lowest = hash_of(stem + bytes([_FIRST]) * length)
    step = (number - lowest) % n_reducers
    if lowest + step >= _RANGE:
        # beyond the largest value the count begins anew
        step = _RANGE - lowest + number
    ending = []
    for _ in range(length):
        step, digit = divmod(step, _BASE)
        ending.append(_FIRST + digit)
    return stem + bytes(reversed(ending))


def number_of(key: bytes) -> int:
    """Undo `reduce_key`."""
    return int(key[:NUMBER_DIGITS])


def hash_of(key: bytes) -> int:
    """Hadoop's hash of an ASCII key, without its sign."""
    value = 1
    for byte in key:
        value = (_BASE * value + byte) % (2 * _RANGE)
    return value % _RANGE
