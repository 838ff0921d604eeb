"""Coefficients in files that this and other programs write: a kind of file each in a module of its own, by name.

Nothing here loads numpy: the command line asks for names alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hdfs_layout.registry import Registry

if TYPE_CHECKING:
    from mr_ml.coefficients.base import CoefficientFile

COEFFICIENT_FILES: Registry[CoefficientFile] = Registry(
    "kind of file of coefficients",
    group="mr_ml.coefficient_files",
    built_in={
        "json": "mr_ml.coefficients.json_export:KIND",
        "npz": "mr_ml.coefficients.numpy_arrays:KIND",
        "liblinear": "mr_ml.coefficients.liblinear_text:KIND",
        "vw": "mr_ml.coefficients.vw_text:KIND",
    },
)
"""The kinds, in the order in which a file is looked at."""
