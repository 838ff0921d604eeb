"""The smallest honest mrjob job: count words. Run by the smoke test as a program, as mrjob's users do."""

from __future__ import annotations

from collections.abc import Iterator

from mrjob.job import MRJob


class WordCount(MRJob):
    """Yields (word, count)."""

    def mapper(self, _: None, line: str) -> Iterator[tuple[str, int]]:
        """One pair a word."""
        for word in line.split():
            yield word, 1

    def combiner(self, word: str, counts: Iterator[int]) -> Iterator[tuple[str, int]]:
        """Add within a task."""
        yield word, sum(counts)

    def reducer(self, word: str, counts: Iterator[int]) -> Iterator[tuple[str, int]]:
        """Add over all tasks."""
        yield word, sum(counts)


if __name__ == "__main__":
    WordCount.run()
