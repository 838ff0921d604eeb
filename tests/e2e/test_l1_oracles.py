"""What liblinear found with an L1 penalty, and the linear SVM of squared hinge loss, where the files are.

`_oracles` hold sums, ||w||_1 + C sum_i loss_i: ours is that over C n, with --l1 1 / (C n).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, packed
from scipy import special
from sklearn.datasets import load_svmlight_file

FILES = {
    "a9a": ("a9a/a9a", 32561),
    "heart_scale": ("heart_scale/heart_scale", 270),
    "breast-cancer": ("libsvm_small/breast-cancer", 683),
}


@pytest.fixture(scope="module")
def mr_ml(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    return Commands(tmp_path_factory.mktemp("l1") / "root", runner=("-r", "inline"))


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("name", FILES)
def test_optimum(mr_ml: Commands, data_dir: Path, name: str, penalty: str) -> None:
    known = json.loads((data_dir / "_oracles" / f"l1_and_sqhinge_{name}.json").read_text())
    (expected,) = (found for what, found in known.items() if what.startswith(penalty.upper()))
    file, n = FILES[name]
    packed(mr_ml, name, data_dir / file)
    loss = "logistic" if penalty == "l1" else "squared_hinge"
    strength = 1 / (expected["C"] * n)
    found = mr_ml(
        "train", name, "--model", f"{name}-{penalty}", "--loss", loss, f"--{penalty}", repr(strength), "--no-intercept",
        "--tolerance", "1e-9",
    )  # fmt: skip
    assert found["converged"]
    reached = found["objective"] * n * expected["C"] / expected["f"]
    # liblinear stopped where its gradient was small: on breast-cancer 3e-6 above the optimum
    assert reached <= 1 + 1e-9
    assert reached >= 1 - (1e-5 if (name, penalty) == ("breast-cancer", "l1") else 1e-9)
    coef = mr_ml.coef(f"{name}-{penalty}").coef[0]
    theirs = np.array(expected["coef"])[: len(coef)]
    if (name, penalty) != ("a9a", "l1"):
        assert ((coef != 0) == (theirs != 0)).all()
        np.testing.assert_allclose(coef, theirs, atol=2e-3 if name == "breast-cancer" else 2e-5)
    else:
        # its groups of indicators leave some sums of coefficients alone undetermined
        assert abs(int((coef != 0).sum()) - int((theirs != 0).sum())) <= 3


@pytest.mark.parametrize("name", ["a9a", "breast-cancer"])
def test_where_coefficients_differ_duality_says_whose_is_the_optimum(
    mr_ml: Commands, data_dir: Path, name: str
) -> None:
    """With a_i = P(the other class) at a point, less all by the factor s that brings |X' (y a)| / n to l1 everywhere,

        mean_i H(s a_i) <= min_w (mean loss + l1 |w|_1),        H(a) = -a log a - (1 - a) log(1 - a)

    is a bound that no coefficients pass: ours are at it, so that liblinear's, which are above, are not the optimum.
    """
    known = json.loads((data_dir / "_oracles" / f"l1_and_sqhinge_{name}.json").read_text())
    (theirs,) = (found for what, found in known.items() if what.startswith("L1"))
    file, n = FILES[name]
    packed(mr_ml, name, data_dir / file)
    l1 = 1 / (theirs["C"] * n)
    found = mr_ml(
        "train", name, "--model", f"{name}-dual", "--l1", repr(l1), "--no-intercept", "--tolerance", "1e-9"
    )  # fmt: skip
    x, y = load_svmlight_file(str(data_dir / file))
    sign = np.where(y == y.max(), 1.0, -1.0)
    coef = mr_ml.coef(f"{name}-dual").coef[0]

    def objective(w: Any) -> float:
        return float(np.logaddexp(0, -sign * (x @ w)).mean() + l1 * np.abs(w).sum())

    ours = np.zeros(x.shape[1])
    ours[: len(coef)] = coef
    other = special.expit(-sign * (x @ ours))
    slopes = x.T @ (sign * other) / n
    assert np.abs(slopes).max() == pytest.approx(l1, rel=2e-5)
    # Karush, Kuhn and Tucker: at l1, on the side of the coefficient, where that is not 0
    np.testing.assert_allclose(slopes[ours != 0], l1 * np.sign(ours[ours != 0]), rtol=2e-5)
    a = other * min(1.0, l1 / np.abs(slopes).max())
    bound = float((special.entr(a) + special.entr(1 - a)).mean())
    assert objective(ours) == pytest.approx(found["objective"], rel=1e-12)
    of_liblinear = np.zeros(x.shape[1])
    of_liblinear[: len(theirs["coef"])] = theirs["coef"][: x.shape[1]]
    # nearer to the bound than theirs are to ours
    assert 0 <= objective(ours) - bound < objective(of_liblinear) - objective(ours)
