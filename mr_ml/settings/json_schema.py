"""What the JSON Schemas of files that people write are made of: types, and what docstrings say."""

from __future__ import annotations

import inspect
import re
from typing import Any


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


def describe(made: dict[str, Any], kind: type[Any]) -> None:
    """Add what docstrings say."""
    said = attributes(kind)
    made["description"] = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
    for name, of_name in made["properties"].items():
        if name in said:
            of_name["description"] = said[name]


def tidied(made: Any) -> Any:
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
            key: {name: tidied(item) for name, item in value.items()} if key in named else tidied(value)
            for key, value in kept.items()
        }
    return [tidied(item) for item in made] if isinstance(made, list) else made
