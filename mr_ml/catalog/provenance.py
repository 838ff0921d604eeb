"""Where a retrained model comes from, as its manifest keeps it: rows, code, settings, and who asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file of text that was packed.

    Attributes
    ----------
    path
        Its path or URI.
    size
        In bytes.
    checksum
        Algorithm and value, such as "sha256:9f86...": of its bytes in a folder, of its blocks on HDFS, the ETag on S3.
    day
        Of the window, ``2026-11-26``.
    """

    path: str
    size: stored.Count
    checksum: str
    day: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a retrained model comes from.

    Attributes
    ----------
    window
        Its last day, ``2026-11-26``, which names it; `first_day`, and the named time zone of both.
    inputs
        Every file that was packed.
    missing_days
        Of the window, for which there was no data.
    code
        mr_ml's version, and a digest of the code that tasks run.
    python, packages
        Version of Python; versions of the packages that results depend on, by name.
    settings
        The whole of `retrain.yaml` as it was understood, without secrets.
    by
        Who ran it: user, host, process id and command line's words.
    """

    window: str
    first_day: str
    timezone: str
    inputs: tuple[InputFile, ...]
    missing_days: tuple[str, ...]
    code: Mapping[str, str]
    python: str
    packages: Mapping[str, str]
    settings: Mapping[str, Any]
    by: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**vars(self), "inputs": [dict(vars(file)) for file in self.inputs]}
