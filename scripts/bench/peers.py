#!/usr/bin/env python3
"""The programs that we are compared with, each a whole cold process: text file in, saved coefficients out.

    peers.py liblinear ROWS.libsvm MODEL.npz --features 100 --l2 1e-6 --stop 0.01

`--stop` is the knob that trades accuracy for time: a tolerance, or of those that have none or a weak one a number of
iterations or passes; without it the program decides by its own defaults. The objective is the same for all: mean
logistic loss + l2/2 |w|^2, with an intercept that is not penalised where the program allows that. Combinations of a
reader and a solver are called by both, and run in environments of their own. Vowpal Wabbit is run by its own command
and reads a text in its own format, whose conversion is not counted.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import environments
import numpy as np
from environments import LeftOutError
from generate import Problem, write_csv

VW_BITS = 18
VW_CONSTANT = 11650396 % 2**VW_BITS
TOLERANCES = (0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
# scikit-learn-intelex's L-BFGS has the gradient of the sum of the losses in mind
TOLERANCES_OF_SUMS = (1e5, 3e4, 1e4, 3e3, 1e3, 100, 10, 1, *TOLERANCES)
DENSE = ("dense", "narrow")


@dataclass(frozen=True)
class Peer:
    """A way to use a program.

    Attributes
    ----------
    package
        Whose absence means that it is skipped; where it has an environment, that of the solver.
    stops
        Values of its knob, from rough to exact.
    kinds
        Of the reference sets it is meant for.
    environment
        Its own, of `environments.PINS`; none: that of the suite.
    reads_csv
        Instead of libsvm text.
    has_defaults
        Whether its own choice of when to stop is worth a look.
    python
        What runs it.
    """

    name: str
    package: str
    stops: tuple[float, ...]
    kinds: tuple[str, ...] = ("sparse", "dense")
    environment: str = ""
    reads_csv: bool = False
    has_defaults: bool = True
    python: str = sys.executable

    def prepared(self, folder: Path) -> Peer:
        """Return the peer ready to run, with its environment below a folder.

        Raises
        ------
        LeftOutError
            If it cannot run here.
        """
        if self.environment:
            return replace(self, python=environments.python_of(self.environment, folder))
        module = {"scikit-learn": "sklearn", "liblinear-official": "liblinear"}.get(self.package, self.package)
        if importlib.util.find_spec(module) is None:
            raise LeftOutError(f"{self.package} is not installed (pip install mr_ml[bench])")
        if self.package == "pyspark" and shutil.which("java") is None:
            raise LeftOutError("there is no java on PATH")
        return self

    @property
    def version(self) -> str:
        if self.environment:
            return " ".join(environments.PINS[self.environment])
        return f"{self.package} {importlib.metadata.version(self.package)}"

    def text(self, problem: Problem) -> Path:
        """What it reads."""
        if self.reads_csv:
            return write_csv(problem)
        return problem.vw_text if self.package == "vowpalwabbit" else problem.text

    def command(self, problem: Problem, model: Path, stop: float | None) -> list[str]:
        """`stop` None: by its own defaults."""
        if self.package == "vowpalwabbit":
            assert stop is not None
            return _vw(self.name, problem, model, stop)
        return [
            self.python, str(Path(__file__).resolve()), self.name, str(self.text(problem)), str(model),
            "--features", str(problem.n_features), "--l2", repr(problem.l2),
            *([] if stop is None else ["--stop", f"{stop:g}"]),
        ]  # fmt: skip

    @property
    def variables(self) -> Mapping[str, str]:
        """Of its process: what the suite asks of itself, one thread, is not asked of others."""
        processors = str(len(os.sched_getaffinity(0)))
        return {f"{name}_NUM_THREADS": processors for name in ("OPENBLAS", "OMP", "MKL")}

    def coef(self, problem: Problem, model: Path) -> tuple[Any, float]:
        """Coefficients (n_features,) and intercept that it saved."""
        if self.package == "vowpalwabbit":
            return _vw_coef(problem, Path(f"{model}.txt"))
        with np.load(model, allow_pickle=False) as found:
            return found["coef"], float(found["intercept"])


PEERS = (
    Peer("liblinear", "liblinear-official", (1.0, 0.5, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 1e-4, 1e-5)),
    Peer("vw-sgd", "vowpalwabbit", (1, 3, 10), has_defaults=False),
    Peer("vw-bfgs", "vowpalwabbit", (10, 20, 30, 40, 60, 90, 140, 200), has_defaults=False),
    Peer("sklearn-lbfgs", "scikit-learn", (15, 30, 60, 90, 140, 200, 300, 500)),
    Peer("sklearn-saga", "scikit-learn", (3, 6, 12, 25, 50, 100), kinds=("sparse",)),
    Peer("sklearn-newton-cholesky", "scikit-learn", (2, 3, 4, 5, 6, 8), kinds=("dense",)),
    Peer("spark", "pyspark", (5, 10, 15, 20, 30, 50, 100)),
    Peer("svmloader+snapml", "snapml", TOLERANCES, kinds=("sparse",), environment="snapml"),
    *(
        Peer(
            f"{reader}+{solver}",
            package,
            TOLERANCES_OF_SUMS if "lbfgs" in solver else TOLERANCES,
            kinds=DENSE,
            environment=environment,
            reads_csv=True,
        )
        for reader, solver, package, environment in (
            ("pyarrow", "snapml", "snapml", "snapml"),
            ("pyarrow", "intelex-lbfgs", "scikit-learn-intelex", "intelex"),
            ("pyarrow", "intelex-newton-cholesky", "scikit-learn-intelex", "intelex"),
            ("polars", "intelex-lbfgs", "scikit-learn-intelex", "intelex"),
            ("polars", "intelex-newton-cholesky", "scikit-learn-intelex", "intelex"),
        )
    ),
)


def _vw(name: str, problem: Problem, model: Path, stop: float) -> list[str]:
    how = [sys.executable, "-m", "vowpalwabbit", "-d", str(problem.vw_text), "--loss_function", "logistic"]
    how += ["-b", str(VW_BITS), "--holdout_off", "--quiet", "--predict_only_model", "-f", str(model)]
    how += ["--readable_model", f"{model}.txt", "--passes", f"{stop:g}"]
    if stop > 1:
        how += ["-k", "--cache_file", f"{model}.cache"]
    if name == "vw-bfgs":
        # its penalty refers to the sum of the losses here, and to each row in SGD
        return [*how, "--bfgs", "--mem", "30", "--termination", "1e-9", "--l2", repr(problem.l2 * problem.n_rows)]
    return [*how, "--l2", repr(problem.l2)]


def _vw_coef(problem: Problem, path: Path) -> tuple[Any, float]:
    coef, intercept = np.zeros(problem.n_features), 0.0
    weights = path.read_text().split("\n:0\n")[1]
    for line in weights.splitlines():
        place, _, value = line.rpartition(":")
        index = int(place.split(":")[-1])
        if index == VW_CONSTANT:
            intercept = float(value)
        else:
            coef[index - 1] = float(value)
    return coef, intercept


def liblinear(options: argparse.Namespace) -> tuple[Any, float]:
    """-s 0 with -B 1 -R, an intercept that is not penalised, and C = 1 / (l2 n); text by the fastest reader here."""
    from liblinear.liblinearutil import train

    if importlib.util.find_spec("svmloader"):
        import svmloader

        x, y = svmloader.load_svmfile(str(options.text), nfeatures=options.features, zero_based=False)
    else:
        x, y = _sklearn_text(options)
    cost = 1 / (options.l2 * len(y))
    stop = "" if options.stop is None else f"-e {options.stop!r}"
    model = train(np.asarray(y, float), x, f"-s 0 -B 1 -R -c {cost!r} {stop} -q")
    coef, intercept = model.get_decfun()
    sign = 1.0 if model.get_labels()[0] > 0 else -1.0
    found = np.zeros(options.features)
    found[: len(coef)] = coef
    return sign * found, sign * intercept


def _sklearn_text(options: argparse.Namespace) -> tuple[Any, Any]:
    from sklearn.datasets import load_svmlight_file

    x, y = load_svmlight_file(str(options.text), n_features=options.features, zero_based=False)
    # its solvers refuse the 64-bit ids that its reader makes
    x.indices, x.indptr = x.indices.astype(np.int32), x.indptr.astype(np.int32)
    return x, y


def scikit_learn(options: argparse.Namespace) -> tuple[Any, float]:
    """C = 1 / (l2 n), and the tolerance out of the way of the number of iterations."""
    import warnings

    from sklearn.linear_model import LogisticRegression

    warnings.simplefilter("ignore")
    x, y = _sklearn_text(options)
    solver = options.program.removeprefix("sklearn-")
    if solver == "newton-cholesky":
        x = x.toarray()
    until = {} if options.stop is None else {"tol": 1e-12, "max_iter": int(options.stop)}
    model = LogisticRegression(C=1 / (options.l2 * len(y)), solver=solver, random_state=0, **until).fit(x, y)
    return model.coef_[0], float(model.intercept_[0])


def spark(options: argparse.Namespace) -> tuple[Any, float]:
    """local[2] with 4 GB, rows kept decoded; the number of features is said, which spares it a pass."""
    from pyspark.ml.classification import LogisticRegression
    from pyspark.sql import SparkSession, functions

    session = (
        SparkSession.builder.master("local[2]").config("spark.driver.memory", "4g").config("spark.ui.enabled", "false")
    ).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    rows = session.read.format("libsvm").option("numFeatures", str(options.features)).load(str(options.text))
    rows = rows.withColumn("label", functions.when(rows["label"] > 0, 1.0).otherwise(0.0)).cache()
    until: dict[str, Any] = {} if options.stop is None else {"maxIter": int(options.stop), "tol": 0.0}
    model = LogisticRegression(regParam=options.l2, elasticNetParam=0.0, standardization=False, **until).fit(rows)
    found = model.coefficients.toArray(), float(model.intercept)
    session.stop()
    return found


def combination(options: argparse.Namespace) -> tuple[Any, float]:
    """A reader and a solver, both with as many threads as they like; the tolerance alone says when to stop."""
    reader, solver = options.program.split("+")
    x, y = READERS[reader](options)
    until: dict[str, Any] = {} if options.stop is None else {"tol": options.stop}
    if solver == "snapml":
        from snapml import LogisticRegression

        # its penalty is that of the sum of the losses, and takes in the intercept
        model = LogisticRegression(
            regularizer=options.l2 * len(y), fit_intercept=True, n_jobs=len(os.sched_getaffinity(0)), **until
        )
    else:
        from sklearnex.linear_model import LogisticRegression

        until = {**until, "max_iter": 10_000} if until else until
        model = LogisticRegression(C=1 / (options.l2 * len(y)), solver=solver.removeprefix("intelex-"), **until)
    model.fit(x, y)
    return np.ravel(model.coef_), float(np.ravel(model.intercept_)[0])


def _svmloader(options: argparse.Namespace) -> tuple[Any, Any]:
    import svmloader

    x, y = svmloader.load_svmfile(str(options.text), nfeatures=options.features, zero_based=False)
    return x, np.asarray(y, float)


def _pyarrow(options: argparse.Namespace) -> tuple[Any, Any]:
    from pyarrow import csv

    table = csv.read_csv(options.text)
    x = np.empty((table.num_rows, options.features))
    for j in range(options.features):
        x[:, j] = table.column(j + 1).to_numpy()
    return x, table.column(0).to_numpy().astype(float)


def _polars(options: argparse.Namespace) -> tuple[Any, Any]:
    import polars

    table = polars.read_csv(options.text)
    return table.drop("label").to_numpy(order="c"), table["label"].to_numpy().astype(float)


READERS = {"svmloader": _svmloader, "pyarrow": _pyarrow, "polars": _polars}
PROGRAMS: dict[str, Callable[[argparse.Namespace], tuple[Any, float]]] = {
    "liblinear": liblinear,
    "sklearn-lbfgs": scikit_learn,
    "sklearn-saga": scikit_learn,
    "sklearn-newton-cholesky": scikit_learn,
    "spark": spark,
    **{peer.name: combination for peer in PEERS if "+" in peer.name},
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", choices=sorted(PROGRAMS))
    parser.add_argument("text", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--features", type=int, required=True)
    parser.add_argument("--l2", type=float, required=True)
    parser.add_argument("--stop", type=float)
    options = parser.parse_args(arguments)
    coef, intercept = PROGRAMS[options.program](options)
    np.savez(options.model, coef=coef, intercept=intercept)


if __name__ == "__main__":
    main()
