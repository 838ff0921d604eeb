"""The JSON Schema of schema files of tables, for editors: made of the transforms, their types and their docstrings.

`table.schema.json` beside this module is what it says; ``python -m mr_ml.settings.table_schema`` writes it anew.
"""

from __future__ import annotations

import inspect
import json
import typing
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from mr_ml.readers.transforms.base import Transform
from mr_ml.readers.transforms.registry import TRANSFORMS
from mr_ml.settings.json_schema import attributes, tidied
from mr_ml.settings.table_file import PLAIN, TableFile, written

FILE = Path(__file__).with_name("table.schema.json")


def schema() -> dict[str, Any]:
    """Return the schema; needs pydantic."""
    kinds: list[type[Transform]] = [TRANSFORMS.get(name) for name in TRANSFORMS.built_in]
    definitions = {kind.written: _of_kind(kind) for kind in kinds}
    columns = [kind for kind in kinds if kind.section == "columns"]
    one: list[dict[str, Any]] = [{"enum": [*PLAIN, *(kind.written for kind in columns if kind.written not in PLAIN)]}]
    one += [{"$ref": f"#/$defs/{kind.written}"} for kind in columns]
    definitions["column"] = {"anyOf": one}
    use = {"$ref": "#/$defs/column"}
    properties = _properties(TableFile, typing.get_type_hints(TableFile, include_extras=True))
    properties["columns"] |= {"additionalProperties": {"anyOf": [use, {"type": "array", "items": use, "minItems": 1}]}}
    for kind in kinds:
        if kind.section != "columns":
            properties[kind.section] = {"type": "array", "items": {"$ref": f"#/$defs/{kind.written}"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "schema.yaml",
        "description": _first_line(TableFile),
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
    }


def text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(schema(), indent=1) + "\n"


def _of_kind(kind: type[Transform]) -> dict[str, Any]:
    known = written(kind)
    needed = [item.name for item in fields(kind) if item.name in known and item.default is MISSING]
    properties = _properties(kind, known)
    if kind.section == "columns":
        properties = {"kind": {"const": kind.written}, **properties}
        needed = ["kind", *needed]
    said = {"description": _first_line(kind), "type": "object", "properties": properties}
    return {**said, **({"required": needed} if needed else {}), "additionalProperties": False}


def _properties(kind: type[Any], known: dict[str, Any]) -> dict[str, Any]:
    from pydantic import TypeAdapter

    said: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        said |= attributes(one)
    properties = {name: tidied(TypeAdapter(annotation).json_schema()) for name, annotation in known.items()}
    for item in fields(kind):
        if item.name in known:
            if item.name in said:
                properties[item.name]["description"] = said[item.name]
            if item.default is not MISSING and item.default is not None and item.default != ():
                properties[item.name]["default"] = item.default
    return properties


def _first_line(kind: type[Any]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
