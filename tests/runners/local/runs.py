"""Running toy jobs: their options, inputs and output."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def make(job_class: type, runner: str, folder: Path, *arguments: object) -> Any:
    return job_class(["-r", runner, "--num-cores", "2", "--local-tmp-dir", str(folder), *map(str, arguments)])


def write(folder: Path, **files: str) -> list[Path]:
    paths = []
    for name, text in files.items():
        path = folder / name
        path.write_text(text)
        paths.append(path)
    return paths


def pairs(output: Iterable[bytes]) -> list[tuple[Any, ...]]:
    return [tuple(json.loads(part) for part in line.split(b"\t")) for line in output]


WORDS = {"a": "to be or not to be\n", "b": "be\nor\n", "c": ""}
COUNTED = [("be", 3), ("not", 1), ("or", 2), ("to", 2)]
