"""Models for other programs: a kind of export each in a file of its own, and the registry of their names.

Nothing here loads numpy: the command line asks for names alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hdfs_layout.registry import Registry

if TYPE_CHECKING:
    from mr_ml.exports.base import Export

EXPORTS: Registry[Export] = Registry(
    "export",
    group="mr_ml.exports",
    built_in={
        "json": "mr_ml.exports.as_json:EXPORT",
        "onnx": "mr_ml.exports.as_onnx:EXPORT",
        "pmml": "mr_ml.exports.as_pmml:EXPORT",
        "python": "mr_ml.exports.as_python:EXPORT",
        "sklearn": "mr_ml.exports.as_sklearn:EXPORT",
        "sql": "mr_ml.exports.as_sql:EXPORT",
    },
)
