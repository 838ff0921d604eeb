"""A model as JSON: everything that it takes to predict with it, for a program that somebody writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from mr_ml.exports.base import Export, Subject
from mr_ml.exports.document import document_of, text_of
from mr_ml.readers.inputs import Made
from mr_ml.readers.transforms.alone import TRANSFORMS


class JsonExport:
    """See `mr_ml.exports.base.Export`, and `mr_ml.exports.document`."""

    suffix = ".json"
    parameters: ClassVar[Mapping[str, str]] = {}

    def carries(self, made: Made) -> bool:
        """See `Export.carries`: those that docs/exports.md describes."""
        return made.kind in TRANSFORMS

    def notes(self, subject: Subject, chosen: Mapping[str, str]) -> Sequence[str]:
        """See `Export.notes`: there is nothing that it leaves out."""
        return ()

    def write(self, subject: Subject, chosen: Mapping[str, str]) -> bytes:
        """See `Export.write`."""
        return text_of(document_of(subject)).encode()


EXPORT: Export = JsonExport()
