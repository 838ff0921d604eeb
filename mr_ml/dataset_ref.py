"""A packed dataset as the rows of an estimator, wherever its jobs run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import append_events
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.attempts import noting_errors, now
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.errors import StorageError, UsageError
from mr_ml.ids import unique_id
from mr_ml.models.base import UNNAMED_KIND
from mr_ml.readers.labels import label_texts
from mr_ml.session import Session
from mr_ml.where import Place, Where, check_where, session_of

if TYPE_CHECKING:
    from mr_ml.training.train import Fitted

_MODEL = "estimator"
_EXACT_BELOW = 2.0**53


@dataclass(frozen=True)
class DatasetRef:
    """The rows of a split of a packed dataset.

    Attributes
    ----------
    dataset
        Name, ``name@version`` or ``name@latest``.
    split
        Of the dataset.
    root
        As of `mr_ml.pack`; None for the estimator's.
    where
        Where jobs run, see `mr_ml.where.Where`; what is not said here is as the estimator has it.

    Examples
    --------
    >>> LogisticRegression().fit(mr_ml.DatasetRef("ctr@3", root="hdfs:///user/me/mr_ml", where={"runner": "hadoop"}))
    """

    dataset: str
    split: str = "train"
    root: Place | None = None
    where: Where = field(default_factory=Where)

    def session(self) -> Session:
        """Open the session in which it is read.

        Raises
        ------
        UsageError
            If there is no such root or runner, or nobody said which root.
        """
        check_where(self.where)
        if self.root is None:
            raise UsageError("`root`: expected where the dataset is kept, said by the estimator or the DatasetRef")
        return session_of(self.root, self.where)


def dataset_ref_of(x: Any, *, root: Place | None, runner: str) -> DatasetRef | None:
    """Return what names a dataset as a reference with a root and a runner; None of other rows.

    Parameters
    ----------
    x
        A `DatasetRef`, or its dataset as a text.
    """
    if isinstance(x, str):
        x = DatasetRef(x)
    if not isinstance(x, DatasetRef):
        return None
    where: Where = {"runner": runner, **x.where}
    return replace(x, root=root if x.root is None else x.root, where=where)


def fit_rows(ref: DatasetRef, options_of: Callable[[Dataset], dict[str, Any]]) -> Fitted:
    """Fit a linear model to a dataset; nothing is published, and the run stays.

    Parameters
    ----------
    options_of
        Returns the options of the training.

    Raises
    ------
    MrMlError
        As `mr_ml.train`.
    """
    with ref.session() as session:
        dataset = load_dataset(session.root, ref.dataset)
        dataset.of_split(ref.split)
        spec = session.spec(UNNAMED_KIND, dataset.reference, _MODEL, ref.split, options_of(dataset))
        run = unique_id()
        with noting_errors(session.root, run):
            fitted = session.fit(spec, run=run, publishes=False)
        try:
            event = {"event": "fitted", "at": now(), **fitted.training}
            append_events(session.root.store, session.root.layout.run_log(run), [event])
        except StorageError as error:
            session.warn(f"the fit is done, but the log of run {run} does not say so: {error}")
        return fitted


def classes_of(dataset: Dataset, split: str) -> tuple[list[str], NDArray[Any]]:
    """Return the labels that rows of a split have, as users write them and as values: texts, or numbers.

    Raises
    ------
    UsageError
        If labels are not classes.
    """
    schema = dataset.schema
    if not schema.labels:
        raise UsageError(f"expected classes as labels of {dataset.reference}, found numbers: too many different ones")
    counts = dataset.label_counts[split]
    found = [(text, label) for text, label in zip(label_texts(schema, schema.codes), schema.labels, strict=True)]
    found = [(text, label) for text, label in found if counts.get(text, 0)]
    values = np.array([label for _, label in found])
    if values.dtype.kind == "f":
        if not (values == np.floor(values)).all() or (np.abs(values) > _EXACT_BELOW).any():
            raise UsageError(f"expected classes as labels of {dataset.reference}, found numbers that are not whole")
        values = values.astype(np.int64)
    return [text for text, _ in found], values


def weight_sum(dataset: Dataset, split: str, factors: Mapping[str, float] | None = None) -> float:
    """Return what the rows of a split weigh together.

    Parameters
    ----------
    factors
        By label, of its rows; None for 1 each.

    Raises
    ------
    UsageError
        If that was not noted when they were packed, as of labels that are numbers it is not.
    """
    if not dataset.schema.has_weights and factors is None:
        return float(dataset.n_rows(split))
    counts: Mapping[str, float] = dataset.label_counts[split]
    sums = counts
    if dataset.schema.has_weights:
        sums = dataset.weights.by_label.get(split, {}) if dataset.weights else {}
        if not sums or any(count and label not in sums for label, count in counts.items()):
            raise UsageError(
                f"expected to know the sum of the row weights of {dataset.reference}, to which the penalty is "
                "relative, found none; use mr_ml.train, whose `l2` is relative to the mean"
            )
    return math.fsum(total * (1.0 if factors is None else factors[label]) for label, total in sums.items() if total)
