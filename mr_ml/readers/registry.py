"""The formats by name. What a format is: `mr_ml.readers.base`, whose `format_named` gives one with its type."""

from __future__ import annotations

from typing import Any

from hdfs_layout.registry import Registry

FORMATS: Registry[Any] = Registry(
    "format",
    group="mr_ml.formats",
    built_in={
        "libsvm": "mr_ml.readers.libsvm.format:FORMAT",
        "csv": "mr_ml.readers.csv.format:FORMAT",
        "parquet": "mr_ml.readers.tables.parquet:FORMAT",
        "orc": "mr_ml.readers.tables.orc:FORMAT",
        "avro": "mr_ml.readers.tables.avro:FORMAT",
        "jsonl": "mr_ml.readers.tables.json_lines:FORMAT",
        "vw": "mr_ml.readers.vw.format:FORMAT",
    },
    late_modules=("mr_ml.readers.libsvm.reader", "mr_ml.readers.csv.reader", "mr_ml.readers.csv.scan"),
)
