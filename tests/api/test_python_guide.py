"""docs/python.md says what is so: its examples run, one after the other, and print what they say."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
GUIDE = CHECKOUT / "docs" / "python.md"
COLUMNS = "sepal_length,sepal_width,petal_length,petal_width"
CENTRES = {"setosa": (5.0, 3.4, 1.5, 0.2), "versicolor": (5.9, 2.8, 4.3, 1.3), "virginica": (6.6, 3.0, 5.6, 2.0)}


def test_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    rows = [
        ",".join([*(f"{value:.2f}" for value in rng.normal(centre, 0.3)), label])
        for label, centre in CENTRES.items()
        for _ in range(50)
    ]
    Path("iris.csv").write_text("\n".join([f"{COLUMNS},label", *rows]) + "\n")
    Path("new_rows.csv").write_text(f"{COLUMNS}\n5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n")
    subprocess.run([sys.executable, CHECKOUT / "scripts" / "sample_data.py", "."], check=True)
    shutil.copy(CHECKOUT / "docs" / "examples" / "tumours.yaml", "retrain.yaml")
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        expected = [line[2:] for line in block.splitlines() if line.startswith("# ")]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, str(GUIDE), "exec"), names)
        assert printed.getvalue().splitlines() == expected, block
