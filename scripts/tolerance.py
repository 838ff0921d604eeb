#!/usr/bin/env python3
"""What a tolerance is worth: passes, and how far predictions are from those of the optimum, on files that are given.

    scripts/tolerance.py a9a=path/to/a9a heart=path/to/heart_scale --l2 1e-5

Each libsvm text of two classes is packed, and trained with every solver and tolerance. The optimum is where Newton's
method on scipy's sparse products, started from the best of these models, lowers the gradient no more. Of each model are
printed, as a Markdown table: its passes; (f - f*) / f*; and the largest and the root mean square change of a row's
probability between it and the optimum.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# before numpy is loaded
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse, special
from sklearn.datasets import load_svmlight_file

import mr_ml

Array = NDArray[Any]
NEWTON_UP_TO = 3000
SOLVERS = ("newton", "lbfgs")
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
STEPS = 30


def value(x: Any, y: Array, theta: Array, l2: float) -> float:
    """Mean logistic loss + l2/2 |w|^2 at theta = (w, b), for y of 0 and 1."""
    z = x @ theta
    return float(np.mean(np.logaddexp(0, z) - y * z) + l2 / 2 * (theta[:-1] @ theta[:-1]))


def optimum(x: Any, y: Array, theta: Array, l2: float) -> Array:
    """Take Newton's steps until the gradient becomes no smaller; x has a column of ones at the end."""
    penalty = np.append(np.full(x.shape[1] - 1, l2), 0.0)
    best, least = theta, np.inf
    for _ in range(STEPS):
        p = special.expit(x @ theta)
        gradient = x.T @ (p - y) / len(y) + penalty * theta
        size = float(np.linalg.norm(gradient))
        if size >= least:
            break
        best, least = theta, size
        hessian = (x.T @ (sparse.diags_array(p * (1 - p) / len(y)) @ x)).toarray() + np.diag(penalty)
        theta = theta - linalg.lstsq(hessian, gradient)[0]
    return best


def rows(name: str, path: Path, l2: float, root: str) -> Iterator[list[str]]:
    """Yield a row of the table for each solver and tolerance, exact ones first."""
    mr_ml.pack(root, path, name, format="libsvm")
    width = mr_ml.load_dataset(root, name).schema.n_features
    x, labels = load_svmlight_file(str(path), n_features=width, zero_based=False)
    x, y = sparse.hstack([x, np.ones((len(labels), 1))]).tocsr(), (labels == labels.max()).astype(float)
    best = None
    for solver in SOLVERS if width < NEWTON_UP_TO else SOLVERS[1:]:
        for tolerance in reversed(TOLERANCES):
            result = mr_ml.train(root, name, name, l2=l2, solver=solver, tolerance=tolerance)
            model: Any = mr_ml.load_model(root, name)
            theta = np.asarray(model.coef)[0]
            if best is None:
                best = optimum(x, y, theta, l2)
            change = np.abs(special.expit(x @ theta) - special.expit(x @ best))
            gap = value(x, y, theta, l2) / value(x, y, best, l2) - 1
            yield [
                name, solver, f"{tolerance:g}", str(result.passes), f"{max(gap, 0.0):.0e}", f"{change.max():.0e}",
                f"{np.sqrt(np.mean(change**2)):.0e}",
            ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--l2", type=float, default=1e-5)
    options = parser.parse_args()
    header = ["data", "solver", "tolerance", "passes", "gap", "largest change", "root mean square"]
    print("| " + " | ".join(header) + " |", "|---|---|" + "---:|" * 5, sep="\n", flush=True)
    for text in options.texts:
        name, _, path = text.partition("=")
        with tempfile.TemporaryDirectory() as root:
            for row in rows(name, Path(path), options.l2, root):
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
