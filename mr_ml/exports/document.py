"""The document of a model: what `mr_ml.exports.as_json` writes, and what the stand-alone scorer reads.

docs/exports.md describes it, `model.schema.json` in this folder is its JSON Schema. A field that is added leaves
version as it is; one without which a reader predicts something else does not: version 2 is that of `transforms`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from mr_ml import __version__
from mr_ml.exports.base import Subject
from mr_ml.readers.inputs import Made

FORMAT = "mr_ml.model"
FORMAT_VERSION = 1
WITH_TRANSFORMS = 2


def document_of(subject: Subject) -> dict[str, Any]:
    """Return plain JSON types."""
    formula, inputs = subject.formula, subject.inputs
    return {
        "format": FORMAT,
        "format_version": WITH_TRANSFORMS if inputs.made else FORMAT_VERSION,
        "written_by": f"mr_ml {__version__}",
        "model": subject.name,
        "version": subject.version,
        "dataset": subject.dataset,
        "loss": subject.loss,
        "response": formula.response.value,
        "values": subject.value_word,
        "labels": list(subject.labels),
        "n_features": subject.n_features,
        "index_base": subject.index_base,
        "features": formula.features.tolist(),
        "feature_names": list(subject.feature_names),
        "coefficients": formula.coefficients.tolist(),
        "intercepts": formula.intercepts.tolist(),
        "centres": formula.centres.tolist(),
        "inputs": {
            "columns": None if inputs.columns is None else [_plain(asdict(column)) for column in inputs.columns],
            "offset": inputs.offset,
            "missing_texts": list(inputs.missing_texts),
            "missing_number_texts": list(inputs.missing_number_texts),
            "ignores_unseen": inputs.ignores_unseen,
            "text": inputs.text,
            **({"transforms": [_made(made) for made in inputs.made]} if inputs.made else {}),
        },
    }


def _made(made: Made) -> dict[str, Any]:
    return {"kind": made.kind, "first": made.first, "n_features": made.n_features, **made.parameters}


def _plain(column: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in column.items()}


def text_of(document: dict[str, Any]) -> str:
    """Return a document as text of plain ASCII, a line for each field."""
    fields = (f" {json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in document.items())
    return "{\n" + ",\n".join(fields) + "\n}\n"
