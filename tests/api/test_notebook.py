"""A notebook, as a kernel of Jupyter runs it: it works, and its bits do not depend on the threads of BLAS."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import environment

nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

CELLS = (
    """
import hashlib
import numpy as np
import mr_ml

rng = np.random.default_rng(0)
x = rng.normal(size=(3000, 60)) @ rng.normal(size=(60, 60))
y = (x[:, 0] + 5 * rng.normal(size=3000) > 0).astype(int)
dataset = mr_ml.pack_arrays("data", x, y, "rows")
""",
    """
passes = []
result = mr_ml.train("data", "rows", "model", l2=0.01, solver="newton", watch=passes.append)
print(result.converged, len(passes) > 1)
""",
    """
with mr_ml.show_progress():
    mr_ml.train("data", "rows", "again", l2=0.01, runner="local", workers=1)
""",
    "model = mr_ml.load('model', root='data')\nmodel",
    """
frame = dict(zip(model.feature_names, x.T))
same = np.array_equal(model.predict_proba(frame), model.predict_proba(x))
print(same, hashlib.sha256(model.predict_proba(x).tobytes() + model.model.coef.tobytes()).hexdigest())
""",
)


def executed(folder: Path, *, threads: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The outputs of all cells."""
    import nbformat

    v4: Any = nbformat.v4
    notebook = v4.new_notebook(
        cells=[v4.new_code_cell(source) for source in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}},
    )
    folder.mkdir()
    with monkeypatch.context() as patch:
        for name, value in {
            **environment(), "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads,
            "JUPYTER_PREFER_ENV_PATH": "1", "JUPYTER_PLATFORM_DIRS": "1", "IPYTHONDIR": str(folder / "ipython"),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        nbclient.NotebookClient(
            notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    return [output for cell in notebook.cells for output in cell.outputs]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_notebook_gives_the_same_bits_with_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert os.path.exists(os.path.join(sys.prefix, "share", "jupyter", "kernels", "python3"))
    said = []
    for threads in ("1", "2"):
        trained, *told, shown, compared = executed(tmp_path / threads, threads=threads, monkeypatch=monkeypatch)
        assert trained.text == "True True\n"
        # a line may be an output of its own
        lines = "".join(output.text for output in told).splitlines()
        first, *passes, last = [line.split("  ", 1)[1] for line in lines]
        assert (first, last.partition(" in ")[0]) == ("training again ...", "training again: done")
        assert [line.split()[:2] for line in passes] == [["pass", str(k + 1)] for k in range(len(passes))] != []
        assert shown.data["text/plain"].startswith("LoadedModel(model@1: logistic, l2 0.01, 60 features)")
        assert "<table><tr><th>feature</th>" in shown.data["text/html"]
        assert compared.text.startswith("True ")
        said.append(compared.text)
    assert said[0] == said[1]
