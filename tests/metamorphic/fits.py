"""Solving a problem as users do: written as text, packed, trained; with the passes made in this process for speed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from commands import Commands
from numpy.typing import NDArray
from problems import Problem

from hdfs_layout import Root, open_root
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.catalog.model import load_model
from mr_ml.catalog.run import RunDocument, start_run
from mr_ml.data.block import decode_line
from mr_ml.ids import unique_id
from mr_ml.models.linear.kind.model import LinearModel
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.models.problem import Conclusion
from mr_ml.passes.in_memory import InMemoryEngine
from mr_ml.training.train import Fitted, fit, publish

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fit:
    """coef (n_outputs, n_features + 1), intercept last; the rows' margins (n_rows, n_outputs), less their mean where
    there are several; and how far the rounding of the coefficients alone may move them, (n_rows, 1)."""

    coef: Floats
    margins: Floats
    rounding: Floats
    converged: bool
    stop: str
    passes: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class Solver:
    """Packs and trains below a root; a text is packed once however many fits it takes part in."""

    mr_ml: Commands
    _engines: dict[str, tuple[Dataset, InMemoryEngine]] = field(default_factory=dict)

    def packed(self, problem: Problem) -> str:
        """The dataset of the problem's rows: libsvm text where most features are zero and rows have no weights."""
        sparse = np.count_nonzero(problem.x) < problem.x.size / 3
        csv = not sparse or problem.weights is not None or problem.offsets is not None
        text = (_csv if csv else _libsvm)(problem)
        name = "d" + hashlib.sha256(text.encode()).hexdigest()[:20]
        if not (self.mr_ml.root / "datasets" / name).exists():
            path = self.mr_ml.root.parent / f"{name}.{'csv' if csv else 'libsvm'}"
            path.write_text(text, encoding="ascii")
            options = [] if problem.weights is None else ["--weight-column", "weight"]
            options += [] if problem.offsets is None else ["--offset-column", "offset"]
            self.mr_ml("pack", path, "--to", name, *options)
        return name

    def solve(
        self, problem: Problem, *, method: str = "auto", tolerance: float = LinearSpec.tolerance,
        begin: Floats | None = None,
    ) -> Fit:  # fmt: skip
        """Train as `mr-ml train` does, from a model of the coefficients `begin` if these are given."""
        name, root = self.packed(problem), open_root(str(self.mr_ml.root))
        if name not in self._engines:
            dataset = load_dataset(root, name)
            self._engines[name] = dataset, _engine(dataset, root.store.read)
        dataset, engine = self._engines[name]
        run = unique_id()
        spec = LinearSpec(
            dataset=dataset.reference, model="m" + run[-8:], loss=problem.loss, l2=problem.l2,
            penalty_space=problem.space, intercept=problem.intercept, solver=method, tolerance=tolerance,
        )  # fmt: skip
        if begin is not None:
            spec = replace(spec, warm_start=_published(spec, begin, dataset, root))
        start_run(root, run, RunDocument(spec=spec))
        fitted = fit(spec, run=run, dataset=dataset, engine=engine, root=root, watch=lambda progress: None)
        result = publish(fitted, root)
        model = load_model(root, f"{result.model}@{result.version}")
        assert isinstance(model, LinearModel)
        found = fit_of(problem, model.coef, converged=result.converged, stop=result.stop)
        return replace(found, passes=result.passes)

    def command(self, problem: Problem, *, method: str) -> Fit:
        """The same by commands alone; the margins are those that `predict` gives, turned back from probabilities. It
        knows the digits that an intercept at the origin has no room for."""
        name = self.packed(problem)
        options = ["--loss", problem.loss, "--l2", problem.l2, "--penalty-space", problem.space, "--solver", method]
        options += [] if problem.intercept else ["--no-intercept"]
        result = self.mr_ml("train", name, "--model", name, *options)
        found = self.mr_ml.coef(name)
        coef = np.hstack([found.coef, found.intercept[:, None]])
        exact = fit_of(problem, coef, converged=result["converged"], stop=result["stop"])
        margins = self._predicted(problem, name)
        return replace(exact, margins=margins, rounding=1e-12 * (1 + np.abs(margins)).max(axis=1, keepdims=True))

    def _predicted(self, problem: Problem, name: str) -> Floats:
        (text,) = self.mr_ml.root.parent.glob(f"{name}.*")
        output = self.mr_ml.root.parent / f"{name}-{unique_id()}.tsv"
        self.mr_ml("predict", name, text, "--to", output)
        table = np.loadtxt(output, delimiter="\t", skiprows=int(text.suffix == ".csv"), ndmin=2)
        if problem.loss == "squared":
            return table
        logs = np.log(table[:, 1:])
        return logs[:, 1:] - logs[:, :1] if problem.loss == "logistic" else logs - logs.mean(axis=1, keepdims=True)


def _published(spec: LinearSpec, coef: Floats, dataset: Dataset, root: Root) -> str:
    """A model of these coefficients, (n_outputs, n_features + 1)."""
    run = unique_id()
    spec = replace(spec, model=f"begin-{run[-8:]}")
    training = {
        "solver": "none", "passes": 0, "objective": 0.0, "gradient_norm": 0.0, "converged": True, "stop": "none",
        "warnings": (),
    }  # fmt: skip
    arrays = {"coef": coef[:, :-1].copy(), "intercept": coef[:, -1].copy()}
    classes = () if spec.loss == "squared" else dataset.schema.codes
    end = Conclusion(training=training, classes=classes, arrays=arrays)
    start_run(root, run, RunDocument(spec=spec))
    return f"{spec.model}@{publish(Fitted(spec=spec, run=run, dataset=dataset, end=end, seconds=0.0), root).version}"


def fit_of(problem: Problem, coef: Floats, *, converged: bool, stop: str) -> Fit:
    x = np.hstack([problem.x, np.ones((len(problem.y), 1))])
    # exact but for the last rounding: numbers that are large and cancel must not hide the answer
    wide = x.astype(np.longdouble) @ coef.T.astype(np.longdouble) + problem.o[:, None]
    margins = (wide - wide.mean(axis=1, keepdims=True) if problem.loss == "softmax" else wide).astype(np.float64)
    size = (np.abs(x) @ np.abs(coef.T)).max(axis=1, keepdims=True) + np.abs(problem.o[:, None])
    return Fit(coef, margins, np.finfo(float).eps * size, converged, stop)


def _engine(dataset: Dataset, read: Callable[[str], bytes]) -> InMemoryEngine:
    lines = [(p.path, line) for p in dataset.of_split("train") for line in read(p.path).splitlines(keepends=True)]
    blocks = tuple(decode_line(line, where=path) for path, line in lines)
    return InMemoryEngine(dataset.tree("train"), blocks, dataset.expected("train"))


def _csv(problem: Problem) -> str:
    columns = {f"x{j}": problem.x[:, j] for j in range(problem.x.shape[1])}
    columns |= {} if problem.weights is None else {"weight": problem.weights}
    columns |= {} if problem.offsets is None else {"offset": problem.offsets}
    columns["label"] = problem.y
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(repr, row)) for row in rows)]) + "\n"


def _libsvm(problem: Problem) -> str:
    lines = []
    for label, row in zip(problem.y.tolist(), problem.x.tolist(), strict=True):
        lines.append(" ".join([repr(label), *(f"{j}:{value!r}" for j, value in enumerate(row, 1) if value)]))
    return "\n".join(lines) + "\n"
