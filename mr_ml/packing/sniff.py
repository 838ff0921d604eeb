"""What format files are of whose names do not say it: by how they begin, and by what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from mr_ml.errors import MrMlError
from mr_ml.readers.base import format_named
from mr_ml.readers.registry import FORMATS
from mr_ml.readers.text.source import TextFile, content, first_line

# Of files whose names and content say nothing.
DEFAULT = "libsvm"

_HEAD_BYTES = 1 << 16


def format_by_options(said: Mapping[str, Any]) -> str | None:
    """Return the first built-in format that has all parameters of which something is said, if anything is."""
    forms = [format_named(name) for name in FORMATS.built_in]
    names = {
        name
        for form in forms
        for name, unsaid in form.parameters.items()
        if said.get(name, unsaid) != unsaid
    }  # fmt: skip
    return next((form.name for form in forms if names and names <= form.parameters.keys()), None)


def format_by_content(files: Sequence[TextFile]) -> str | None:
    """Return the built-in format of which files are by how the first one with content begins, if that says it."""
    file = next((file for file in files if file.size), None)
    if file is None:
        return None
    head = b""
    # whoever reads it all says what is wrong
    with suppress(MrMlError):
        head = next(content(file), b"") if file.compression == "none" else first_line(file)
    # what is text of fields is any text; other formats have marks
    forms = [format_named(name) for name in reversed(FORMATS.built_in)]
    return next((form.name for form in forms if form.begins(head[:_HEAD_BYTES])), None)
