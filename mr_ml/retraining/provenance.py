"""Where a candidate comes from, as its manifest records it: rows, code, packages, settings, and who asked for it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from mr_ml import __version__
from mr_ml.catalog.provenance import Provenance
from mr_ml.retraining.window import Window
from mr_ml.runners.hadoop.code import shipped_code
from mr_ml.whoami import whoami

# On which a model's bits depend, or that decide how text is read.
PACKAGES = ("mrjob", "numpy", "pybase64", "scipy", "threadpoolctl", "zstandard")


def provenance_of(window: Window, settings: Mapping[str, Any]) -> Provenance:
    """Return what the manifest of a candidate says of where it comes from.

    Parameters
    ----------
    settings
        As they were understood, without secrets.
    """
    return Provenance(
        window=window.label,
        first_day=window.first.isoformat(),
        timezone=window.timezone,
        inputs=window.files,
        missing_days=tuple(day.isoformat() for day in window.missing),
        code={"mr_ml": __version__, "digest": shipped_code().hash},
        python=platform.python_version(),
        packages={name: version for name in PACKAGES if (version := _version(name)) is not None},
        settings=settings,
        by=whoami(),
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
