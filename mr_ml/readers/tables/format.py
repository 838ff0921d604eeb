"""Base of the formats whose files say the names and types of their columns, and are no lines of text.

Each file goes by its own schema. What they say together (`mr_ml.readers.tables.columns`) and the rows as CSV text
(`mr_ml.readers.tables.text`) are all that CSV text is read by: categories, missing values, labels, predictions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.base import Draft, Labels, Opened, Piece
from mr_ml.readers.csv.format import CsvFormat
from mr_ml.readers.csv.stored import CsvPart
from mr_ml.readers.rows import Parsed, excerpt
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.options import TextOptions

if TYPE_CHECKING:
    from mr_ml.readers.tables.source import Layout, TablePiece
    from mr_ml.readers.tables.text import Chunk
    from mr_ml.readers.text.source import TextFile

# Of CSV text alone: how its fields and numbers are written.
_WRITTEN = frozenset({"delimiter", "no_header", "header", "decimal", "thousands", "percent"})
_THREADS = 8
_REMEMBERED_FILES = 1 << 14


class TableFormat(CsvFormat):
    """Files of typed columns, by what they say of themselves (`layout`) and the text of their parts (`texts`)."""

    parameters: ClassVar[Mapping[str, Any]] = {
        name: value for name, value in CsvFormat.parameters.items() if name not in _WRITTEN
    }
    magic: ClassVar[bytes]
    has_lines = False
    reads_addresses = True

    @abstractmethod
    def layout(self, file: TextFile) -> Layout:
        """Say what is in a file that has content.

        Raises
        ------
        BadDataError
            The file is damaged.
        """

    def starts(self, file: TextFile) -> Sequence[int]:
        """Return where the parts of a file begin that can be read by themselves; the first at 0."""
        return self._layout(file).starts

    @abstractmethod
    def texts(self, piece: TablePiece, roles: Mapping[str, str]) -> Iterator[Chunk]:
        """Read the rows of a piece as CSV text.

        Parameters
        ----------
        roles
            The columns of that text, in their order, and what each is for; 'kept' are those whose text alone is wanted.
            Of those that are dropped, and of those that the file does not have, all fields are empty.
        """

    def begins(self, head: bytes) -> bool:
        """See `Format.begins`."""
        return head.startswith(self.magic)

    def options(self, chosen: Mapping[str, Any]) -> TextOptions:
        """See `Format.options`."""
        return super().options({**CsvFormat.parameters, **chosen})

    def open(
        self, files: Sequence[TextFile], options: TextOptions, *, like: Schema | None,
        first_line: Callable[[TextFile], bytes],
    ) -> Opened:  # fmt: skip
        """See `Format.open`."""
        from mr_ml.readers.csv import schema as schemas
        from mr_ml.readers.tables import columns

        found = [layout.columns for layout in self._layouts(files)]
        if not found:
            raise BadDataError(f"expected rows, found none in {', '.join(file.path for file in files)[:500]}")
        if like is None:
            return Opened(list(files), columns.declared(options, found), None)
        bound = schemas.bind(like, columns.names_of(found), needs_all=True)
        part: CsvPart = like.part
        spared = part.options.missing != "error"
        needed = [name for name in columns.needed_of(like) if not spared or part.columns[name]["kind"] == "offset"]
        extras = [name for name, use in part.columns.items() if use["kind"] in ("label", "weight", "group")]
        columns.check_there(found, [*extras, *needed])
        columns.check_types(roles_under(bound), found)
        return Opened(list(files), bound.options, bound)

    def bind(
        self, files: Sequence[TextFile], schema: Schema, *, first_line: Callable[[TextFile], bytes]
    ) -> tuple[list[TextFile], Schema]:
        """See `Format.bind`."""
        from mr_ml.readers.csv import schema as schemas
        from mr_ml.readers.tables import columns

        found = [layout.columns for layout in self._layouts(files)]
        if not found:
            return list(files), schema
        try:
            bound = schemas.bind(schema, columns.names_of(found))
        except BadDataError as error:
            raise BadDataError(f"{found[0].file}: {error}. The model reads {schema.format} files") from error
        part: CsvPart = schema.part
        if part.options.missing == "error":
            columns.check_there(found, columns.needed_of(schema))
        columns.check_types(roles_under(bound), found)
        return list(files), bound

    def _layouts(self, files: Sequence[TextFile]) -> list[Layout]:
        """Look at all files with content."""
        for file in files:
            if file.compression != "none":
                raise UsageError(
                    f"expected {self.name} files as they are, found {file.path}, which is compressed as a whole; "
                    "unpack it: such files are compressed within"
                )
        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(self._layout, [file for file in files if file.size]))

    def _layout(self, file: TextFile) -> Layout:
        return _remembered(self, file)

    def header_lines(self, options: TextOptions) -> int:
        """See `Format.header_lines`."""
        return 0

    def check_header(self, opened: Opened, schema: Schema) -> None:
        """See `Format.check_header`: names are no row."""
        return

    def hints(self, options: TextOptions, summary: Summary, *, is_said: bool) -> list[str]:
        """See `Format.hints`."""
        return []

    def doubts(self, options: TextOptions, summary: Summary) -> list[str]:
        """Return a sentence about each column of texts that all are numbers."""
        from mr_ml.readers.csv.numbers import numbers_of

        facts = {} if summary.facts is None else summary.facts.columns
        sentences = []
        for name in options.categorical_columns:
            texts = facts[name]["texts"] if name in facts else None
            if texts and len(numbers_of(texts, options)) == len(texts):
                shown = excerpt(str(name).encode())
                sentences.append(
                    f"column '{shown}' is read as texts, as its type or `categorical` has it, but all of its values "
                    f"are numbers; `numeric` '{shown}' reads them as such"
                )
        return sentences

    def pieces(self, files: Sequence[TextFile], *, n_tasks: int, longest_line: int) -> list[list[Any]]:
        """See `Format.pieces`."""
        from mr_ml.readers.tables import source

        return [list(task) for task in source.pieces(files, self.starts, n_tasks=n_tasks)]

    def piece_from_json(self, document: Mapping[str, Any]) -> Any:
        """See `Format.piece_from_json`."""
        from mr_ml.readers.tables.source import TablePiece

        return TablePiece.from_json(document)

    def scan(self, piece: Piece, options: Any, *, keep: Callable[[Draft | None], None] | None = None) -> Summary:
        """See `Format.scan`."""
        from mr_ml.readers.csv.columns import roles_of

        total = Summary()
        for chunk in self.texts(piece, roles_of(options)):  # type: ignore[arg-type]
            summary, draft = self.draft(chunk.text, options, file=piece.file, seen=total)
            if keep is not None:
                keep(None if chunk.bad_counts else draft)
            del draft
            total = total + chunk.told(summary, piece.file).shifted(by=total.n_lines)
        return total

    def rows(self, piece: Piece, schema: Schema, *, labels: Labels, keep: Sequence[str] = ()) -> Iterator[Parsed]:
        """See `Format.rows`."""
        left = piece.stop - piece.start  # type: ignore[attr-defined]
        roles = kept_roles(schema, keep)
        for chunk in self.texts(piece, roles):  # type: ignore[arg-type]
            parsed = self.parse(chunk.text, schema, labels=labels)
            kept = self.kept(chunk.text, schema, parsed.rows, keep) if keep else ()
            yield replace(chunk.parsed(parsed), n_bytes=left, kept=kept)
            left = 0
        if left:
            yield replace(self.parse(b"", schema, labels=labels), n_bytes=left)

    def text_of(self, value: Any) -> str:
        """See `CsvFormat.text_of`: as `texts` writes it."""
        from mr_ml.readers.tables.text import value_text

        return value_text(value)

    def resolve(self, options: TextOptions, summary: Summary) -> Schema:
        """See `Format.resolve`."""
        if not summary.n_rows:
            raise BadDataError(
                f"expected a row at least, found none: {summary.n_bad} were refused and {summary.n_dropped} left out "
                "for missing values; check the input and `missing`"
            )
        return replace(super().resolve(options, summary), format=self.name)


def kept_roles(schema: Schema, keep: Sequence[str]) -> dict[str, str]:
    """Return the roles of columns, 'kept' for those that the schema drops and whose text is wanted."""
    return {name: "kept" if role == "dropped" and name in keep else role for name, role in roles_under(schema).items()}


def roles_under(schema: Schema) -> dict[str, str]:
    """Return what each column of the text is for."""
    part: CsvPart = schema.part
    return {name: part.columns[name]["kind"] for name in part.options.columns or ()}


@lru_cache(maxsize=_REMEMBERED_FILES)
def _remembered(form: TableFormat, file: TextFile) -> Layout:
    return form.layout(file)
