"""Check the keys of a part of a file against what may stand there: all faults at once, and what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.settings.faults import suggestion
from mr_ml.settings.yaml_tree import Fault, Node, Place


def values_of(node: Node, place: Place, known: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """Return the values of the keys that are right, and say what is wrong with the others.

    Parameters
    ----------
    known
        Key -> annotation, as `mr_ml.data.stored` reads it.
    faults
        To which what is wrong is added.
    """
    if not isinstance(node.items, dict):
        if not node.is_faulty:
            faults.append(Fault(node.line, place, f"expected lines `key: value`, found {node.shown()}"))
        return {}
    values = {}
    for key, item in node.items.items():
        at = (*place, key)
        if key not in known:
            faults.append(Fault(node.keys.get(key, item.line), at, f"unknown key; {suggestion(key, list(known))}"))
        elif not _is_faulty(item):
            try:
                values[key] = stored.chosen(known[key], item.plain(), key)
            except UsageError as error:
                faults.append(Fault(item.line, at, _said(str(error), key, item)))
    return values


def _said(text: str, key: str, item: Node) -> str:
    text = text.removeprefix(f"`{key}`").removeprefix(": ")
    before, found, _ = text.rpartition(", found ")
    if found and not text.startswith("["):
        before = before.replace("a dict", "lines `key: value`").replace("True or False", "true or false")
        text = f"{before}{found}{item.shown()}"
    close = difflib.get_close_matches(str(item.value), re.findall(r"'([^']*)'", before), n=1)
    return f"{text}; did you mean `{close[0]}`?" if close else text


def _is_faulty(node: Node) -> bool:
    inner = node.items.values() if isinstance(node.items, dict) else node.items or ()
    return node.is_faulty or any(map(_is_faulty, inner))
