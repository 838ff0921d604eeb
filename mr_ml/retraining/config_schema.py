"""The JSON Schema of `retrain.yaml`, for editors: made of the sections, their types and their docstrings.

`retrain.schema.json` beside this module is what it says; ``python -m mr_ml.retraining.config_schema`` writes it anew.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from mr_ml.models.base import MODEL_KINDS, UNNAMED_KIND, TrainSpec
from mr_ml.retraining.sections import NotifyRules, RetrainConfig
from mr_ml.retraining.validate import adapter, sections_in
from mr_ml.settings.json_schema import describe, tidied

FILE = Path(__file__).with_name("retrain.schema.json")


def schema() -> dict[str, Any]:
    """Return the schema."""
    made = tidied(adapter().json_schema())
    definitions = made["$defs"]
    for kind in sections_in(RetrainConfig):
        of_kind = made if kind is RetrainConfig else definitions[kind.__name__]
        describe(of_kind, kind)
    either = [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in ("command", "webhook")]
    definitions[NotifyRules.__name__]["oneOf"] = either
    made["properties"]["train"] |= _train()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "retrain.yaml", **made}


def text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(schema(), indent=1) + "\n"


def _train() -> dict[str, Any]:
    """Return the schema of the section `train`, by kind of model."""
    elsewhere = {item.name for item in fields(TrainSpec)} | {"warm_start"}
    branches = []
    for name in MODEL_KINDS.built_in:
        spec: Any = MODEL_KINDS.get(name).spec
        made = tidied(adapter(spec).json_schema())
        describe(made, spec)
        options = {key: value for key, value in made["properties"].items() if key not in elsewhere}
        is_kind: dict[str, Any] = {"properties": {"kind": {"const": name}}}
        if name != UNNAMED_KIND:
            is_kind["required"] = ["kind"]
        own = {"properties": {"kind": {"const": name}, **options}, "additionalProperties": False}
        branches.append({"if": is_kind, "then": own})
    return {"properties": {"kind": {"type": "string", "default": UNNAMED_KIND}}, "allOf": branches}


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
