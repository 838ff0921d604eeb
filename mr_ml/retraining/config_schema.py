"""The JSON Schema of `retrain.yaml`, for editors: made of the sections, their types and their docstrings.

`retrain.schema.json` beside this module is what it says; ``python -m mr_ml.retraining.config_schema`` writes it anew.
"""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from mr_ml.models.base import MODEL_KINDS, UNNAMED_KIND, TrainSpec
from mr_ml.retraining.sections import NotifyRules, RetrainConfig
from mr_ml.retraining.validate import adapter, sections_in

FILE = Path(__file__).with_name("retrain.schema.json")


def schema() -> dict[str, Any]:
    """Return the schema."""
    made = _tidied(adapter().json_schema())
    definitions = made["$defs"]
    for kind in sections_in(RetrainConfig):
        of_kind = made if kind is RetrainConfig else definitions[kind.__name__]
        _describe(of_kind, kind)
    either = [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in ("command", "webhook")]
    definitions[NotifyRules.__name__]["oneOf"] = either
    made["properties"]["train"] |= _train()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "retrain.yaml", **made}


def text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(schema(), indent=1) + "\n"


def attributes(kind: type[Any]) -> dict[str, str]:
    """Return what the docstring of a class says of each attribute, in a line."""
    doc = inspect.getdoc(kind) or ""
    _, _, listed = doc.partition("Attributes\n----------\n")
    found: dict[str, str] = {}
    for names, said in re.findall(r"^(\w+(?:, \w+)*)\n((?:    .*\n?)+)", listed, re.MULTILINE):
        # as YAML spells it
        said = " ".join(re.sub(r"\bNone\b", "null", said).replace("``", "`").split())
        found |= dict.fromkeys(names.split(", "), said)
    return found


def _train() -> dict[str, Any]:
    """Return the schema of the section `train`, by kind of model."""
    elsewhere = {item.name for item in fields(TrainSpec)} | {"warm_start"}
    branches = []
    for name in MODEL_KINDS.built_in:
        spec: Any = MODEL_KINDS.get(name).spec
        made = _tidied(adapter(spec).json_schema())
        _describe(made, spec)
        options = {key: value for key, value in made["properties"].items() if key not in elsewhere}
        is_kind: dict[str, Any] = {"properties": {"kind": {"const": name}}}
        if name != UNNAMED_KIND:
            is_kind["required"] = ["kind"]
        own = {"properties": {"kind": {"const": name}, **options}, "additionalProperties": False}
        branches.append({"if": is_kind, "then": own})
    return {"properties": {"kind": {"type": "string", "default": UNNAMED_KIND}}, "allOf": branches}


def _describe(made: dict[str, Any], kind: type[Any]) -> None:
    """Add what docstrings say."""
    said = attributes(kind)
    made["description"] = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
    for name, of_name in made["properties"].items():
        if name in said:
            of_name["description"] = said[name]


def _tidied(made: Any) -> Any:
    """Return a schema without titles, which repeat names, and without defaults that say nothing."""
    if isinstance(made, dict):
        # `title` may be the name of a property too
        kept = {
            key: value
            for key, value in made.items()
            if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
        }
        named = ("properties", "$defs")
        return {
            key: {name: _tidied(item) for name, item in value.items()} if key in named else _tidied(value)
            for key, value in kept.items()
        }
    return [_tidied(item) for item in made] if isinstance(made, list) else made


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
