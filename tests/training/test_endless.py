"""Wide data that several features together separate: proved by the rows, where the search had taken it for converged.

Levels of a category have an indicator and a slope each; where all small values of a level are of one class and all
large ones of the other, these two separate its rows, and neither does alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import mr_ml
from mr_ml.optimize.base import Stop

LEVELS, ROWS = 360, 6


def rows(*, apart: int, n_classes: int = 2, seed: int = 0) -> tuple[Any, Any]:
    """The first levels are apart, all others have every class among small and large values."""
    random = np.random.default_rng(seed)
    level = np.repeat(np.arange(LEVELS), ROWS)
    value = random.normal(size=len(level)) + 5 * (level < apart)
    y = np.zeros(len(level))
    for k in range(LEVELS):
        in_order = np.flatnonzero(level == k)[np.argsort(value[level == k])]
        y[in_order] = (
            (np.arange(ROWS) >= ROWS // 2) if k < apart else random.permutation([0, 1, 0])[np.arange(ROWS) % 3]
        )
        if k >= apart and n_classes == 3:
            y[in_order[[1, 4]]] = 2
    x = sparse.lil_array((len(level), 2 * LEVELS + 1))
    x[np.arange(len(level)), level] = 1
    x[np.arange(len(level)), LEVELS + level] = value
    x[:, [2 * LEVELS]] = random.normal(size=(len(level), 1))
    return sparse.csr_array(x), y


@pytest.mark.parametrize("solver", ["lbfgs", "lbfgs-sampled", "proximal-lbfgs"])
def test_it_is_proved(tmp_path: Path, solver: str) -> None:
    names = [*(f"is{k}" for k in range(LEVELS)), *(f"by{k}" for k in range(LEVELS)), "all"]
    for seed, apart in ((2, 0), (2, 3)):
        x, y = rows(apart=apart, seed=seed)
        mr_ml.pack_arrays(tmp_path, x, y, "rows", feature_names=names)
        found = mr_ml.train(tmp_path, "rows", "m", solver=solver, tolerance=1e-4, max_passes=400)
        if not apart:
            # where some rows are far ahead all the same, that is not known
            assert found.converged
            continue
        assert found.stop == Stop.SEPARABLE.value
        (said,) = found.warnings
        told = said.removeprefix("some rows are told apart without fail by ").split(";")[0].split(", ")
        # what the search itself has found may be no more than most of it
        assert {f"{way}{k}" for way in ("is", "by") for k in range(apart)} & set(told)


def test_no_number_of_passes_is_said_to_help(tmp_path: Path) -> None:
    x, y = rows(apart=3, seed=2)
    mr_ml.pack_arrays(tmp_path, x, y, "rows")
    found = mr_ml.train(tmp_path, "rows", "m", solver="lbfgs", tolerance=1e-9, max_passes=60)
    assert found.stop == Stop.PASSES.value
    (said,) = found.warnings
    assert "no number of passes reaches it" in said
