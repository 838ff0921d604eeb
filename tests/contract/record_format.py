"""A format that is no text, as a package from outside would bring it: rows of three numbers, one behind the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.base import Draft, Format, Labels, Opened, Piece
from mr_ml.readers.frames import Frame
from mr_ml.readers.inputs import Inputs, no_inputs
from mr_ml.readers.rows import BadRow, Parsed, Rows
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text import source
from mr_ml.readers.text.source import TextFile

ROW_BYTES = 24


@dataclass(frozen=True)
class RecordOptions:
    """What can be said of such files: nothing."""

    format: Literal["records"] = "records"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class RecordPart:
    """A schema's part."""

    options: RecordOptions
    row_bytes: int = ROW_BYTES

    has_weights = has_offsets = False

    @property
    def hashes(self) -> tuple[range, ...]:
        return ()

    @property
    def categories(self) -> dict[str, range]:
        return {}

    def to_json(self) -> dict[str, Any]:
        return {"options": self.options.to_json(), "row_bytes": self.row_bytes}

    def check(self, schema: Schema) -> None:
        if self.row_bytes != ROW_BYTES * schema.n_features / 2:
            raise ValueError(f"{self.row_bytes} bytes a row")


@dataclass(frozen=True)
class RecordFacts:
    """What a scan saw: the largest numbers."""

    largest: float = 0.0
    format: Literal["records"] = "records"

    def __add__(self, other: RecordFacts) -> RecordFacts:
        return RecordFacts(max(self.largest, other.largest))

    def renamed(self, file: str) -> RecordFacts:
        return self

    def learning_from(self, part: RecordFacts) -> RecordFacts:
        return self

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class RecordPiece:
    """Rows of a file."""

    file: str
    start: int
    n_rows: int

    def chunks(self) -> Iterator[np.ndarray]:
        yield np.fromfile(self.file, np.float64, count=3 * self.n_rows, offset=ROW_BYTES * self.start).reshape(-1, 3)

    def key(self) -> bytes:
        return json.dumps([self.file, self.start]).encode()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class RecordFormat:
    """Rows of label and two features as float64; a row with a NaN is bad."""

    name: str = "records"
    suffixes: tuple[str, ...] = (".rec",)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    part: type[Any] = RecordPart
    facts: type[Any] = RecordFacts
    unseen: tuple[str, str] = ("features", "--unseen-features")
    has_lines: bool = False
    reads_addresses: bool = False

    def options(self, said: Mapping[str, Any]) -> RecordOptions:
        return RecordOptions()

    def options_from_json(self, document: Mapping[str, Any]) -> RecordOptions:
        return RecordOptions(**document)

    def open(
        self, files: Sequence[TextFile], options: Any, *, like: Schema | None, first_line: Callable[[TextFile], bytes]
    ) -> Opened:
        return Opened(list(files), options, like)

    def bind(
        self, files: Sequence[TextFile], schema: Schema, *, first_line: Callable[[TextFile], bytes]
    ) -> tuple[list[TextFile], Schema]:
        return list(files), schema

    def begins(self, head: bytes) -> bool:
        return False

    def header_lines(self, options: Any) -> int:
        return 0

    def pieces(self, files: Sequence[TextFile], *, n_tasks: int, longest_line: int) -> list[list[RecordPiece]]:
        step = max(source.RANGE_BYTES // ROW_BYTES, 1)
        found = [
            RecordPiece(file.path, start, min(step, file.size // ROW_BYTES - start))
            for file in files
            for start in range(0, file.size // ROW_BYTES, step)
        ]
        return [found[k::n_tasks] for k in range(n_tasks) if found[k::n_tasks]]

    def piece_from_json(self, document: Mapping[str, Any]) -> RecordPiece:
        return RecordPiece(**document)

    def scan(self, piece: Piece, options: Any, *, keep: Callable[[Draft | None], None] | None = None) -> Summary:
        total = Summary()
        for chunk in piece.chunks():
            found = _parsed(chunk)
            if keep is not None:
                keep(None)
            total += Summary(
                n_rows=found.rows.n_rows,
                nnz=len(found.rows.values),
                n_lines=found.n_lines,
                labels=frozenset(found.rows.labels.tolist()),
                bad_counts=found.bad_counts,
                examples=tuple((piece.file, row) for row in found.bad),
                facts=RecordFacts(float(found.rows.values.max(initial=0))),
            ).shifted(by=total.n_lines)
        return total

    def declared(self, options: Any, summary: Summary) -> tuple[Any, list[str]]:
        return options, []

    def resolve(self, options: Any, summary: Summary) -> Schema:
        if not summary.n_rows:
            raise BadDataError("expected a row")
        labels = tuple(sorted(summary.labels or ()))
        return Schema(format=self.name, n_features=2, labels=labels, part=RecordPart(options))

    def check_header(self, opened: Opened, schema: Schema) -> None:
        pass

    def doubts(self, options: Any, summary: Summary) -> list[str]:
        return []

    def hints(self, options: Options, summary: Summary, *, is_said: bool) -> list[str]:
        return []

    def rows(self, piece: Piece, schema: Schema, *, labels: Labels, keep: Sequence[str] = ()) -> Iterator[Parsed]:
        yield from map(_parsed, piece.chunks())

    def inputs(self, schema: Schema) -> Inputs:
        raise no_inputs(self.name)

    def frame_rows(self, frame: Frame, schema: Schema) -> Parsed:
        raise UsageError("records have no names")

    def check_kept(self, bound: Schema, keep: Sequence[str]) -> None:
        raise UsageError("`keep`: records have no columns")

    def with_unseen(self, schema: Schema, unseen: Literal["error", "ignore"] | None) -> Schema:
        return schema

    def unknown_columns(self, schema: Schema, bound: Schema) -> tuple[str, ...]:
        return ()

    def columns(self, schema: Schema, *, most: int) -> dict[str, Any]:
        return {}

    def columns_text(self, schema: Schema, *, most: int) -> str:
        return ""


def _parsed(chunk: np.ndarray) -> Parsed:
    good = ~np.isnan(chunk).any(axis=1)
    bad = tuple(BadRow(line, "not_finite", "NaN") for line in np.flatnonzero(~good).tolist())
    n = int(good.sum())
    rows = Rows(
        labels=chunk[good, 0],
        indptr=np.arange(n + 1) * 2,
        indices=np.tile(np.arange(2, dtype=np.int32), n),
        values=chunk[good, 1:].reshape(-1),
        lines=np.flatnonzero(good),
    )
    return Parsed(rows, bad, {"not_finite": len(bad)} if bad else {}, n_lines=len(chunk), n_bytes=chunk.nbytes)


FORMAT: Format = RecordFormat()
