"""Rows that the scan of a pack read and its map tasks need again, kept in the process that read them.

On one machine the task that packs a range of text mostly runs in the process that scanned it, so the text is read once.
Where it does not, or where there was no room, the text is read again: the same rows. Reading it all twice takes a fifth
more processor time of a pack of libsvm text.
"""

from __future__ import annotations

from mr_ml.readers.base import Draft


class Drafts:
    """The drafts of one pack by range of text, in a bounded number of bytes."""

    def __init__(self) -> None:
        self._pack = ""
        self._kept: dict[bytes, list[Draft]] = {}
        self._bytes = 0

    def room(self, pack: str, *, budget: int) -> int:
        """Return how many bytes may still be kept for a pack; remove drafts of any other pack."""
        if pack != self._pack:
            self._pack, self._bytes = pack, 0
            self._kept.clear()
        return budget - self._bytes

    def keep(self, pack: str, key: bytes, drafts: list[Draft]) -> None:
        """Keep all drafts of a range."""
        assert pack == self._pack
        self._kept[key] = drafts
        self._bytes += sum(draft.nbytes for draft in drafts)

    def take(self, pack: str, key: bytes) -> list[Draft] | None:
        """Return the drafts of a range and forget them; None if none were kept."""
        return self._kept.pop(key, None) if pack == self._pack else None


DRAFTS = Drafts()
