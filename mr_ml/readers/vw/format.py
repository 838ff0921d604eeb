"""Vowpal Wabbit's text as a format. What reads it is loaded when it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.readers.base import Draft, Format, Labels
from mr_ml.readers.rows import Parsed, Rows, listed
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.format import TextFormat
from mr_ml.readers.vw.stored import VwFacts, VwOptions, VwPart

TAG = "tag"


class VwFormat(TextFormat):
    """``label importance base 'tag|namespace name:value ...``; see `mr_ml.readers.vw.lines`."""

    name = "vw"
    suffixes = (".vw",)
    parameters: ClassVar[Mapping[str, Any]] = {"hash_bits": None, "unseen": "error"}
    part = VwPart
    facts = VwFacts
    unseen = ("features", "`unseen`")

    def options(self, chosen: Mapping[str, Any]) -> VwOptions:
        """See `Format.options`."""
        if chosen.get("split_by") is not None:
            raise UsageError(f"`split_by`: rows of Vowpal Wabbit's text have no column {chosen['split_by']!r}")
        said = {name: chosen.get(name, unsaid) for name, unsaid in self.parameters.items()}
        return stored.check(VwOptions, {"format": self.name, **said}, what="Vowpal Wabbit's text")

    def options_from_json(self, document: Mapping[str, Any]) -> Any:
        """See `Format.options_from_json`."""
        return VwOptions.from_json(document)

    def begins(self, head: bytes) -> bool:
        """See `Format.begins`: a bar first, or numbers, a tag and a blank before one."""
        from mr_ml.readers.vw.lines import RefusedError, read_line

        line = head.split(b"\n", 1)[0]
        if line.partition(b"|")[0][-1:] not in (b"", b" "):
            return False
        try:
            return bool(read_line(line, label_required=False).features)
        except RefusedError:
            return False

    def draft(
        self, text: bytes, options: Any, *, file: str, seen: Summary | None = None
    ) -> tuple[Summary, Draft | None]:
        """See `TextFormat.draft`."""
        from mr_ml.readers.vw import reader

        return reader.scan(text, options, file=file), None

    def resolve(self, options: Any, summary: Summary) -> Schema:
        """See `Format.resolve`."""
        from mr_ml.readers.vw import reader

        return reader.resolve(options, summary)

    def parse(self, text: bytes, schema: Schema, *, labels: Labels) -> Parsed:
        """See `TextFormat.parse`."""
        from mr_ml.readers.vw import reader

        return reader.parse(text, schema, labels=labels)

    def hints(self, options: Options, summary: Summary, *, is_said: bool) -> list[str]:
        """See `Format.hints`."""
        return []

    def with_unseen(self, schema: Schema, unseen: Literal["error", "ignore"] | None) -> Schema:
        """See `Format.with_unseen`."""
        part: VwPart = schema.part
        options = part.options if unseen is None else replace(part.options, unseen=unseen)
        return replace(schema, part=replace(part, options=options))

    def kept(self, text: bytes, schema: Schema, rows: Rows, keep: Sequence[str]) -> tuple[Sequence[str], ...]:
        """See `TextFormat.kept`."""
        from mr_ml.readers.vw import reader

        return tuple(reader.tags(text, rows) for _ in keep)

    def check_kept(self, bound: Schema, keep: Sequence[str]) -> None:
        """See `Format.check_kept`: tags can be."""
        for name in keep:
            if name != TAG:
                raise UsageError(
                    f"`keep`: rows of Vowpal Wabbit's text have no {listed([name])} to be kept, only {TAG}"
                )


FORMAT: Format = VwFormat()
