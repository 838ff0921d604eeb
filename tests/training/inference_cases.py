"""Models with their standard errors, for tests of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from test_glm_optima import fit

import mr_ml
from mr_ml.models.inference import Inference

EXACTLY = ("--tolerance", "1e-12")


def inferred(folder: Path) -> Inference:
    return mr_ml.infer(folder / "root", "m")


def fitted(folder: Path, x: Any, y: Any, loss: str, *options: object, **columns: Any) -> Inference:
    trained = fit(folder, x, y, loss, *EXACTLY, *options, **columns).trained
    assert trained["converged"], trained["stop"]
    return inferred(folder)
