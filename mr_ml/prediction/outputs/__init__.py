"""Output formats: how predictions are written, a file each; see `mr_ml.prediction.outputs.base`.

Nothing here loads numpy: the command line asks for the registry alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hdfs_layout.registry import Registry
from mr_ml.errors import UsageError

if TYPE_CHECKING:
    from mr_ml.prediction.outputs.base import OutputFormat

DEFAULT = "tsv"

#: Such files would not be what their names say.
COMPRESSED = (".gz", ".bz2", ".zst", ".xz")

OUTPUT_FORMATS: Registry[OutputFormat] = Registry(
    "output format",
    group="mr_ml.output_formats",
    built_in={
        DEFAULT: "mr_ml.prediction.outputs.tsv:FORMAT",
        "csv": "mr_ml.prediction.outputs.csv:FORMAT",
        "jsonl": "mr_ml.prediction.outputs.jsonl:FORMAT",
        "parquet": "mr_ml.prediction.outputs.parquet:FORMAT",
    },
)
"""Name -> format; tasks find what is installed on their machine."""


def output_format_of(name: str | None, *, to: str) -> OutputFormat:
    """Return the output format of a name, else the built-in one by how the path of the output ends, else the default.

    Raises
    ------
    UsageError
        If there is none of that name, or what it needs is not installed, or the path ends as compressed files do.
    """
    if to.lower().rstrip("/").endswith(COMPRESSED):
        raise UsageError(
            f"`to`: expected a name of a file that is not compressed, found {to!r}; compress it afterwards"
        )
    if name is None:
        by_suffix = (OUTPUT_FORMATS.get(known) for known in OUTPUT_FORMATS.built_in)
        form = next((form for form in by_suffix if to.lower().rstrip("/").endswith(form.suffix)), None)
        form = OUTPUT_FORMATS.get(DEFAULT) if form is None else form
    else:
        form = OUTPUT_FORMATS.get(name)
    form.check()
    return form
