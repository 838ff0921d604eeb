#!/usr/bin/env python3
"""docs/solvers.md: how many passes over the data each solver needs, and how many sweeps others do.

    python scripts/bench/solver_passes.py            # some minutes; writes docs/solvers.md
    python scripts/bench/solver_passes.py --only digits --page out.md

Data is generated here, or comes with scikit-learn, so that anyone can count again: passes do not depend on the machine.
A gap is (f - f*) / f*, f* being the least value that any program found, each held against scipy's formula of the
objective.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse, special

from mr_ml.optimize.built_in import BUILT_IN

Array = NDArray[Any]

CHECKOUT = Path(__file__).resolve().parents[2]
GAPS = (1e-2, 1e-3, 1e-4, 1e-6)
MOST = 300
# What agrees with scipy's formula agrees to this.
SAME = 1e-9
NOT_REACHED = f"> {MOST}"

HEAD = f"""\
# Solvers

Written by `scripts/bench/solver_passes.py`; do not edit. A pass over the data is what training costs on a cluster, so
these tables count passes and not seconds: how many each `--solver` makes until the objective is within a gap of its
least value, (f - f*) / f*, with a `--tolerance` that does not end the search before. More than {MOST} are not waited
for. A pass of ours returns the objective at several steps, so that a step that was too long seldom costs one of its
own. `auto` says in brackets what it chose; "none" is for problems that a solver does not take, or for which its Hessian
is too large. The driver's sample of `lbfgs-sampled` has up to 20,000 rows: of most of these sets that is all rows, so
that it is nearly Newton's method on the driver; of the last two it is a part of them.

Of the others, what is counted is how often they go over all rows, kindly:

- **textbook L-BFGS**: scipy's `L-BFGS-B` (10 pairs, starting from 0) on the features as they are; each value with its
  gradient is a sweep.
- **scikit-learn** `lbfgs`: the same by its own `LogisticRegression` or `PoissonRegressor`, counted where it evaluates;
  `newton-cholesky`: a sweep for the derivatives and one for each step that is tried; `saga`: its epochs, the least
  number of a ladder that is near enough.
- **liblinear** `-s 0` (trust region Newton): each product with the Hessian is a sweep, and one more for each iteration;
  by the largest `-e` of a ladder that is near enough.

[training.md](training.md#how) says what the solvers do, [benchmarks.md](benchmarks.md) what passes take.
"""


@dataclass(frozen=True, eq=False)
class Data:
    """Rows, and what is asked of them; `options` are those of ``mr-ml train``, `about` is a sentence."""

    name: str
    about: str
    x: Any
    y: Array
    loss: str
    l2: float
    l1: float = 0.0
    ours_alone: bool = False

    @property
    def n_classes(self) -> int:
        return len(np.unique(self.y)) if self.loss == "softmax" else 1

    @property
    def size(self) -> int:
        return int((self.x.shape[1] + 1) * self.n_classes)

    @property
    def options(self) -> list[str]:
        l1 = ["--l1", repr(self.l1)] if self.l1 else []
        return ["--loss", self.loss, "--l2", repr(self.l2), *l1]

    def value(self, coef: Array, intercept: Array) -> float:
        """The objective, of coefficients (n_outputs, n_features)."""
        smooth, _ = self.value_and_gradient(np.column_stack([coef, intercept]).ravel())
        return smooth + self.l1 * float(np.abs(coef).sum())

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Of its smooth part, at flat (n_outputs, n_features + 1)."""
        w = theta.reshape(self.n_classes, -1)
        z = self.x @ w[:, :-1].T + w[:, -1]
        n = len(self.y)
        if self.loss == "softmax":
            own = np.searchsorted(np.unique(self.y), self.y)
            values = special.logsumexp(z, axis=1) - z[np.arange(n), own]
            slope = special.softmax(z, axis=1)
            slope[np.arange(n), own] -= 1
        elif self.loss == "logistic":
            values, slope = np.logaddexp(0, z[:, 0]) - self.y * z[:, 0], special.expit(z) - self.y[:, None]
        elif self.loss == "poisson":
            mean = np.exp(z[:, 0])
            values, slope = special.kl_div(self.y, mean), (mean - self.y)[:, None]
        else:
            values, slope = (z[:, 0] - self.y) ** 2 / 2, z - self.y[:, None]
        gradient = np.column_stack([(self.x.T @ slope).T, slope.sum(axis=0)]) / n
        gradient[:, :-1] += self.l2 * w[:, :-1]
        return float(values.mean() + self.l2 / 2 * (w[:, :-1] ** 2).sum()), gradient.ravel()


# --- data -------------------------------------------------------------------------------------------------------------


def counts(*, n: int, d: int, classes: int, seed: int, spread: float) -> tuple[Any, Array]:
    """Rows of word counts by Zipf's law, of very different lengths, and classes that prefer some of the words."""
    rng = np.random.default_rng(seed)
    rank = np.arange(d) + 10.0
    y = rng.integers(0, classes, n)
    tilt = np.where(rng.random((classes, d)) < 0.05, 3.0, 1.0)
    lengths = np.maximum(rng.lognormal(4.0, spread, n).astype(int), 5)
    indptr, indices, values = [0], [], []
    chances = [np.cumsum(t / rank) / np.sum(t / rank) for t in tilt]
    for label, length in zip(y.tolist(), lengths.tolist(), strict=True):
        words, often = np.unique(np.searchsorted(chances[label], rng.random(length)), return_counts=True)
        indices.append(words)
        values.append(often.astype(float))
        indptr.append(indptr[-1] + len(words))
    parts = np.concatenate(values), np.concatenate(indices).astype(np.int32), np.array(indptr, np.int32)
    x = sparse.csr_array(parts, shape=(n, d))
    noisy = rng.random(n) < 0.1
    return x, np.where(noisy, rng.integers(0, classes, n), y).astype(float)


def _text() -> Data:
    return _of_benchmark("sparse", 0.015, "The first 10,465 rows of the benchmarks' sparse set: text, rows of length 1")


def _dense() -> Data:
    return _of_benchmark(
        "dense", 0.02, "The first 20,000 rows of the benchmarks' dense set: columns that share factors"
    )


def _of_benchmark(kind: str, factor: float, about: str) -> Data:
    from generate import generate

    with tempfile.TemporaryDirectory() as folder:
        problem = generate(kind, factor, Path(folder))
        x, y = problem.load()
    return Data(kind, about, x if kind == "sparse" else x.toarray(), y, "logistic", problem.l2)


def _more_text() -> Data:
    about = "The first 69,764 rows of the benchmarks' sparse set, of which a sample has a part; ours alone"
    return replace(_of_benchmark("sparse", 0.1, about), name="more-sparse", ours_alone=True)


def _more_dense() -> Data:
    about = "The first 100,000 rows of the benchmarks' dense set, of which a sample has a fifth; ours alone"
    return replace(_of_benchmark("dense", 0.1, about), name="more-dense", ours_alone=True)


def _words() -> Data:
    x, y = counts(n=4000, d=10000, classes=2, seed=1, spread=1.0)
    return Data("words", "Word counts as they are, rows of very different lengths", x, y, "logistic", 1e-5)


def _topics() -> Data:
    x, y = counts(n=1500, d=3000, classes=10, seed=2, spread=0.8)
    return Data("topics", "Word counts of 10 classes", x, y, "softmax", 1e-5)


def _digits() -> Data:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return Data("digits", "Handwritten digits (scikit-learn), 10 classes", x, y.astype(float), "softmax", 1e-4)


def _claims() -> Data:
    rng = np.random.default_rng(3)
    x = np.round(rng.normal(size=(20000, 60)) @ np.diag(np.logspace(-1, 1, 60)), 3)
    x[:, 30:] += x[:, :30]
    y = rng.poisson(np.exp(x @ (rng.normal(size=60) * 0.3 / np.logspace(-1, 1, 60)) * 0.5 - 1.0)).astype(float)
    return Data("claims", "Counts, 60 features of different units", x, y, "poisson", 1e-6)


def _numbers() -> Data:
    found = _dense()
    y = np.round(found.x @ np.sin(np.arange(100)) + np.random.default_rng(4).normal(size=len(found.y)) * 3, 3)
    return Data("numbers", "The dense set with numbers to predict", found.x, y, "squared", 1e-6)


def _chosen() -> Data:
    found = _text()
    return Data("lasso", "The sparse set with an L1 penalty", found.x, found.y, "logistic", 0.0, 5e-5)


SETS: Mapping[str, Callable[[], Data]] = {
    "sparse": _text, "dense": _dense, "words": _words, "topics": _topics, "digits": _digits, "claims": _claims,
    "numbers": _numbers, "lasso": _chosen, "more-sparse": _more_text, "more-dense": _more_dense,
}  # fmt: skip


# --- ours -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counted:
    """A program's values by the sweep after which it had them, ascending; `note` is put behind its name."""

    name: str
    values: tuple[tuple[float, float], ...]
    note: str = ""

    def sweeps_to(self, value: float) -> str:
        return next((f"{sweeps:g}" for sweeps, found in self.values if found <= value), NOT_REACHED)


class Ours:
    """`mr-ml` with a root of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _run(self, *words: object) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "mr_ml", *map(str, words), "--root", str(self.folder / "root"), "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def _answer(self, *words: object) -> dict[str, Any]:
        code, out, err = self._run(*words)
        if code:
            raise RuntimeError(f"mr-ml {' '.join(map(str, words))}: exit code {code}\n{err}")
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    def takes(self, option: str) -> bool:
        return option in self._run("train", "--help")[1]

    def pack(self, data: Data) -> None:
        x = sparse.csr_array(data.x)
        lines = []
        for i, label in enumerate(data.y.tolist()):
            at = slice(x.indptr[i], x.indptr[i + 1])
            entries = zip(x.indices[at].tolist(), x.data[at].tolist(), strict=True)
            lines.append(
                " ".join([f"{label:g}" if label.is_integer() else repr(label), *(f"{j + 1}:{v!r}" for j, v in entries)])
            )
        text = self.folder / f"{data.name}.libsvm"
        text.write_text("\n".join(lines) + "\n")
        self._answer("pack", text, "--to", data.name, "-r", "local", "--workers", 2)

    def train(self, data: Data, solver: str) -> Counted | None:
        """None if the solver does not take this problem."""
        if solver != "auto" and "newton" in solver and data.size > 2000:
            return None
        words = ("train", data.name, "--model", f"{data.name}-{solver}", *data.options, "--solver", solver)
        code, out, _ = self._run(
            *words, "--tolerance", 1e-9, "--max-passes", MOST, "--quiet", "-r", "local", "--workers", 2
        )
        if code == 2:
            return None
        if code:
            raise RuntimeError(f"mr-ml {' '.join(words)}: exit code {code}")
        result = json.loads(out.splitlines()[-1])
        log = self._answer("runs", "show", result["run"])["log"]
        passes = [(event["number"], event["objective"]) for event in log if "objective" in event and "number" in event]
        shown = self._answer("models", "show", f"{data.name}-{solver}")
        with np.load(shown["coef_uri"], allow_pickle=False) as arrays:
            value = data.value(arrays["coef"], arrays["intercept"])
        if abs(value - result["objective"]) > SAME * abs(value):
            raise RuntimeError(f"{data.name}, {solver}: objective {result['objective']!r}, by scipy {value!r}")
        note = f" ({result['solver']})" if solver == "auto" else ""
        return Counted(f"`{solver}`", tuple(passes), note)


# --- others -----------------------------------------------------------------------------------------------------------


def others(data: Data) -> Iterator[Counted]:
    if data.l1:
        return
    yield _textbook(data)
    if data.loss in ("logistic", "softmax", "poisson"):
        yield from _scikit_learn(data)
    if data.loss == "logistic" and importlib.util.find_spec("liblinear"):
        yield _liblinear(data)


def _best_so_far(found: list[float], each: float = 1.0) -> tuple[tuple[float, float], ...]:
    return tuple(
        zip((each * np.arange(1, len(found) + 1)).tolist(), np.minimum.accumulate(found).tolist(), strict=True)
    )


def _textbook(data: Data) -> Counted:
    seen: list[float] = []

    def evaluate(theta: Array) -> tuple[float, Array]:
        with np.errstate(over="ignore"):
            value, gradient = data.value_and_gradient(theta)
        seen.append(value)
        return value, gradient

    how = {"maxcor": 10, "maxiter": MOST, "maxfun": MOST, "ftol": 0.0, "gtol": 0.0}
    with contextlib.suppress(ValueError):
        optimize.minimize(evaluate, np.zeros(data.size), jac=True, method="L-BFGS-B", options=how)
    return Counted("textbook L-BFGS", _best_so_far(seen))


def _scikit_learn(data: Data) -> Iterator[Counted]:
    from sklearn.linear_model import LogisticRegression, PoissonRegressor
    from sklearn.linear_model._linear_loss import LinearModelLoss

    def fitted(solver: str, most: int) -> Any:
        if data.loss == "poisson":
            made = PoissonRegressor(alpha=data.l2, solver=solver, tol=1e-12, max_iter=most)
        else:
            made = LogisticRegression(
                C=1 / (data.l2 * len(data.y)), solver=solver, tol=1e-12, max_iter=most, random_state=0
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return made.fit(data.x, data.y)

    def at(model: Any) -> float:
        return data.value(np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_))

    # without what does not depend on the mean
    shift = float(special.kl_div(data.y, 1.0).mean() - 1.0) if data.loss == "poisson" else 0.0
    plain = LinearModelLoss.loss_gradient

    def counted(solver: str) -> list[float]:
        """The objective wherever it is evaluated."""
        seen: list[float] = []

        def counting(self: Any, *args: Any, **named: Any) -> Any:
            found = plain(self, *args, **named)
            seen.append(float(found[0]) + shift)
            return found

        LinearModelLoss.loss_gradient = counting
        try:
            fitted(solver, MOST)
        finally:
            LinearModelLoss.loss_gradient = plain
        return seen

    yield Counted("scikit-learn `lbfgs`", _best_so_far(counted("lbfgs")[:MOST]))
    if data.size <= 2000:
        yield Counted("scikit-learn `newton-cholesky`", _best_so_far(counted("newton-cholesky"), each=2.0))
    if data.loss == "logistic":
        values = [(float(k), at(fitted("saga", k))) for k in (1, 2, 3, 5, 8, 12, 18, 25, 40, 60, 100)]
        yield Counted("scikit-learn `saga`", tuple(values))


def _liblinear(data: Data) -> Counted:
    from liblinear.liblinearutil import train

    found = []
    for tolerance in np.logspace(0, -10, 31).tolist():
        with tempfile.TemporaryFile("w+") as said, _stdout_to(said):
            how = f"-s 0 -B 1 -R -c {1 / (data.l2 * len(data.y))!r} -e {tolerance!r}"
            model = train(2 * data.y - 1, sparse.csr_matrix(data.x), how)
            said.seek(0)
            steps = [int(n) for n in re.findall(r"CG +(\d+)", said.read())]
        coef, intercept = model.get_decfun()
        sign = 1.0 if model.get_labels()[0] > 0 else -1.0
        found.append(
            (float(sum(steps) + len(steps) + 1), data.value(sign * np.array([coef]), sign * np.array([intercept])))
        )
    return Counted("liblinear `-s 0`", tuple(sorted(found)))


@contextlib.contextmanager
def _stdout_to(file: Any) -> Iterator[None]:
    """What C prints too."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(file.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


# --- the page ---------------------------------------------------------------------------------------------------------


def section(data: Data, found: list[Counted], refused: list[str]) -> str:
    """A heading and a table."""
    least = min(value for one in found for _, value in one.values)
    n, d = data.x.shape
    asked = " ".join(data.options)
    lines = [
        f"## {data.name}", "",
        f"{data.about}: {n:,} rows, {d:,} features; `{asked}`. f* = {least:.10g}.", "",
        f"| | {' | '.join(f'{gap:.0e}'.replace('e-0', 'e-') for gap in GAPS)} |", f"|---|{'---|' * len(GAPS)}",
    ]  # fmt: skip
    for one in found:
        cells = [one.sweeps_to(least + gap * abs(least)) for gap in GAPS]
        lines.append(f"| {one.name}{one.note} | {' | '.join(cells)} |")
    lines += [f"| `{solver}` | {' | '.join(['none'] * len(GAPS))} |" for solver in refused]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), help="of the sets (default all)")
    parser.add_argument("--page", type=Path, default=CHECKOUT / "docs/solvers.md", help="(default docs/solvers.md)")
    options = parser.parse_args()
    sections = [HEAD]
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            ours, data = Ours(Path(folder)), SETS[name]()
            if data.l1 and not ours.takes("--l1"):
                print(f"{name}: left out, there is no --l1", file=sys.stderr)
                continue
            ours.pack(data)
            trained = {solver: ours.train(data, solver) for solver in BUILT_IN}
        found = [one for one in trained.values() if one is not None]
        refused = [solver for solver, one in trained.items() if one is None]
        sections.append(section(data, [*found, *(() if data.ours_alone else others(data))], refused))
        print(sections[-1], file=sys.stderr)
    options.page.write_text("\n".join(sections))


if __name__ == "__main__":
    main()
