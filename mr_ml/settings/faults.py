"""What is wrong with a file that people wrote, as they are told: all at once, a line each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from mr_ml.settings.yaml_tree import Fault, Place

_MOST_FAULTS = 50


def lines_of(path: str, faults: Iterable[Fault]) -> list[str]:
    """Return the faults of a file as lines of a message: ``retrain.yaml:12: input.dayz: unknown key; ...``."""
    ordered = sorted(set(faults), key=lambda fault: (fault.line, str(fault.place), fault.text))
    # in backquotes the command line has its options, not the keys of a file
    said = [(fault, fault.text.replace("`", '"')) for fault in ordered[:_MOST_FAULTS]]
    lines = [f"{path}:{fault.line}: {spelled_place(fault.place)}{text}" for fault, text in said]
    more = len(ordered) - len(lines)
    return [*lines, f"{path}: and {more} more"] if more else lines


def spelled_place(place: Place) -> str:
    """Return keys and indices as a message begins with them: ``notify[0].on: ``."""
    text = ""
    for key in place:
        text += f"[{key}]" if isinstance(key, int) else f".{ascii(key)[1:-1][:60]}"
    return f"{text.removeprefix('.')}: " if text else ""


def suggestion(key: str, known: Sequence[str]) -> str:
    """Return what was meant by a word that is not known, or what there is."""
    close = difflib.get_close_matches(key, known, n=1) or [name for name in known if key and name.startswith(key)]
    return f"did you mean `{close[0]}`?" if close else f"there is {', '.join(known)}"
