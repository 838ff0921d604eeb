"""The transforms by name. What a transform is: `mr_ml.readers.transforms.base`."""

from __future__ import annotations

from typing import Any

from hdfs_layout.registry import Registry

TRANSFORMS: Registry[Any] = Registry(
    "transform",
    group="mr_ml.transforms",
    built_in={
        "quantity": "mr_ml.readers.transforms.quantity:Quantity",
        "category": "mr_ml.readers.transforms.category:Category",
        "hashed": "mr_ml.readers.transforms.hashed:Hashed",
        "bucketised": "mr_ml.readers.transforms.bucketised:Bucketised",
        "crossed": "mr_ml.readers.transforms.crossed:Crossed",
        "words": "mr_ml.readers.transforms.words:Words",
        "date": "mr_ml.readers.transforms.date:Date",
    },
)
