"""A model as one file of Python that needs nothing but the standard library: the scorer, with the model in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import ClassVar

from mr_ml.errors import InternalError
from mr_ml.exports.base import Export, Subject
from mr_ml.exports.document import document_of, text_of
from mr_ml.readers.inputs import Made
from mr_ml.readers.transforms.alone import TRANSFORMS

_PLACE = '_DOCUMENT = "{}"\n'
_FIELDS = re.compile(r"^from mr_ml\.readers\.transforms\.alone import .*\n", re.MULTILINE)
_FUTURE = "from __future__ import annotations\n"


class PythonExport:
    """See `mr_ml.exports.base.Export`, and `mr_ml.exports.scorer`."""

    suffix = ".py"
    parameters: ClassVar[Mapping[str, str]] = {}

    def carries(self, made: Made) -> bool:
        """See `Export.carries`: those that docs/exports.md describes."""
        return made.kind in TRANSFORMS

    def notes(self, subject: Subject, chosen: Mapping[str, str]) -> Sequence[str]:
        """See `Export.notes`."""
        if subject.inputs.columns is None:
            return ("it reads libsvm text, a line a row, and `predict` takes a dict of feature ids",)
        return ("text is read by the csv module, for which a quoted field may have line ends; mr_ml refuses these",)

    def write(self, subject: Subject, chosen: Mapping[str, str]) -> bytes:
        """See `Export.write`."""
        before, place, behind = _source("mr_ml.exports", "scorer.py").partition(_PLACE)
        head, *rest = _FIELDS.split(before)
        _, _, fields = _source("mr_ml.readers.transforms", "alone.py").partition(_FUTURE)
        if not place or len(rest) != 1 or not fields:
            raise InternalError("the scorer has no place for a model; install mr_ml again")
        # in JSON an apostrophe stands in strings only, and can be written otherwise there
        text = text_of(document_of(subject)).replace("'", "\\u0027")
        model = f"# {subject.made}\n_DOCUMENT = r'''{text}'''\n"
        return f"{head.rstrip()}\n{fields}\n\n# --- the model {'-' * 105}\n{rest[0]}{model}{behind}".encode()


def _source(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


EXPORT: Export = PythonExport()
