"""Labels as users write them."""

from __future__ import annotations

from mr_ml.readers.schema import Schema


def label_texts(schema: Schema, classes: tuple[float, ...]) -> list[str]:
    """Return labels as users write them, different ones different; `classes` as the schema codes them."""
    if schema.label_kind == "text":
        return [str(schema.labels[int(c)]) for c in classes]
    return [f"{c:.0f}" if c.is_integer() and abs(c) < 1e16 else repr(c) for c in classes]
