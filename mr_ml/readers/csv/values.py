"""Compare many short texts in a buffer at once: distinct values, and look-up in a vocabulary.

Hashes only ever *propose* that two fields are equal; their bytes are compared, so that a collision costs time, never a
wrong answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from mr_ml.readers.text.fields import I64, U8, Mask, hash_fields, words_ending_at, words_of

_WORD = 8
_LONG = 256


def distinct(buffer: U8, starts: I64, ends: I64, chosen: Mask) -> list[set[bytes]]:
    """Return the distinct fields of each column.

    Parameters
    ----------
    buffer : uint8 (b,)
    starts, ends : int64 (n, k)
        Field (i, j) is ``buffer[starts[i, j] : ends[i, j]]``.
    chosen : bool (n, k)
        The fields to look at.

    Notes
    -----
    O(n k log n) time, and a Python object for each distinct field, not for each field.
    """
    values: list[set[bytes]] = [set() for _ in range(chosen.shape[1])]
    starts, ends = np.ascontiguousarray(starts.T), np.ascontiguousarray(ends.T)
    chosen = np.ascontiguousarray(chosen.T)
    lengths = ends - starts
    is_short = chosen & (lengths <= _WORD) & (lengths > 0)
    is_long = chosen & (lengths > _WORD)
    for column in np.flatnonzero((chosen & (lengths == 0)).any(axis=1)).tolist():
        values[column].add(b"")
    _add_short(values, buffer, ends, lengths, is_short)
    columns = np.flatnonzero(is_long.any(axis=1))
    if len(columns):
        _add_long([values[i] for i in columns.tolist()], buffer, starts[columns], ends[columns], is_long[columns])
    return values


def _add_short(values: list[set[bytes]], buffer: U8, ends: I64, lengths: I64, chosen: Mask) -> None:
    """Add the fields of 1 to 8 bytes: one word holds them whole."""
    if not chosen.any():
        return
    junk = np.where(chosen, (_WORD - lengths) * 8, 0).astype(np.uint64)
    keys = words_ending_at(words_of(buffer), ends.ravel()).reshape(ends.shape) >> junk
    keys[~chosen] = 0  # a field of NUL bytes would be 0, but such lines are no rows
    keys.sort(axis=1)
    is_new = keys != 0
    is_new[:, 1:] &= keys[:, 1:] != keys[:, :-1]
    for column, key in zip(np.nonzero(is_new)[0].tolist(), keys[is_new].tolist(), strict=True):
        values[column].add(key.to_bytes(_WORD, "little").rstrip(b"\0"))


def _add_long(values: list[set[bytes]], buffer: U8, starts: I64, ends: I64, chosen: Mask) -> None:
    """Add fields of any length: by their hashes, and by their bytes where hashes are equal."""
    keys = hash_fields(buffer, starts.ravel(), ends.ravel()).reshape(chosen.shape)
    order = np.argsort(keys, axis=1)
    starts, ends = np.take_along_axis(starts, order, axis=1), np.take_along_axis(ends, order, axis=1)
    keys, chosen = np.take_along_axis(keys, order, axis=1), np.take_along_axis(chosen, order, axis=1)
    is_new = chosen.copy()
    # A value is new where its neighbour is another, or is not chosen; a few found twice do no harm.
    columns, row = np.nonzero(chosen[:, 1:] & chosen[:, :-1] & (keys[:, 1:] == keys[:, :-1]))
    one, other = (starts[columns, row], ends[columns, row]), (starts[columns, row + 1], ends[columns, row + 1])
    same = _equal(buffer, *one, buffer, *other)
    is_new[columns[same], row[same] + 1] = False
    spans = zip(starts[is_new].tolist(), ends[is_new].tolist(), strict=True)
    for column, (start, end) in zip(np.nonzero(is_new)[0].tolist(), spans, strict=True):
        values[column].add(buffer[start:end].tobytes())


class Vocabulary:
    """Texts with their positions, and a look-up of many fields at once.

    Parameters
    ----------
    values : sequence of str
        Distinct.
    """

    def __init__(self, values: Sequence[str]) -> None:
        encoded = [value.encode() for value in values]
        lengths = np.array([len(value) for value in encoded], dtype=np.int64)
        self._values = values
        self._buffer = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        self._ends = np.cumsum(lengths)
        self._starts = self._ends - lengths
        hashes = hash_fields(self._buffer, self._starts, self._ends)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    @property
    def n_values(self) -> int:
        """Number of values."""
        return len(self._values)

    def find(self, buffer: U8, starts: I64, ends: I64) -> I64:
        """Position of each field among the values; -1 where it is none of them.

        Parameters
        ----------
        buffer : uint8 (n,)
        starts, ends : int64 (k,)

        Returns
        -------
        int64 (k,)
        """
        codes = np.full(starts.size, -1, dtype=np.int64)
        if not self._order.size:
            return codes
        hashes = hash_fields(buffer, starts, ends)
        slots = np.minimum(np.searchsorted(self._hashes, hashes), self._hashes.size - 1)
        proposed = np.flatnonzero(self._hashes[slots] == hashes)
        entries = self._order[slots[proposed]]
        same = _equal(
            buffer, starts[proposed], ends[proposed], self._buffer, self._starts[entries], self._ends[entries]
        )
        codes[proposed[same]] = entries[same]
        for i in proposed[~same].tolist():  # collisions only: one in 2**64 unless somebody made them
            codes[i] = self._codes.get(buffer[starts[i] : ends[i]].tobytes(), -1)
        return codes

    @cached_property
    def _codes(self) -> dict[bytes, int]:
        return {value.encode(): code for code, value in enumerate(self._values)}


@lru_cache(maxsize=128)
def vocabulary(values: tuple[str, ...]) -> Vocabulary:
    """Return the look-up of a column's values; kept, because every chunk of a file asks for the same ones."""
    return Vocabulary(values)


def _equal(buffer: U8, starts: I64, ends: I64, other: U8, other_starts: I64, other_ends: I64) -> Mask:
    """Whether field i of one buffer equals field i of the other, eight bytes a step from the back."""
    same: Mask = (ends - starts) == (other_ends - other_starts)
    words, other_words = words_of(buffer), words_of(other)
    for i in np.flatnonzero(same & (ends - starts > _LONG)).tolist():
        same[i] = np.array_equal(buffer[starts[i] : ends[i]], other[other_starts[i] : other_ends[i]])
    active = np.flatnonzero(same & (ends - starts <= _LONG))
    end, other_end, rest = ends[active], other_ends[active], ends[active] - starts[active]
    while active.size:
        differing = words_ending_at(words, end) ^ words_ending_at(other_words, other_end)
        differ = differing >> ((8 - np.minimum(rest, 8)) * 8).astype(np.uint64) != 0
        same[active[differ]] = False
        more = (rest > 8) & ~differ
        active, end, other_end, rest = active[more], end[more] - 8, other_end[more] - 8, rest[more] - 8
    return same
