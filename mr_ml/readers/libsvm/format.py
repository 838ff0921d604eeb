"""libsvm (svmlight) text as a format. What reads it is loaded when it reads: a schema alone needs none of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.readers.base import Draft, Format, Labels
from mr_ml.readers.libsvm.stored import LibsvmFacts, LibsvmPart
from mr_ml.readers.rows import Parsed, Rows, listed
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.format import TextFormat
from mr_ml.readers.text.options import TextOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mr_ml.readers.inputs import Inputs

KEEPABLE = ("qid", "comment")


_TOKEN = re.compile(rb"(qid|[0-9]+):[^:]+")


class LibsvmFormat(TextFormat):
    """``label[:weight] [qid:N] id:value ... [# comment]``; see `mr_ml.readers.libsvm.reader`."""

    name = "libsvm"
    parameters: ClassVar[Mapping[str, Any]] = {
        "index_base": "auto", "label_weights": False, "offset_feature": None,
    }  # fmt: skip
    part = LibsvmPart
    facts = LibsvmFacts
    unseen = ("features", "`unseen_features`")

    def options(self, chosen: Mapping[str, Any]) -> TextOptions:
        """See `Format.options`."""
        split_by, base = chosen.get("split_by"), chosen.get("index_base", "auto")
        if split_by not in (None, "qid"):
            raise UsageError(f"`split_by`: libsvm rows have no column {split_by!r}, only qid")
        text = {
            "format": self.name,
            "index_base": None if base == "auto" else int(base),
            "label_weights": chosen.get("label_weights", False),
            "offset_feature": chosen.get("offset_feature"),
        }
        return stored.check(TextOptions, text, what="libsvm text")

    def draft(
        self, text: bytes, options: TextOptions, *, file: str, seen: Summary | None = None
    ) -> tuple[Summary, Draft]:
        """See `TextFormat.draft`."""
        from mr_ml.readers.libsvm import reader

        return reader.draft(text, options, file=file, seen=seen)

    def resolve(self, options: TextOptions, summary: Summary) -> Schema:
        """See `Format.resolve`."""
        from mr_ml.readers.libsvm import reader

        return reader.resolve(options, summary)

    def parse(self, text: bytes, schema: Schema, *, labels: Labels) -> Parsed:
        """See `TextFormat.parse`."""
        from mr_ml.readers.libsvm import reader

        return reader.parse(text, schema, labels=labels)

    def kept(self, text: bytes, schema: Schema, rows: Rows, keep: Sequence[str]) -> tuple[Sequence[str], ...]:
        """See `TextFormat.kept`."""
        from mr_ml.readers.libsvm import kept

        return kept.texts(text, rows, keep)

    def check_kept(self, bound: Schema, keep: Sequence[str]) -> None:
        """See `Format.check_kept`: what rows have besides label and features."""
        for name in keep:
            if name not in KEEPABLE:
                raise UsageError(
                    f"`keep`: libsvm rows have no {listed([name])} to be kept, only {' and '.join(KEEPABLE)}"
                )

    def begins(self, head: bytes) -> bool:
        """See `Format.begins`: a label and then nothing but ids and values is nothing else."""
        _, *tokens = head.split(b"\n", 1)[0].partition(b"#")[0].split() or [b""]
        return bool(tokens) and all(map(_TOKEN.fullmatch, tokens))

    def hints(self, options: Options, summary: Summary, *, is_said: bool) -> list[str]:
        """See `Format.hints`."""
        weights = ["If rows begin with label:weight, say `label_weights`"] if "no_label" in summary.bad_counts else []
        if is_said:
            return weights
        return [
            *weights,
            "Taken for libsvm text; if it is CSV, say `format` csv, and `delimiter` tab if tabs stand between fields",
        ]

    def inputs(self, schema: Schema) -> Inputs:
        """See `Format.inputs`."""
        from mr_ml.readers.inputs import Inputs

        part: LibsvmPart = schema.part
        if part.has_offsets:
            # as a column it would be one of the features
            raise UsageError(
                "the model's rows are libsvm text with offsets, which no export has a place for; predict with "
                "`mr-ml predict`, or train on CSV, where the offset is a column of its own"
            )
        return Inputs(columns=None, text={"format": "libsvm"}, ignores_unseen=part.options.unseen == "ignore")

    def with_unseen(self, schema: Schema, unseen: Literal["error", "ignore"] | None) -> Schema:
        """See `Format.with_unseen`."""
        part: LibsvmPart = schema.part
        return replace(schema, part=replace(part, options=replace(part.options, unseen=unseen or "error")))


FORMAT: Format = LibsvmFormat()
