"""Two models on the same rows in one pass: how much they differ, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any, Literal

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.model import load_model
from mr_ml.catalog.uses import using
from mr_ml.catalog.verify import verify
from mr_ml.errors import UsageError
from mr_ml.models.paired import HIGHER, Difference, PairedQuery
from mr_ml.progress import stage
from mr_ml.session import Session
from mr_ml.training.evaluate import Evaluation, count_unseen


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """What came of it.

    Attributes
    ----------
    a, b, dataset, split
        The models and whose rows these are, with their versions.
    metrics
        Of a and of b, as `Session.evaluate` gives them.
    differences
        By metric, those that are means over rows: that of a less that of b.
    confidence
        Of the intervals.
    """

    a: str
    b: str
    dataset: str
    split: str
    metrics: tuple[Mapping[str, Any], Mapping[str, Any]]
    differences: Mapping[str, Difference]
    confidence: float

    def interval(self, metric: str) -> tuple[float, float]:
        """Return where the true mean difference of a metric lies, with this confidence."""
        difference = self.differences[metric]
        width = difference.half_width((1 + self.confidence) / 2)
        return difference.mean - width, difference.mean + width

    def better(self, metric: str) -> Literal["a", "b"] | None:
        """Return which model is shown to be better by a metric; None if the interval holds 0."""
        low, high = self.interval(metric)
        if not (low > 0 or high < 0):
            return None
        return "a" if (low > 0) == (metric in HIGHER) else "b"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; numbers that are not finite stay."""
        one, other = self.metrics
        found = {}
        for metric, difference in self.differences.items():
            low, high = self.interval(metric)
            found[metric] = {
                "a": one[metric], "b": other[metric], "difference": difference.mean,
                "standard_error": difference.standard_error, "low": low, "high": high, "better": self.better(metric),
                "effective_rows": difference.effective_rows,
            }  # fmt: skip
        return {
            "a": self.a, "b": self.b, "dataset": self.dataset, "split": self.split, "n_rows": one["n_rows"],
            "confidence": self.confidence, "differences": found, "metrics": {"a": dict(one), "b": dict(other)},
        }  # fmt: skip


# numbers that overflow are counted and said
@np.errstate(all="ignore")
def compare(
    session: Session, a: str, b: str, dataset: str, *, split: str = "test", row_weights: bool = True,
    unseen_features: Literal["error", "ignore"] = "error", confidence: float = 0.95, verify_bytes: bool = False,
) -> Comparison:  # fmt: skip
    """Measure two models on a dataset's split, row by row; other parameters as of `Session.evaluate_several`.

    Raises
    ------
    UsageError
        If the models have no metric in common that is a mean over rows, or `confidence` is not between 0 and 1.
    BadDataError
        If features or labels of the dataset are not those that a model knows, or the data is damaged.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"`confidence`: expected a number above 0 and below 1, found {confidence:g}")
    root = session.root
    models = [load_model(root, name) for name in (a, b)]
    found_in = load_dataset(root, dataset)
    ignored = unseen_features == "ignore"
    with using(root, found_in):
        partitions = found_in.of_split(split)
        if verify_bytes:
            verify(root.store, partitions)
        for model in models:
            count_unseen(model, found_in, root.store, split=split, ignored=ignored, say=session.say)
        ways = [model.measurement(found_in, row_weights=row_weights, by_name=ignored) for model in models]
        one, other = ways
        paired = PairedQuery((one.query, other.query), (one.columns, other.columns))
        needs = Evaluation(models=models, measurements=ways, dataset=found_in).needs(split=split)
        with closing(session.engine_over(found_in, split, needs)) as engine, stage("comparing", unit="passes"):
            total = engine.run(paired)
    first, second = (way.finish(of) for way, of in zip(ways, paired.statistics(total), strict=True))
    differences = paired.read(total)
    if not differences:
        names = " and ".join(model.reference for model in models)
        raise UsageError(f"{names} have no metric in common that is a mean over rows")
    return Comparison(
        a=models[0].reference, b=models[1].reference, dataset=found_in.reference, split=split,
        metrics=(first, second), differences=differences, confidence=confidence,
    )  # fmt: skip
