"""What docs/extending.md names is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from hdfs_layout.registry import Registry

CHECKOUT = Path(__file__).resolve().parents[2]
GUIDE = (CHECKOUT / "docs" / "extending.md").read_text(encoding="utf-8")


def test_files() -> None:
    paths = re.findall(r"`((?:mr_ml|hdfs_layout|tests)/[\w/.]+)`", GUIDE)
    assert len(paths) > 25
    assert [path for path in paths if not (CHECKOUT / path).exists()] == []


def test_registries() -> None:
    rows = re.findall(r"`([\w/]+)\.py`, `(mr_ml\.\w+)`", GUIDE)
    assert len(rows) == len(set(rows)) > 5
    for path, group in rows:
        module = importlib.import_module(path.removesuffix("/__init__").replace("/", "."))
        assert group in {value.group for value in vars(module).values() if isinstance(value, Registry)}
