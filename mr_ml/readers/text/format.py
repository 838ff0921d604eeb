"""Base of the formats whose files are lines of text, one row a line: a chunk is some megabytes of whole lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mr_ml.errors import UsageError
from mr_ml.readers.base import Draft, Labels, Opened, Piece
from mr_ml.readers.rows import Parsed, Rows, listed
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.options import TextOptions

if TYPE_CHECKING:
    from mr_ml.readers.frames import Frame
    from mr_ml.readers.inputs import Inputs
    from mr_ml.readers.text.source import TextFile, TextRange


class TextFormat(ABC):
    """A `Format` of lines of text, by what it makes of one chunk: `draft` and `parse`.

    A chunk is whole lines, cut anywhere between lines; the last line may lack its line feed. It never holds a header.
    What is asked of columns has the answers of a format without any.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    parameters: ClassVar[Mapping[str, Any]]
    part: ClassVar[type[Any]]
    facts: ClassVar[type[Any]]
    unseen: ClassVar[tuple[str, str]]
    has_lines = True
    reads_addresses = False

    @abstractmethod
    def draft(
        self, text: bytes, options: Any, *, file: str, seen: Summary | None = None
    ) -> tuple[Summary, Draft | None]:
        """Read a chunk once: what is in it, and its rows, where these can be read without the schema.

        Parameters
        ----------
        file
            Name of the file for facts that are kept by file, and for examples.
        seen
            Of other text of the same data: what is too much there already is not counted here.

        Returns
        -------
        summary : Summary
            Examples of refused rows count lines from the start of the chunk.
        draft : Draft or None
        """

    @abstractmethod
    def parse(self, text: bytes, schema: Schema, *, labels: Labels) -> Parsed:
        """Turn a chunk into rows; see `Format.rows`."""

    def kept(self, text: bytes, schema: Schema, rows: Rows, keep: Sequence[str]) -> tuple[Sequence[str], ...]:
        """Return the texts of columns for the rows that `parse` made of a chunk, if `check_kept` let them pass."""
        raise NotImplementedError

    def options_from_json(self, document: Mapping[str, Any]) -> TextOptions:
        """See `Format.options_from_json`."""
        return TextOptions.from_json(document)

    def open(
        self, files: Sequence[TextFile], options: Any, *, like: Schema | None,
        first_line: Callable[[TextFile], bytes],
    ) -> Opened:  # fmt: skip
        """See `Format.open`."""
        return Opened(list(files), options, like)

    def bind(
        self, files: Sequence[TextFile], schema: Schema, *, first_line: Callable[[TextFile], bytes]
    ) -> tuple[list[TextFile], Schema]:
        """See `Format.bind`."""
        return list(files), schema

    def begins(self, head: bytes) -> bool:
        """See `Format.begins`: text may be anything."""
        return False

    def header_lines(self, options: Any) -> int:
        """See `Format.header_lines`."""
        return 0

    def pieces(self, files: Sequence[TextFile], *, n_tasks: int, longest_line: int) -> list[list[TextRange]]:
        """See `Format.pieces`."""
        from mr_ml.readers.text.source import ranges

        return ranges(files, n_tasks=n_tasks, longest_line=longest_line)

    def piece_from_json(self, document: Mapping[str, Any]) -> TextRange:
        """See `Format.piece_from_json`."""
        from mr_ml.readers.text.source import TextRange

        return TextRange(**document)

    def scan(self, piece: Piece, options: Any, *, keep: Callable[[Draft | None], None] | None = None) -> Summary:
        """See `Format.scan`."""
        total = Summary()
        for chunk in piece.chunks():
            summary, draft = self.draft(chunk, options, file=piece.file, seen=total)
            if keep is not None:
                keep(draft)
            del draft
            total = total + summary.shifted(by=total.n_lines)
        return total

    def rows(self, piece: Piece, schema: Schema, *, labels: Labels, keep: Sequence[str] = ()) -> Iterator[Parsed]:
        """See `Format.rows`."""
        for chunk in piece.chunks():
            parsed = self.parse(chunk, schema, labels=labels)
            kept = self.kept(chunk, schema, parsed.rows, keep) if keep else ()
            yield replace(parsed, n_bytes=len(chunk), kept=kept)

    def frame_rows(self, frame: Frame, schema: Schema) -> Parsed:
        """See `Format.frame_rows`: features have numbers only."""
        raise UsageError(
            f"expected an array or a sparse matrix, (n_rows, {schema.n_features}), found a data frame: features of "
            f"{self.name} rows have no names; give its values, as by to_numpy()"
        )

    def check_kept(self, bound: Schema, keep: Sequence[str]) -> None:
        """See `Format.check_kept`: nothing can be kept."""
        if keep:
            raise UsageError(f"`keep`: rows of {self.name} text have no columns that can be kept, found {listed(keep)}")

    def declared(self, options: Any, summary: Summary) -> tuple[Any, list[str]]:
        """See `Format.declared`."""
        return options, []

    def check_header(self, opened: Opened, schema: Schema) -> None:
        """See `Format.check_header`: there is none."""
        return

    def doubts(self, options: Any, summary: Summary) -> list[str]:
        """See `Format.doubts`."""
        return []

    def inputs(self, schema: Schema) -> Inputs:
        """See `Format.inputs`: they cannot be said."""
        from mr_ml.readers.inputs import no_inputs

        raise no_inputs(self.name)

    def with_unseen(self, schema: Schema, unseen: Literal["error", "ignore"] | None) -> Schema:
        """See `Format.with_unseen`."""
        return schema

    def unknown_columns(self, schema: Schema, bound: Schema) -> tuple[str, ...]:
        """See `Format.unknown_columns`."""
        return ()

    def columns(self, schema: Schema, *, most: int) -> dict[str, Any]:
        """See `Format.columns`."""
        return {}

    def columns_text(self, schema: Schema, *, most: int) -> str:
        """See `Format.columns_text`."""
        return ""
