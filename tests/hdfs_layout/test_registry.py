"""A registry's kinds: built in, registered, installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hdfs_layout.errors import UsageError
from hdfs_layout.registry import Registry


def registry() -> Registry[object]:
    return Registry("shape", group="mr_ml.test_shapes", built_in={"path": "pathlib:Path", "nowhere": "no_module:x"})


def test_a_built_in_kind_is_loaded_when_it_is_asked_for() -> None:
    assert registry().get("path") is Path
    assert list(registry()) == ["path", "nowhere"]


def test_a_registered_kind_is_known_until_it_is_taken_back() -> None:
    shapes = registry()
    shapes.register("circle", "round")
    assert shapes.get("circle") == "round"
    assert list(shapes) == ["path", "nowhere", "circle"]
    shapes.unregister("circle")
    assert "circle" not in shapes


def test_a_name_is_given_once() -> None:
    with pytest.raises(UsageError, match="shape 'path' exists already"):
        registry().register("path", 1)


def test_an_unknown_kind_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UsageError, match="shape 'square' is not known; choose one of path, nowhere"):
        registry().get("square")


def test_an_installed_package_brings_a_kind_to_every_process(tmp_path: Path) -> None:
    (tmp_path / "square_shape.py").write_text("KIND = 'four corners'\n")
    metadata = tmp_path / "square_shape-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: square-shape\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[mr_ml.test_shapes]\nsquare = square_shape:KIND\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from hdfs_layout.registry import Registry\n"
        "shapes = Registry('shape', group='mr_ml.test_shapes', built_in={'path': 'pathlib:Path'})\n"
        "print(shapes.get('square'), list(shapes))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "four corners ['path', 'square']\n"
