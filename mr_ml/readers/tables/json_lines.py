"""JSON lines: one object a line, whose names are columns. Numbers are taken as they are written, as in CSV text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.base import Draft, Format, Labels, Opened, Piece
from mr_ml.readers.csv.facts import CsvFacts
from mr_ml.readers.csv.format import CsvFormat
from mr_ml.readers.csv.stored import CsvPart
from mr_ml.readers.rows import Parsed, excerpt, listed
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.tables.format import TableFormat, kept_roles, roles_under
from mr_ml.readers.tables.text import BadRows, Chunk, Number, field_of, line_of
from mr_ml.readers.text.options import TextOptions
from mr_ml.readers.transforms.seen import Seen

if TYPE_CHECKING:
    from mr_ml.readers.text.source import TextFile

MAX_NAMES = 100_000

_BOM = b"\xef\xbb\xbf"
_POSITION = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True)
class JsonFacts:
    """What a scan saw.

    Attributes
    ----------
    columns, transforms
        See `CsvFacts`.
    names
        Of all rows.
    """

    columns: dict[str, Any] = field(default_factory=dict)
    transforms: tuple[Seen, ...] = ()
    names: tuple[str, ...] = ()
    format: Literal["jsonl"] = "jsonl"

    def __add__(self, other: JsonFacts) -> JsonFacts:
        """Return the facts of both texts together."""
        names = self.names if self.names == other.names else tuple(sorted({*self.names, *other.names}))
        both = self._of_columns() + other._of_columns()
        return JsonFacts(both.columns, both.transforms, names)

    def _of_columns(self) -> CsvFacts:
        return CsvFacts(self.columns, self.transforms)

    def renamed(self, file: str) -> JsonFacts:
        """Return the same: nothing is kept by file."""
        return self

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**self._of_columns().to_json(), "names": list(self.names), "format": self.format}


class JsonLinesFormat(CsvFormat):
    """See `mr_ml.readers.csv.format` for what is made of the columns.

    Which there are only all rows tell: a scan goes by the first lines, and is done again if there are more.
    """

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson", ".json")
    parameters: ClassVar[Mapping[str, Any]] = TableFormat.parameters
    facts: ClassVar[type[Any]] = JsonFacts

    def begins(self, head: bytes) -> bool:
        """See `Format.begins`."""
        return head.lstrip().startswith(b"{")

    def options(self, chosen: Mapping[str, Any]) -> TextOptions:
        """See `Format.options`."""
        return super().options({**CsvFormat.parameters, **chosen})

    def open(
        self, files: Sequence[TextFile], options: TextOptions, *, like: Schema | None,
        first_line: Callable[[TextFile], bytes],
    ) -> Opened:  # fmt: skip
        """See `Format.open`."""
        names = _first_names(files, first_line)
        if not names:
            raise BadDataError(f"expected rows, found none in {', '.join(file.path for file in files)[:500]}")
        if like is not None:
            bound = _bound(like, names, needs_all=True)
            return Opened(list(files), bound.options, bound)
        named = [name for name in _named(options) if not _POSITION.fullmatch(name)]
        return Opened(list(files), replace(options, columns=tuple(dict.fromkeys((*names, *named)))), None)

    def bind(
        self, files: Sequence[TextFile], schema: Schema, *, first_line: Callable[[TextFile], bytes]
    ) -> tuple[list[TextFile], Schema]:
        """See `Format.bind`."""
        names = _first_names(files, first_line)
        return list(files), _bound(schema, names) if names else schema

    def header_lines(self, options: TextOptions) -> int:
        """See `Format.header_lines`."""
        return 0

    def check_header(self, opened: Opened, schema: Schema) -> None:
        """See `Format.check_header`: names are no row."""
        return

    def hints(self, options: TextOptions, summary: Summary, *, is_said: bool) -> list[str]:
        """See `Format.hints`."""
        if list(summary.bad_counts) == ["bad_record"]:
            return ["No line is an object: write one a line, such as by `jq -c '.[]'` if the file is one list of them"]
        return []

    def draft(
        self, text: bytes, options: TextOptions, *, file: str, seen: Summary | None = None
    ) -> tuple[Summary, Draft | None]:
        """See `TextFormat.draft`."""
        from mr_ml.readers.csv.columns import roles_of

        names: set[str] = set() if seen is None or seen.facts is None else set(seen.facts.names)
        chunk = _chunk(text, roles_of(options), names)
        summary, draft = super().draft(chunk.text, options, file=file, seen=seen)
        facts = JsonFacts(summary.facts.columns, summary.facts.transforms, tuple(sorted(names)))
        return replace(chunk.told(summary, file), facts=facts), None if chunk.bad_counts else draft

    def parse(self, text: bytes, schema: Schema, *, labels: Labels) -> Parsed:
        """See `TextFormat.parse`."""
        chunk = _chunk(text, roles_under(schema), None)
        return chunk.parsed(super().parse(chunk.text, schema, labels=labels))

    def rows(self, piece: Piece, schema: Schema, *, labels: Labels, keep: Sequence[str] = ()) -> Iterator[Parsed]:
        """See `Format.rows`. What is kept must be a value that CSV text can hold, too."""
        roles = kept_roles(schema, keep)
        for text in piece.chunks():
            chunk = _chunk(text, roles, None)
            parsed = super().parse(chunk.text, schema, labels=labels)
            kept = self.kept(chunk.text, schema, parsed.rows, keep) if keep else ()
            yield replace(chunk.parsed(parsed), n_bytes=len(text), kept=kept)

    def text_of(self, value: Any) -> str:
        """See `CsvFormat.text_of`; true and false are 1 and 0."""
        return ("0", "1")[value] if isinstance(value, bool) else super().text_of(value)

    def declared(self, options: TextOptions, summary: Summary) -> tuple[TextOptions, list[str]]:
        """See `Format.declared`."""
        more = _with_all(options, summary)
        if more != options:
            return more, []
        return super().declared(options, summary)

    def resolve(self, options: TextOptions, summary: Summary) -> Schema:
        """See `Format.resolve`."""
        if not summary.n_rows:
            raise BadDataError(
                f"expected a row at least, found none in {summary.n_lines} lines, {summary.n_bad} of them refused and "
                f"{summary.n_dropped} left out for missing values; check the input and `missing`"
            )
        never = [name for name in options.columns or () if name not in _names_in(summary)]
        if never:
            raise UsageError(f"expected columns that rows have, found none called {listed(never)} in any row")
        return replace(super().resolve(_with_all(options, summary), summary), format=self.name)


def _names_in(summary: Summary) -> tuple[str, ...]:
    facts: JsonFacts | None = summary.facts
    return () if facts is None else facts.names


def _with_all(options: TextOptions, summary: Summary) -> TextOptions:
    """Return the options with all columns that rows have."""
    known = options.columns or ()
    more = tuple(name for name in _names_in(summary) if name not in known)
    return replace(options, columns=(*known, *more)) if more else options


def _named(options: TextOptions) -> Iterable[str]:
    """Return the names by which options call columns."""
    one = (options.label_column, options.weight_column, options.offset_column, options.group_column)
    for name in (*one, *options.drop_columns, *options.categorical_columns, *options.numeric_columns):
        if name is not None:
            yield str(name)


def _first_names(files: Sequence[TextFile], first_line: Callable[[TextFile], bytes]) -> tuple[str, ...]:
    """Return the names in the first lines of files.

    Raises
    ------
    BadDataError
        If such a line is no object.
    """
    names: dict[str, None] = {}
    for file in files:
        line = first_line(file)
        if not line.strip():
            continue
        try:
            names |= dict.fromkeys(_record(line))
        except ValueError as error:
            raise BadDataError(
                f"{file.path}:1: expected one JSON object a line, found '{excerpt(line)}' ({error}); of a list of "
                "objects `jq -c '.[]'` makes lines"
            ) from None
    return tuple(names)


def _bound(schema: Schema, names: Sequence[str], *, needs_all: bool = False) -> Schema:
    """Return the schema for rows that may have any of its columns, and others.

    Raises
    ------
    BadDataError
        The first lines have none of its features.
    """
    from mr_ml.readers.csv import schema as schemas

    part: CsvPart = schema.part
    spared = () if needs_all else ("label", "weight", "group")
    known = [name for name, use in part.columns.items() if use["kind"] not in spared or name in names]
    features = [name for name, use in part.columns.items() if use["first"] is not None]
    if features and not set(features) & set(names):
        raise BadDataError(f"expected some of the columns {listed(features)}, found {listed(names)}")
    return schemas.bind(schema, [*known, *(name for name in names if name not in part.columns)], needs_all=needs_all)


def _chunk(text: bytes, roles: Mapping[str, str], names: set[str] | None) -> Chunk:
    """Return lines as CSV text, a line for each.

    Parameters
    ----------
    names
        To which the names in the rows are added.
    """
    bad, lines = BadRows(), list[str]()
    for number, line in enumerate(text.removesuffix(b"\n").split(b"\n")):
        lines.append("")
        if not line or line.isspace():
            continue
        try:
            record = _record(line)
        except UnicodeDecodeError:
            bad.refuse_line(number, "not_utf8", line[:200])
            continue
        except (ValueError, RecursionError):
            kind = "bom" if line.startswith(_BOM) else "bad_record"
            bad.refuse_line(number, kind, line[:200])
            continue
        if names is not None:
            names.update(record)
        fields = [
            "" if role == "dropped" else field_of(record.get(name), line=number, column=name, role=role, bad=bad)
            for name, role in roles.items()
        ]
        if number not in bad:
            lines[-1] = line_of(fields)
    if names is not None and len(names) > MAX_NAMES:
        raise BadDataError(
            f"expected at most {MAX_NAMES} different names of columns, found more, such as {listed(sorted(names)[:3])}"
            "; write such names as the texts of one column"
        )
    return bad.chunk("".join(f"{line}\n" for line in lines).encode(errors="surrogatepass"))


def _record(line: bytes) -> dict[str, Any]:
    """Read a line.

    Raises
    ------
    ValueError
        If it is no object, or has a name twice.
    """
    record = json.loads(
        line.decode(), parse_float=Number, parse_int=Number, parse_constant=_constant, object_pairs_hook=_object
    )
    if not isinstance(record, dict):
        raise ValueError("no object")
    return record


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a name twice")
    if "" in record:
        raise ValueError("a name without a letter")
    return record


def _constant(name: str) -> Number | None:
    # as some writers have it, though JSON does not
    return None if name == "NaN" else Number(name)


FORMAT: Format = JsonLinesFormat()
