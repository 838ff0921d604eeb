"""CSV text as a format. What reads it is loaded when it reads: a schema alone needs none of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hdfs_layout.suggestions import did_you_mean
from mr_ml.data import stored
from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.base import Opened
from mr_ml.readers.csv.facts import CsvFacts
from mr_ml.readers.csv.stored import CsvPart, delimiter_of, missing_value_of
from mr_ml.readers.rows import counted, excerpt, listed
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.format import TextFormat
from mr_ml.readers.text.marks import check_marks
from mr_ml.readers.text.options import TextOptions

if TYPE_CHECKING:
    from mr_ml.readers.base import Draft, Format, Labels
    from mr_ml.readers.frames import Frame
    from mr_ml.readers.inputs import Inputs
    from mr_ml.readers.rows import Parsed, Rows
    from mr_ml.readers.summary import Summary
    from mr_ml.readers.text.source import TextFile


_DELIMITERS = (b",", b";", b"|", b"\t")


class CsvFormat(TextFormat):
    """One row a line, one column for the label; see `mr_ml.readers.csv.reader`."""

    name = "csv"
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)
    parameters: ClassVar[Mapping[str, Any]] = {
        "delimiter": ",", "no_header": False, "header": False, "label_column": None, "weight_column": None,
        "offset_column": None, "drop": "", "categorical": "", "numeric": "", "missing_markers": None, "decimal": ".",
        "thousands": "", "percent": False, "missing": "error", "unseen": "error", "schema": None,
    }  # fmt: skip
    part = CsvPart
    facts: ClassVar[type[Any]] = CsvFacts
    unseen = ("categories", "`unseen`")

    def options(self, chosen: Mapping[str, Any]) -> TextOptions:
        """See `Format.options`."""
        chosen = {**self.parameters, "split_by": None, **chosen}
        markers = chosen["missing_markers"]
        # the path of a schema file, before `mr_ml.packing.choices` has read it
        of_file = chosen["schema"] if isinstance(chosen["schema"], Mapping) else {}
        text = {
            "format": self.name,
            "delimiter": "\t" if chosen["delimiter"] in ("tab", "\\t") else chosen["delimiter"],
            "header": not chosen["no_header"],
            "label_column": chosen["label_column"],
            "weight_column": chosen["weight_column"],
            "offset_column": chosen["offset_column"],
            "group_column": chosen["split_by"],
            "drop_columns": _names(chosen["drop"]),
            "categorical_columns": _names(chosen["categorical"]),
            "numeric_columns": _names(chosen["numeric"]),
            "missing_markers": TextOptions.missing_markers if markers is None else _names(markers),
            "number_markers": TextOptions.number_markers if markers is None else (),
            "decimal": chosen["decimal"],
            "thousands": chosen["thousands"],
            "percent": chosen["percent"],
            "missing": chosen["missing"],
            "unseen": chosen["unseen"],
            **of_file,
        }
        options = stored.check(TextOptions, text, what="csv text")
        delimiter_of(options)
        missing_value_of(options)
        check_marks(decimal=options.decimal, thousands=options.thousands)
        return options

    def open(
        self, files: Sequence[TextFile], options: TextOptions, *, like: Schema | None,
        first_line: Callable[[TextFile], bytes],
    ) -> Opened:  # fmt: skip
        """See `Format.open`.

        Files without content, as Spark and Hive write them, have no header and no rows.
        """
        lines = {file.path: first_line(file) for file in files}
        with_rows = [path for path, line in lines.items() if line]
        if not with_rows:
            raise BadDataError(f"expected rows, found none in {', '.join(lines)[:500]}")
        first = with_rows[0]
        with _in_first_line(first):
            bound = None if like is None else _bound(like, lines[first], needs_all=True)
            columns = self.split_header(lines[first], options)
        for path in with_rows[1:] if options.header else ():
            with _in_first_line(path):
                split = self.split_header(lines[path], options)
                if split != columns:
                    raise BadDataError(
                        f"expected the columns of {first}, {listed(columns)}, found {listed(split)}; if the first "
                        "lines are rows, say `header=False`"
                    )
        opened = list(files)
        if options.header:
            opened = [replace(file, header_bytes=len(lines[file.path])) for file in files]
        return Opened(opened, replace(options, columns=columns) if bound is None else bound.options, bound)

    def bind(
        self, files: Sequence[TextFile], schema: Schema, *, first_line: Callable[[TextFile], bytes]
    ) -> tuple[list[TextFile], Schema]:
        """See `Format.bind`. A file without content has neither columns nor rows."""
        lines = [first_line(file) for file in files]
        part: CsvPart = schema.part
        bound = schema
        first = ""
        for file, line in zip(files, lines, strict=True):
            if not line:
                continue
            try:
                of_file = _bound(schema, line)
            except BadDataError as error:
                said = str(error).removesuffix(".")
                raise BadDataError(f"{file.path}:1: {said}. The model reads {schema.format} text") from error
            if first and of_file != bound:
                raise BadDataError(f"{file.path}:1: expected the columns of {first}; predict it by itself")
            bound, first = of_file, first or file.path
        if not part.options.header:
            return list(files), bound
        return [replace(file, header_bytes=len(line)) for file, line in zip(files, lines, strict=True)], bound

    def begins(self, head: bytes) -> bool:
        """See `Format.begins`: fields with no colon between them are no libsvm text, and text can be nothing else."""
        line = head.split(b"\n", 1)[0]
        return b":" not in line and any(delimiter in line for delimiter in _DELIMITERS) and b"\0" not in head

    def header_lines(self, options: TextOptions) -> int:
        """See `Format.header_lines`."""
        return int(options.header)

    def split_header(self, first_line: bytes, options: TextOptions) -> tuple[str, ...]:
        """Return the column names in a file's first line.

        Raises
        ------
        BadDataError
            The line is no usable header.
        """
        from mr_ml.readers.csv import header
        from mr_ml.readers.csv.columns import split_header

        header.check_delimiter(first_line, options)
        return split_header(first_line, options)

    def draft(
        self, text: bytes, options: TextOptions, *, file: str, seen: Summary | None = None
    ) -> tuple[Summary, Draft | None]:
        """See `TextFormat.draft`."""
        from mr_ml.readers.csv import scan

        return scan.draft(text, options, file=file, seen=seen)

    def declared(self, options: TextOptions, summary: Summary) -> tuple[TextOptions, list[str]]:
        """See `Format.declared`."""
        from mr_ml.readers.csv import schema as schemas

        return schemas.declared(options, summary)

    def resolve(self, options: TextOptions, summary: Summary) -> Schema:
        """See `Format.resolve`."""
        from mr_ml.readers.csv import schema as schemas

        return schemas.resolve(options, summary)

    def check_header(self, opened: Opened, schema: Schema) -> None:
        """See `Format.check_header`."""
        from mr_ml.readers.csv import header

        part: CsvPart = schema.part
        if part.options.header:
            with _in_first_line(next((file.path for file in opened.files if file.header_bytes), "")):
                header.check_header(part.options, schema)

    def doubts(self, options: TextOptions, summary: Summary) -> list[str]:
        """See `Format.doubts`."""
        from mr_ml.readers.csv import schema as schemas

        return schemas.doubts(options, summary)

    def hints(self, options: TextOptions, summary: Summary, *, is_said: bool) -> list[str]:
        """See `Format.hints`."""
        if list(summary.bad_counts) != ["too_many_fields"] or not options.header:
            return []
        return [
            "All rows have more fields than the header. If they begin with the names of rows, as R's write.table makes "
            "them, write with row.names=FALSE, or with col.names=NA; if the first line is no header, take it out"
        ]

    def parse(self, text: bytes, schema: Schema, *, labels: Labels) -> Parsed:
        """See `TextFormat.parse`.

        What stands in a label column and is none of the schema's labels is NaN too where labels are optional.
        """
        from mr_ml.readers.csv import reader

        return reader.parse(text, schema, labels=labels)

    def kept(self, text: bytes, schema: Schema, rows: Rows, keep: Sequence[str]) -> tuple[Sequence[str], ...]:
        """See `TextFormat.kept`."""
        from mr_ml.readers.csv import kept

        return kept.texts(text, schema, rows, keep)

    def text_of(self, value: Any) -> str:
        """Return the text that a value of a table in memory has in a file; True and False by these names."""
        return str(value)

    def frame_rows(self, frame: Frame, schema: Schema) -> Parsed:
        """See `Format.frame_rows`."""
        from mr_ml.readers.csv import frame as frames
        from mr_ml.readers.csv import reader

        written = frames.text_of(frame, schema, said=self.text_of)
        return reader.parse(written.text, written.schema, labels="optional", exact=written.exact)

    def check_kept(self, bound: Schema, keep: Sequence[str]) -> None:
        """See `Format.check_kept`: any column of the files can be."""
        part: CsvPart = bound.part
        columns = [name for name in part.options.columns or () if name]
        for name in keep:
            if name not in columns:
                raise UsageError(
                    f"`keep`: no column {listed([name])}{did_you_mean(name, columns)}; there are {listed(columns)}"
                )

    def with_unseen(self, schema: Schema, unseen: Literal["error", "ignore"] | None) -> Schema:
        """See `Format.with_unseen`."""
        part: CsvPart = schema.part
        options = part.options if unseen is None else replace(part.options, unseen=unseen)
        return replace(schema, part=replace(part, options=options))

    def unknown_columns(self, schema: Schema, bound: Schema) -> tuple[str, ...]:
        """See `Format.unknown_columns`."""
        known: CsvPart = schema.part
        part: CsvPart = bound.part
        return tuple(name for name in part.columns if name and name not in known.columns)

    def columns(self, schema: Schema, *, most: int) -> dict[str, Any]:
        """See `Format.columns`; of categorical ones there is the number of values."""
        part: CsvPart = schema.part
        kinds: dict[str, list[str]] = {}
        # as in the file: a stored schema has them sorted
        for name in filter(None, dict.fromkeys((*(part.options.columns or ()), *part.columns))):
            kinds.setdefault(part.columns[name]["kind"], []).append(name)
        categorical = kinds.pop("categorical", [])
        return {
            "n_numeric": len(kinds.get("numeric", [])),
            "n_categorical": len(categorical),
            **{kind: names[:most] for kind, names in sorted(kinds.items())},
            **({"n_transforms": len(part.transforms)} if part.transforms else {}),
            "categorical": {name: len(part.vocabularies[name]) for name in categorical[:most]},
        }

    def inputs(self, schema: Schema) -> Inputs:
        """See `Format.inputs`."""
        from mr_ml.readers.csv.inputs import inputs_of

        return inputs_of(schema)

    def columns_text(self, schema: Schema, *, most: int) -> str:
        """See `Format.columns_text`."""
        part: CsvPart = schema.part
        columns = self.columns(schema, most=most)
        shown = []
        for kind in ("numeric", "categorical"):
            n, names = columns[f"n_{kind}"], columns.get(kind, [])
            texts = [_shown(name) + (f" ({names[name]} values)" if kind == "categorical" else "") for name in names]
            more = [f"... {n - most} more"] if n > most else []
            shown.append(f"{kind}: {', '.join([*texts[:most], *more]) or 'none'}")
        made = [
            f"{_shown(made.title)} ({made.written}, {counted(made.n_features, 'feature')}"
            f"{f'; {made.knows}' if made.knows else ''})"
            for made in (placed.transform for placed in part.transforms)
        ]
        if made:
            more = [f"... {len(made) - most} more"] if len(made) > most else []
            shown.append(f"transformed: {', '.join([*made[:most], *more])}")
        unnamed = (part.options.columns or ())[:1] == ("",)
        text = f"columns: {'; '.join(shown)}" + ("; the first, which has no name, is left out" if unnamed else "")
        others = []
        for kind in ("label", "weight", "offset", "group", "id", "dropped"):
            names = [
                name for name in (*(part.options.columns or ()), *part.columns) if part.columns[name]["kind"] == kind
            ]
            names = list(map(_shown, dict.fromkeys(filter(None, names))))
            if names:
                more = [f"... {len(names) - most} more"] if len(names) > most else []
                others.append(f"{kind}: {', '.join([*names[:most], *more])}")
        return f"{text}\nother columns: {'; '.join(others)}" if others else text


def _shown(name: str) -> str:
    """Return the name of a column as one printable line: names in JSON may hold line feeds."""
    return excerpt(name.encode(errors="surrogateescape"))


def _bound(schema: Schema, first_line: bytes, *, needs_all: bool = False) -> Schema:
    """Return the schema for a text whose first line is this: its columns may stand in another order.

    Parameters
    ----------
    needs_all
        Whether the rows are for training, which needs labels, weights and groups where the schema has them.

    Raises
    ------
    BadDataError
        The text does not have the columns that the schema needs.
    """
    from mr_ml.readers.csv import header
    from mr_ml.readers.csv import schema as schemas
    from mr_ml.readers.csv.columns import split_header

    part: CsvPart = schema.part
    try:
        return schemas.bind(schema, split_header(first_line, part.options), needs_all=needs_all)
    except BadDataError:
        remedy = "write it with the delimiter of the data that the schema was made from"
        header.check_delimiter(first_line, part.options, remedy=remedy)
        raise


@contextmanager
def _in_first_line(path: str) -> Iterator[None]:
    """Name the file in which a header is wrong."""
    try:
        yield
    except BadDataError as error:
        raise BadDataError(f"{path}:1: {error}") from error


def _names(columns: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names in a list, or in a text with commas between them."""
    if not isinstance(columns, str):
        return tuple(columns)
    return tuple(item.strip() for item in columns.split(",") if item.strip())


FORMAT: Format = CsvFormat()
