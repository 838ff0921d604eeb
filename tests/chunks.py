"""Chunks of text read by the format that their options or schema name."""

from __future__ import annotations

from mr_ml.readers.base import Draft, Labels, format_named
from mr_ml.readers.rows import Parsed
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.format import TextFormat


def draft(text: bytes, options: Options, *, file: str, seen: Summary | None = None) -> tuple[Summary, Draft | None]:
    return _format(options.format).draft(text, options, file=file, seen=seen)


def resolve(options: Options, summary: Summary) -> Schema:
    return format_named(options.format).resolve(options, summary)


def parse(text: bytes, schema: Schema, *, labels: Labels) -> Parsed:
    return _format(schema.format).parse(text, schema, labels=labels)


def _format(name: str) -> TextFormat:
    form = format_named(name)
    assert isinstance(form, TextFormat)
    return form
