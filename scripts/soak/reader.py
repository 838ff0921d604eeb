"""A reader in a process of its own that looks at everything, again and again, while a retraining is killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import forked

import mr_ml
from hdfs_layout import NotFoundError, list_versions, open_root, read_version
from mr_ml.catalog.promotions import read_promotions


@dataclass
class Seen:
    """What a reader has seen.

    Attributes
    ----------
    polls
        How often it looked at everything.
    looks
        How many documents and models it read whole.
    gone
        Versions that were listed, and removed before they were read: retention may do that.
    torn
        What was not whole, in words.
    """

    polls: int = 0
    looks: int = 0
    gone: int = 0
    torn: list[str] = field(default_factory=list)


class Reader:
    """Reads a root until `stop`.

    Parameters
    ----------
    expected
        sha256 of the coefficients by version; ``ctr`` must always mean one of them, and never an earlier one again.
    """

    def __init__(self, folder: Path, root: str | Path, expected: Mapping[int, str], *, model: str = "ctr") -> None:
        self.output = folder / "reader.txt"
        self.running = forked.fork(lambda: _read(str(root), expected, model), self.output)

    def stop(self) -> Seen:
        """End it; return what it has seen."""
        self.running.kill(signal.SIGTERM)
        ended = self.running.wait()
        if ended.code:
            raise AssertionError(f"the reader ended with {ended.code}: {ended.text}")
        return Seen(**ended.result)


def _read(place: str, expected: Mapping[int, str], model: str) -> int:
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stop.append(number))
    root, seen, last = open_root(place), Seen(), 0

    def look(what: str, read: Callable[[], Any], *, may_go: Callable[[], bool] = lambda: False) -> Any:
        seen.looks += 1
        try:
            return read()
        except NotFoundError as error:
            if may_go():
                seen.gone += 1
            else:
                seen.torn.append(f"{what}: {error}")
        except Exception as error:
            seen.torn.append(f"{what}: {type(error).__name__}: {error}")
        return None

    def is_gone(folder: str, number: int) -> bool:
        return number not in list_versions(root.store, folder)

    def promoted() -> tuple[int, str]:
        found = mr_ml.load_model(root, model)
        return found.version, str(found.manifest["coef"]["sha256"])

    while not stop or not seen.polls:
        meant = look(model, promoted)
        if meant is not None:
            number, digest = meant
            if expected.get(number) != digest or number < last:
                seen.torn.append(f"{model} means version {number} with {digest[:8]} after {last}")
            last = number
        for folder in (root.layout.model(model), root.layout.dataset("clicks")):
            for number in look(folder, partial(list_versions, root.store, folder)) or ():
                read = partial(read_version, root.store, folder, number)
                look(f"{folder} {number}", read, may_go=partial(is_gone, folder, number))
        entries = look("promotions", lambda: read_promotions(root, model))
        if entries is not None and entries[1]:
            seen.torn += entries[1]
        seen.polls += 1
    print(json.dumps(vars(seen)))
    return os.EX_OK
