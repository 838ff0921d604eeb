"""All losses under all penalties, trained together: three passes over one dataset, whose labels all losses take.

A pass that takes seconds, because it is a job on a cluster, shows so in a minute that sums come to the same bits there.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from commands import copy
from runner_kinds import Ground

import mr_ml
from hdfs_layout import LocalStore
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.models.linear.losses import LOSSES
from mr_ml.models.needs import Needs
from mr_ml.models.problem import Problem
from mr_ml.optimize.base import stacked
from mr_ml.packing import plan
from mr_ml.session import Session
from mr_ml.sums.several import SeveralQueries
from mr_ml.training.train import make_problem

PASSES = 3
NAME = "for-all-losses"
# Of losses that have some without defaults.
PARAMETERS = {"negative_binomial": ":theta=2", "huber": ":delta=0.5", "quantile": ":width=0.1"}
PENALTIES: dict[str, dict[str, Any]] = {
    "none": {},
    "l2": {"l2": 0.01},
    "l2 scaled": {"l2": 0.01, "penalty_space": "scaled"},
    "l1": {"l1": 0.01},
    "elastic net, factors": {"l1": 0.01, "l2": 0.02, "per_feature": {"a": {"factor": 3.0}, "b": {"factor": 0.0}}},
    "bounds": {"per_feature": {"a": {"lower": 0.0}, "c": {"lower": -0.1, "upper": 0.1}}},
    "prior": {"per_feature": {"b": {"prior_mean": 0.5, "prior_precision": 0.1}}},
    "l2 by lbfgs": {"l2": 0.01, "solver": "lbfgs"},
    "l1 by proximal-lbfgs": {"l1": 0.01, "solver": "proximal-lbfgs"},
}


def searches(ground: Ground) -> dict[str, str]:
    """Return digests of where all searches are after some passes by the ground's runner, by loss and penalty."""
    _put_rows(ground)
    words = [word.removeprefix("--").replace("-", "_") for word in ground.runner[::2]]
    options: dict[str, Any] = dict(zip(words, ground.runner[1::2], strict=True))
    options["runner"] = options.pop("_r")
    if "workers" in options:
        options["workers"] = int(options["workers"])
    with Session.open(ground.root, **options) as session, np.errstate(all="ignore"):
        dataset = load_dataset(session.root, NAME)
        problems = {
            f"{loss}, {penalty}": _problem(session, dataset, loss + PARAMETERS.get(loss, ""), more)
            for loss in LOSSES.built_in
            for penalty, more in PENALTIES.items()
        }
        states = {name: problem.optimizer.init(problem.start()) for name, problem in problems.items()}
        each = [problem.needs() for problem in problems.values()]
        needs = Needs(
            block_sum_bytes=sum(one.block_sum_bytes for one in each), sum_bytes=sum(one.sum_bytes for one in each),
            n_blocks=each[0].n_blocks, state_bytes=sum(one.state_bytes for one in each),
        )  # fmt: skip
        with closing(session.engine_over(dataset, "train", needs)) as engine:
            for _ in range(PASSES):
                asks = {name: ask for name, of in problems.items() if (ask := of.optimizer.ask(states[name]))}
                together = SeveralQueries(tuple(problems[name].objective.query(ask) for name, ask in asks.items()))
                totals = together.statistics(engine.run(together))
                for (name, ask), total in zip(asks.items(), totals, strict=True):
                    found = problems[name].objective.finish(ask, total)
                    states[name] = problems[name].optimizer.tell(states[name], found)
    assert len({problem.optimizer.name for problem in problems.values()}) == 4
    return {name: _digest(problems[name], state) for name, state in states.items()}


def _problem(session: Session, dataset: Dataset, loss: str, more: dict[str, Any]) -> Problem:
    spec = LinearSpec(dataset=dataset.reference, model="m", loss=loss, **more)
    return make_problem(spec, dataset, session.root)


def _digest(problem: Problem, state: Any) -> str:
    """Of all numbers of a state."""
    _, arrays = problem.optimizer.encode(state)
    whole = stacked(arrays, problem.objective.size)
    return hashlib.sha256(b"".join(np.ascontiguousarray(whole[name]).tobytes() for name in sorted(whole))).hexdigest()


def _put_rows(ground: Ground) -> None:
    """Packed here and copied as they are: packing has features of its own."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=(240, 4)) * [1, 3, 0.5, 1]
    y = 1 + (x[:, 0] - x[:, 1] / 3 + rng.logistic(size=240) > 0)
    weight = rng.integers(1, 4, 240)
    lines = (
        f"{','.join(f'{value:.4f}' for value in row)},{u},{label}"
        for row, u, label in zip(x.tolist(), weight, y, strict=True)
    )
    text, made = ground.here / "for-all.csv", ground.here / "packed-for-all"
    text.write_text("\n".join(["a,b,c,d,weight,label", *lines, ""]), encoding="ascii")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_BYTES", 1 << 11)
        packed = mr_ml.pack(made, str(text), NAME, partitions=3, seed=3, label_column="label", weight_column="weight")
    assert sum(partition.facts.blocks for partition in packed.of_split("train")) >= 4
    copy(LocalStore(str(made)), ground.store, "datasets")
