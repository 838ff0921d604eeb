"""A model as one file of Python that needs nothing but the standard library: the scorer, with the model in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import ClassVar

from mr_ml.errors import InternalError
from mr_ml.exports.base import Export, Subject
from mr_ml.exports.document import document_of, text_of

_PLACE = '_DOCUMENT = "{}"\n'


class PythonExport:
    """See `mr_ml.exports.base.Export`, and `mr_ml.exports.scorer`."""

    suffix = ".py"
    parameters: ClassVar[Mapping[str, str]] = {}

    def notes(self, subject: Subject, chosen: Mapping[str, str]) -> Sequence[str]:
        """See `Export.notes`."""
        if subject.inputs.columns is None:
            return ("it reads libsvm text, a line a row, and `predict` takes a dict of feature ids",)
        return ("text is read by the csv module, for which a quoted field may have line ends; mr_ml refuses these",)

    def write(self, subject: Subject, chosen: Mapping[str, str]) -> bytes:
        """See `Export.write`."""
        source = resources.files("mr_ml.exports").joinpath("scorer.py").read_text(encoding="utf-8")
        before, place, behind = source.partition(_PLACE)
        if not place:
            raise InternalError("the scorer has no place for a model; install mr_ml again")
        # in JSON an apostrophe stands in strings only, and can be written otherwise there
        text = text_of(document_of(subject)).replace("'", "\\u0027")
        return f"{before}# {subject.made}\n_DOCUMENT = r'''{text}'''\n{behind}".encode()


EXPORT: Export = PythonExport()
