"""Metrics of a model on a split of a dataset, one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hdfs_layout import Store
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.errors import BadDataError
from mr_ml.models.base import Measurement, Model
from mr_ml.models.groups import GroupsQuery
from mr_ml.models.needs import Needs
from mr_ml.passes.base import Engine
from mr_ml.progress import stage
from mr_ml.readers.same_features import placed
from mr_ml.sums.several import SeveralQueries
from mr_ml.sums.statistic import Statistic
from mr_ml.training.groups import NO_GROUPS, Groups

# So many times the rows are counted in the sums of groups, at the most, and once in those of all rows.
_GROUPS_TOGETHER = 3


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Models that are measured on the same rows, side by side in one pass.

    Attributes
    ----------
    models, measurements
        A measurement for each model.
    dataset
        Whose rows they are.
    column, groups
        By what groups of rows are measured too; None for no groups.
    """

    models: Sequence[Model]
    measurements: Sequence[Measurement]
    dataset: Dataset
    column: str | None = None
    groups: Groups = NO_GROUPS

    # numbers that overflow are counted and said; the warning would name no row
    @np.errstate(all="ignore")
    def run(self, engine: Engine) -> list[dict[str, Any]]:
        """Return metrics by model of the rows that `engine` runs over, the very same that each has alone."""
        if len(self.models) == 1 and self.column is None:
            (one,) = self.measurements
            with stage("measuring", unit="passes"):
                total = engine.run(one.query, columns=one.columns)
            return [self._told(0, (total,))]
        queries = [GroupsQuery(of.query, of.columns, self.groups.features) for of in self.measurements]
        with stage("measuring", unit="passes"):
            if len(queries) == 1:
                totals = [engine.run(queries[0])]
            else:
                several = SeveralQueries(tuple(queries))
                totals = list(several.statistics(engine.run(several)))
        return [
            self._told(k, query.statistics(total)) for k, (query, total) in enumerate(zip(queries, totals, strict=True))
        ]

    def _told(self, k: int, statistics: Sequence[Statistic]) -> dict[str, Any]:
        model, measured = self.models[k], self.measurements[k]
        whole, *grouped = statistics
        found = {
            "model": model.reference, "dataset": self.dataset.reference, **measured.finish(whole),
            "labels": model.label_texts,
        }  # fmt: skip
        if self.column is None:
            return found
        some = [(name, of) for name, of in zip(self.groups.names, grouped, strict=True) if of.n_rows]
        return {**found, "by": self.column, "groups": [{"group": name, **_of_group(measured, of)} for name, of in some]}

    def needs(self, *, split: str) -> Needs:
        """Return what the pass holds besides blocks."""
        model_bytes = sum(model.nbytes for model in self.models)
        # the rows of all groups together are those of the dataset, or more where groups overlap
        measurements = [*self.measurements] * min(1 + len(self.groups.names), _GROUPS_TOGETHER)
        return measuring_needs(measurements, self.dataset, split=split, model_bytes=model_bytes)


def _of_group(measured: Measurement, total: Statistic) -> dict[str, Any]:
    """Return the metrics of a group of rows; of one whose rows all have weight 0 only how many these are."""
    try:
        return measured.finish(total)
    except BadDataError:
        # what else there is to refuse has been found in all rows
        return {"n_rows": total.n_rows, "weight_sum": 0.0}


def evaluate(model: Model, dataset: Dataset, *, engine: Engine, row_weights: bool = True) -> dict[str, Any]:
    """Return metrics of the rows that `engine` runs over; what these have of `unseen_features` counts for nothing.

    Raises
    ------
    BadDataError
        If the dataset's features or labels are not those that the model knows.
    """
    check_features(model, dataset)
    measured = model.measurement(dataset, row_weights=row_weights)
    return Evaluation(models=[model], measurements=[measured], dataset=dataset).run(engine)[0]


def measuring_needs(measurements: Sequence[Measurement], dataset: Dataset, *, split: str, model_bytes: int) -> Needs:
    """Return what a pass of these measurements, side by side, holds besides blocks.

    Parameters
    ----------
    model_bytes
        Of all models together.
    """
    n_blocks = sum(p.facts.blocks for p in dataset.of_split(split))
    most = -(-dataset.n_rows(split) // n_blocks)
    return Needs(
        block_sum_bytes=sum(measured.sum_bytes(most) for measured in measurements),
        sum_bytes=sum(measured.sum_bytes(most * n_blocks) for measured in measurements),
        n_blocks=n_blocks,
        # as it was read, and as it is sent
        state_bytes=2 * model_bytes,
        query_bytes=model_bytes,
    )


def check_features(model: Model, dataset: Dataset) -> None:
    """Refuse a dataset whose columns have other names than the model's, or another order."""
    ours, theirs = model.schema.feature_names, dataset.schema.feature_names
    if ours != theirs:
        differing = sorted(set(ours or ()) ^ set(theirs or ()))[:5]
        what = f"other features than those of {model.reference}, such as {differing}"
        if not differing:
            what = f"the features of {model.reference} in another order"
        raise BadDataError(f"{dataset.reference} has {what}; pack it with `like` {model.manifest['dataset']}")


def unseen_features(model: Model, dataset: Dataset, store: Store, *, split: str) -> list[str]:
    """Return the features that the model does not know and that are not zero in all rows of a split.

    Those of libsvm rows are known by their ids in the text, others by name, as the model is to be measured by name.

    Raises
    ------
    BadDataError
        If the dataset's moments are damaged.
    """
    n, first = dataset.schema.n_features, model.schema.first_column_in(dataset.schema)
    named = model.schema.feature_names != dataset.schema.feature_names
    if (not named and first <= 0 and n <= first + model.n_features) or split not in dataset.moments:
        return []
    moments = FeatureMoments.load(store, dataset, split)
    columns = np.arange(moments.n_features) if moments.features is None else moments.features
    used = columns[(moments.minimum != 0) | (moments.maximum != 0)]
    known = placed(used, of=dataset.schema, among=model.schema) >= 0
    return [dataset.schema.name_of(k) for k in used[~known].tolist()]


def count_unseen(
    model: Model, dataset: Dataset, store: Store, *, split: str, ignored: bool, say: Callable[[str], None]
) -> int:
    """Return how many features of a split a model does not know, and say it.

    Raises
    ------
    BadDataError
        If there are some, or their order is another one, and this is not to be ignored.
    """
    if not ignored:
        check_features(model, dataset)
    unseen = unseen_features(model, dataset, store, split=split)
    if not unseen:
        return 0
    what = f"{len(unseen)} features that {model.reference} does not know, such as {ascii(unseen[0])[1:-1][:60]}"
    if not ignored:
        raise BadDataError(
            f"{dataset.reference} {split} has {what}; leave them out with `unseen_features` ignore, or train on data "
            "that has them"
        )
    say(f"ignored: {what}")
    return len(unseen)
