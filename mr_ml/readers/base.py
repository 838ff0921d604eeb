"""The protocol of input formats: how packing and predicting get rows.

    options = format.options(what the user chose)
    files, options, like = format.open(files, options, ...)
    pieces  = format.pieces(files, n_tasks=...)
    summary = sum of format.scan(piece, options) of every piece
    options = format.declared(options, summary)[0]       # and scan again, if these are others
    schema  = format.resolve(options, summary)
    rows    = format.rows(piece, schema, labels="required")   # of every piece, as often as needed, in any process

A format is an object of a class with these methods, named in `mr_ml.readers.registry` or by an entry point of the
group ``mr_ml.formats``. Formats of lines of text derive from `mr_ml.readers.text.format.TextFormat`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError
from mr_ml.readers.registry import FORMATS
from mr_ml.readers.schema import Options, Schema

if TYPE_CHECKING:
    from mr_ml.readers.frames import Frame
    from mr_ml.readers.inputs import Inputs
    from mr_ml.readers.rows import Parsed
    from mr_ml.readers.summary import Summary
    from mr_ml.readers.text.source import TextFile

Labels = Literal["required", "optional"]


class Piece(Protocol):
    """A part of one file that one map task reads."""

    @property
    def file(self) -> str:
        """Name of the file, for messages and for facts that are kept by file."""

    @property
    def start(self) -> int:
        """Where it begins; pieces of a file are in the order of this number."""

    def chunks(self) -> Iterator[Any]:
        """Read it, some megabytes at a time. What a chunk is (lines, a record batch) only the format knows.

        Raises
        ------
        BadDataError
            If the file is damaged.
        StorageError
            If it cannot be read.
        """

    def key(self) -> bytes:
        """Return the arguments of `mr_ml.runners.base.TextSource.place` for this piece, as a list in JSON.

        File, `start` and, of text that Hadoop streams, the bytes that it has streamed. Called when all is read.
        """


class StoredPiece(Piece, Protocol):
    """A piece that is sent to the task that opens it."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; the format's `piece_from_json` gives the same object back."""


class Draft(Protocol):
    """The rows of a chunk, read before the schema was known."""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""

    def narrowed(self) -> Draft:
        """Return the same in fewer bytes, to be kept."""

    def fits(self, schema: Schema) -> bool:
        """Whether these are the rows under that schema; if not, the input must be read again."""

    def under(self, schema: Schema) -> Parsed:
        """Return what `Format.rows` finds in the same chunk, labels required."""


@dataclass(frozen=True)
class Opened:
    """Files that are ready to be scanned.

    Attributes
    ----------
    files : list of TextFile
        With the lengths of their headers.
    options : Options
        With what the files say of themselves, such as the names of columns.
    like : Schema or None
        The borrowed schema for these files.
    """

    files: list[TextFile]
    options: Options
    like: Schema | None


class Format(Protocol):
    """A format of input. What `options` returns, its other methods take as `options`."""

    @property
    def name(self) -> str:
        """Its name in the registry, on the command line and in what is stored."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """How the names of its files end, in lower case, before the suffix of a compressed file; () if they do not."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of `pack` that are said of this format only, and what each is if it is not said."""

    @property
    def part(self) -> type[Any]:
        """Class of `Schema.part`."""

    @property
    def facts(self) -> type[Any]:
        """Class of `Summary.facts`."""

    @property
    def unseen(self) -> tuple[str, str]:
        """What rows may have that the schema does not know, and the option about it: 'categories', '`unseen`'."""

    def begins(self, head: bytes) -> bool:
        """Whether a file that begins so is of this format, whatever it is called."""

    @property
    def has_lines(self) -> bool:
        """Whether files are lines of text, which Hadoop can stream to tasks."""

    @property
    def reads_addresses(self) -> bool:
        """Whether the pieces of a file that has addresses, `TextFile.at`, are read there, by tasks without a store.

        Nobody asks for lines of text, which are streamed.
        """

    def options(self, chosen: Mapping[str, Any]) -> Any:
        """Make options of what the user chose: of `parameters`, and as ``split_by`` of the groups of rows.

        Raises
        ------
        UsageError
            If it cannot be chosen for this format.
        """

    def options_from_json(self, document: Mapping[str, Any]) -> Any:
        """Read what `Options.to_json` wrote.

        Raises
        ------
        BadDataError
            If it is something else.
        """

    def open(
        self, files: Sequence[TextFile], options: Any, *, like: Schema | None,
        first_line: Callable[[TextFile], bytes],
    ) -> Opened:  # fmt: skip
        """Look at the beginnings of files that are to be packed.

        Parameters
        ----------
        like
            Schema of other data, to be used for these files.
        first_line
            Returns the first line of a file with its line feed; nothing of an empty file.

        Raises
        ------
        BadDataError
            If a file does not have the columns of the others or of `like`.
        """

    def bind(
        self, files: Sequence[TextFile], schema: Schema, *, first_line: Callable[[TextFile], bytes]
    ) -> tuple[list[TextFile], Schema]:
        """Look at the beginnings of files that are to be predicted; return the schema for the columns that they have.

        Raises
        ------
        BadDataError
            If a file does not have the columns that the schema needs.
        """

    def header_lines(self, options: Any) -> int:
        """Return the number of lines of each file before its first row."""

    def pieces(self, files: Sequence[TextFile], *, n_tasks: int, longest_line: int) -> Sequence[Sequence[StoredPiece]]:
        """Cut files into pieces, and give them to at most `n_tasks` tasks, about equal bytes each.

        Parameters
        ----------
        longest_line
            Bytes of the longest row that there is memory for.
        """

    def piece_from_json(self, document: Mapping[str, Any]) -> StoredPiece:
        """Read what `StoredPiece.to_json` wrote."""

    def scan(self, piece: Piece, options: Any, *, keep: Callable[[Draft | None], None] | None = None) -> Summary:
        """Read a piece: what is in it. Rows must have labels.

        Parameters
        ----------
        keep
            Called with the rows of every chunk, where they can be read without the schema; else with None.

        Returns
        -------
        Summary
            Examples of refused rows count lines from the start of the piece.

        Raises
        ------
        UsageError
            The options name columns that are not there.
        """

    def declared(self, options: Any, summary: Summary) -> tuple[Any, list[str]]:
        """Say in the options what all of the input tells of its columns, so that another scan refuses rows that differ.

        Returns
        -------
        options
            The same if no other scan is needed.
        reasons : list of str
            For the user, should rows be refused.
        """

    def resolve(self, options: Any, summary: Summary) -> Schema:
        """Decide how input is turned into rows, from what was asked and what was seen in all of it.

        Raises
        ------
        BadDataError
            The input contradicts itself or the options, or holds no row.
        UsageError
            The options cannot be used with this input.
        """

    def check_header(self, opened: Opened, schema: Schema) -> None:
        """See that the first lines that were taken for headers are none of the rows.

        Raises
        ------
        BadDataError
            They look like rows.
        """

    def doubts(self, options: Any, summary: Summary) -> list[str]:
        """Return what in the use of the columns may not be meant, a sentence each."""

    def hints(self, options: Any, summary: Summary, *, is_said: bool) -> list[str]:
        """Return what is likely to be wrong with input without a good row; `is_said`: the user named the format."""

    def rows(self, piece: Piece, schema: Schema, *, labels: Labels, keep: Sequence[str] = ()) -> Iterator[Parsed]:
        """Turn a piece into rows, a chunk at a time; lines count from the start of the chunk.

        Parameters
        ----------
        labels
            'optional': a row may come without its label, which is then NaN.
        keep
            Names of columns of which the text is wanted too, which passed `check_kept`.
        """

    def check_kept(self, bound: Schema, keep: Sequence[str]) -> None:
        """Check that rows have something of these names that can be kept beside predictions.

        Parameters
        ----------
        bound
            The schema for the columns that the files have, from `bind`.

        Raises
        ------
        UsageError
            If not: says what there is.
        """

    def frame_rows(self, frame: Frame, schema: Schema) -> Parsed:
        """Turn a table in memory into the rows that a file of it would give; labels are not read.

        Raises
        ------
        UsageError
            If the features of this format have no names.
        BadDataError
            If the table lacks columns.
        """

    def inputs(self, schema: Schema) -> Inputs:
        """Return what rows are read from where there is no mr_ml, for exports.

        Raises
        ------
        UsageError
            If it cannot be said: see `mr_ml.readers.inputs.no_inputs`.
        """

    def with_unseen(self, schema: Schema, unseen: Literal["error", "ignore"] | None) -> Schema:
        """Return the schema with another answer to features or categories that it does not have.

        Parameters
        ----------
        unseen
            None for the default: an error, where features have numbers only, and else what the schema says.
        """

    def unknown_columns(self, schema: Schema, bound: Schema) -> tuple[str, ...]:
        """Return the columns of files, which `bound` is for, that the schema does not know and that are left out."""

    def columns(self, schema: Schema, *, most: int) -> dict[str, Any]:
        """Return what the columns were taken for as plain JSON, at most so many names of each kind; {} without any."""

    def columns_text(self, schema: Schema, *, most: int) -> str:
        """Return the same for people, in a line; nothing without columns."""


def format_named(name: str) -> Format:
    """Return the format of this name.

    Raises
    ------
    UsageError
        If there is none.
    """
    format: Format = FORMATS.get(name)
    return format


def check_reaches_tasks(form: Format) -> None:
    """Check that tasks on a cluster can get files of this format.

    Raises
    ------
    UsageError
        If they are not lines of text, which are streamed to tasks, and tasks cannot read them by themselves.
    """
    if not (form.has_lines or form.reads_addresses):
        raise UsageError(
            f"`runner` hadoop: expected lines of text, found format {form.name!r}, which Hadoop cannot stream to "
            "tasks; use `runner` local, which reads files of HDFS and S3 where they are and packs to any root, or "
            "write them as CSV text"
        )


def is_named_as(file: str, form: Format) -> bool:
    """Whether a file's name says that it is of a format that has names of its own."""
    stem = file.lower()
    for suffix in (".gz", ".bz2", ".zst"):
        stem = stem.removesuffix(suffix)
    return bool(form.suffixes) and stem.endswith(form.suffixes)


def format_by_names(files: Sequence[str]) -> str | None:
    """Return the built-in format that all names say, if they do."""
    built_in = map(format_named, FORMATS.built_in)
    return next((form.name for form in built_in if all(is_named_as(file, form) for file in files)), None)


def formats_by_name(files: Sequence[str]) -> dict[str, str]:
    """Return the built-in formats that names of files say, each with the first of these files."""
    found: dict[str, str] = {}
    for form in map(format_named, FORMATS.built_in):
        named = next((file for file in files if is_named_as(file, form)), None)
        if named is not None:
            found[form.name] = named
    return found


def listing(form: str, pieces: Sequence[StoredPiece]) -> bytes:
    """Return the one line of a task's input file."""
    return json.dumps([form, [piece.to_json() for piece in pieces]], separators=(",", ":")).encode() + b"\n"


def listed(line: bytes) -> list[StoredPiece]:
    """Undo `listing`."""
    name, pieces = json.loads(line)
    return list(map(format_named(name).piece_from_json, pieces))
