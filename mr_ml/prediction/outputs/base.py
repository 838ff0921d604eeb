"""The protocol of output formats: how predictions are written.

    lines = format.lines(records)        # in the task: a line for each line of input, whose bytes are counted
    file  = format.file(columns, lines)  # on the driver: what is written, from the lines of all tasks in order

So the bytes of a file do not depend on how its input was cut, nor on the runner. A format is an object of a class with
these methods, named in `mr_ml.prediction.outputs` or by an entry point of the group ``mr_ml.output_formats``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import kernels

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True)
class Columns:
    """The columns of predictions.

    Attributes
    ----------
    kept
        Names of the columns of the input that are carried through.
    labels
        The classes as users write them; empty for regression.
    probable
        Whether the values of classes are probabilities; else they are decision values.
    """

    kept: tuple[str, ...]
    labels: tuple[str, ...]
    probable: bool = True

    @cached_property
    def predicted(self) -> tuple[str, ...]:
        """Names of the columns that the model gives: the label, and a value for each class; or the value.

        One whose name a column of the input has begins with ``predicted_``.
        """
        of_class = "probability" if self.probable else "decision"
        plain = ("label", *(f"{of_class}_{label}" for label in self.labels)) if self.labels else ("prediction",)
        names: list[str] = []
        for name in plain:
            while name in self.kept or name in names:
                name = f"predicted_{name}"
            names.append(name)
        return tuple(names)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in order."""
        return self.kept + self.predicted

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"kept": list(self.kept), "labels": list(self.labels), "probable": self.probable}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Columns:
        """Undo `to_json`."""
        return cls(tuple(document["kept"]), tuple(document["labels"]), document["probable"])


@dataclass(frozen=True, eq=False)
class Records:
    """The predictions for a chunk of the input.

    Attributes
    ----------
    columns
        What they consist of.
    n_lines
        Lines of input, some of which may hold no row: blank ones, comments, bad rows.
    lines : int64 (n_rows,)
        On which line row i stands, ascending.
    kept
        For each column that is kept the text of each row.
    values : float64 (n_rows, n_values)
        A value for each class, or one.
    """

    columns: Columns
    n_lines: int
    lines: Ints
    kept: tuple[Sequence[str], ...]
    values: Floats

    @property
    def choice(self) -> Ints:
        """Which class is likeliest, the first of equals; 0 without classes. (n_rows,)."""
        return self.values.argmax(axis=1) if self.columns.labels else np.zeros(len(self.values), np.int64)

    def numbers(self) -> list[bytes]:
        """Return the values of each row with tabs between them, each the shortest text that reads back as the same."""
        n = len(self.values)
        nothing, rows = np.zeros(1, np.int64), np.arange(n)
        written = kernels.write_rows(
            self.values, starts=b"", start_ends=nothing, choice=np.zeros(n, np.int64), lines=rows, n_lines=n
        )
        if written is not None:
            return bytes(written).split(b"\n")[:n]
        return ["\t".join(map(repr, row)).encode() for row in self.values.tolist()]

    def placed(self, rows: Sequence[bytes], *, nothing: bytes) -> bytes:
        """Return lines of text: those of rows where they belong, and `nothing` for a line without a row."""
        output = [nothing] * self.n_lines
        for line, row in zip(self.lines.tolist(), rows, strict=True):
            output[line] = row
        return b"".join(row + b"\n" for row in output)


class OutputFormat(Protocol):
    """A way in which predictions are written."""

    @property
    def name(self) -> str:
        """Its name in the registry and on the command line."""

    @property
    def suffix(self) -> str:
        """How names of its files end: ``.csv``."""

    @property
    def names_files(self) -> bool:
        """Whether files of a folder get the suffix; else they are called as those of the input."""

    def check(self) -> None:
        """Raise UsageError if something that it needs is not installed."""

    def lines(self, records: Records) -> bytes | memoryview:
        """Return a line of text for each line of input, in the task.

        Every line ends with a line feed, before which there is no ``|``, and has no other line feed or carriage return.
        """

    def file(self, columns: Columns, lines: Iterator[bytes], *, has_header: bool) -> Iterator[bytes]:
        """Return the bytes of a file, on the driver.

        Parameters
        ----------
        lines
            Whole lines of `lines`, some at a time, cut anywhere between lines.
        has_header
            Whether the input has one.
        """


def escaped(text: str) -> str:
    """Write backslashes, tabs and line ends of a text as two characters each."""
    return text.translate(_ESCAPES)
