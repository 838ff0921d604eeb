"""Lists of what there is, when a part of it is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_libsvm


@pytest.fixture
def models(mr_ml: Commands, tmp_path: Path) -> Commands:
    """Versions 1 to 3 of a model and one of another."""
    x = np.random.default_rng(0).normal(size=(40, 2))
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, np.arange(40) % 2), "--to", "rows")
    for name in ("a", "a", "a", "b"):
        mr_ml("train", "rows", "--model", name, "--l2", "0.1", "--max-passes", "2")
    return mr_ml


def test_a_damaged_manifest_does_not_hide_the_other_models(models: Commands) -> None:
    whole = models("models", "list")["models"]
    folder = models.root / "models" / "a"
    text = (folder / "v000002.json").read_bytes()
    for damage in (text[:-20], text.replace(b"e", b"3", 1), text.replace(b'"training"', b'"braining"'), b"", b"[]"):
        (folder / "v000002.json").write_bytes(damage)
        found = models.run("models", "list", "--json")
        assert found.code == 65
        listed = found.result["models"]
        assert [(m["model"], m["version"]) for m in listed] == [("a", 1), ("a", 2), ("a", 3), ("b", 1)]
        assert [m for m in listed if "damaged" not in m] == [m for m in whole if (m["model"], m["version"]) != ("a", 2)]
        assert str(folder / "v000002.json") in listed[1]["damaged"]
        assert str(folder / "v000002.json") in found.err
        table = models.run("models", "list").out.splitlines()
        assert [line.split()[0] for line in table] == ["model", "a@1", "a@2", "a@3", "b@1"]
        assert table[2].endswith("damaged")
    assert models("models", "show", "a@3")["version"] == 3
