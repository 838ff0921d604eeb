"""What a model's training rows were like: kept beside it, so that the dataset may go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import NotFoundError, Root
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.catalog.feature_moments import FeatureMoments, checked_features
from mr_ml.data import frame, stored
from mr_ml.data.npz import check_arrays
from mr_ml.errors import BadDataError
from mr_ml.models.base import Model
from mr_ml.models.needs import Needs
from mr_ml.retraining.gate.kept import RunPass, run_anew
from mr_ml.session import Session
from mr_ml.sums.histogram import HistogramQuery
from mr_ml.sums.several import SeveralQueries

Array = NDArray[Any]
Floats = NDArray[np.float64]

KIND = "profile"
_FORMAT = 1

# Of so many features the values are counted in ranges: those that most rows have.
MOST_RANGED = 256
# Tenths of a normal distribution, in standard deviations.
_TENTHS = np.array([-1.2816, -0.8416, -0.5244, -0.2533, 0.0, 0.2533, 0.5244, 0.8416, 1.2816])


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranges:
    """Rows by ranges of values, as of `mr_ml.sums.histogram`.

    Attributes
    ----------
    features : int32 (n,)
        Which features, ascending.
    edges, counts
        (n, 9) and (n, 10).
    """

    features: Array
    edges: Floats
    counts: Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class Profile:
    """What the training rows of a model were like, each counted once whatever its weight.

    Attributes
    ----------
    n_rows
        How many there were.
    labels
        Label -> rows; empty where labels are continuous.
    label_mean, label_deviation
        Of the labels as numbers, of texts their places in the schema; None where packing did not find them.
    missing
        Column -> rows without a value, where there are any.
    features : int32 (n,)
        Those that are not zero in some row, ascending.
    mean, deviation, nonzero
        (n,) of each feature: mean and standard deviation, and the number of rows in which it is not zero.
    ranges
        Of some features; None where they were not counted.
    """

    n_rows: int
    labels: Mapping[str, int]
    label_mean: float | None
    label_deviation: float | None
    missing: Mapping[str, int]
    features: Array
    mean: Floats
    deviation: Floats
    nonzero: Floats
    ranges: Ranges | None = None

    def encode(self) -> bytes:
        """Return the frame of its file."""
        meta = {
            "format": _FORMAT,
            "n_rows": self.n_rows,
            "labels": dict(self.labels),
            "label_mean": self.label_mean,
            "label_deviation": self.label_deviation,
            "missing": dict(self.missing),
            "has_ranges": self.ranges is not None,
        }
        arrays = {
            "features": self.features.astype(np.int64),
            "mean": self.mean,
            "deviation": self.deviation,
            "nonzero": self.nonzero,
        }
        if self.ranges is not None:
            ranged = self.ranges.features.astype(np.int64)
            arrays |= {"ranged": ranged, "edges": self.ranges.edges, "counts": self.ranges.counts}
        return frame.encode(KIND, meta, arrays)

    @classmethod
    def decode(cls, data: bytes, *, n_features: int, where: str) -> Profile:
        """Undo `encode`.

        Raises
        ------
        BadDataError
            If it is damaged, of a newer mr_ml, or not of so many features.
        """
        opened = frame.decode(data, kind=KIND, where=where)
        header = stored.read(_Header, opened.meta, where=where)
        if header.format > _FORMAT:
            raise BadDataError(f"{where}: expected a profile of format {_FORMAT}, found {header.format}; upgrade mr_ml")
        arrays = dict(opened.arrays)
        none = np.zeros(0, np.int64)
        given, ids = arrays.get("features", none), arrays.get("ranged", none)
        n, k, m = given.size, ids.size, len(_TENTHS)
        shapes: dict[str, tuple[int, ...]] = {"features": (n,), "mean": (n,), "deviation": (n,), "nonzero": (n,)}
        if header.has_ranges:
            shapes |= {"ranged": (k,), "edges": (k, m), "counts": (k, m + 1)}
        check_arrays(arrays, shapes, whole=("features", "ranged") if header.has_ranges else ("features",), where=where)
        ranges = None
        if header.has_ranges:
            ranges = Ranges(
                features=checked_features(ids, n_features, where=where), edges=arrays["edges"], counts=arrays["counts"]
            )
        return cls(
            n_rows=header.n_rows,
            labels=header.labels,
            label_mean=header.label_mean,
            label_deviation=header.label_deviation,
            missing=header.missing,
            features=checked_features(given, n_features, where=where),
            mean=arrays["mean"],
            deviation=arrays["deviation"],
            nonzero=arrays["nonzero"],
            ranges=ranges,
        )


@dataclass(frozen=True, kw_only=True)
class _Header:
    format: stored.Positive
    n_rows: stored.Count
    labels: Mapping[str, stored.Count]
    label_mean: float | None
    label_deviation: stored.NotNegative | None
    missing: Mapping[str, stored.Count]
    has_ranges: bool


def profile_of(root: Root, dataset: Dataset, split: str) -> Profile:
    """Return the profile of a split, without ranges; no pass is run.

    Raises
    ------
    NotFoundError
        If the moments of the split are gone.
    BadDataError
        If they are damaged.
    """
    moments = FeatureMoments.load(root.store, dataset, split)
    held = np.flatnonzero(moments.nonzero)
    features = held if moments.features is None else moments.features[held]
    return Profile(
        n_rows=moments.count,
        labels=dataset.label_counts[split],
        label_mean=_number(moments.label_mean),
        label_deviation=_number(math.sqrt(moments.label_variance)),
        missing=_missing(dataset, split),
        features=features.astype(np.int32),
        mean=moments.mean[held],
        deviation=moments.deviation[held],
        nonzero=moments.nonzero[held].astype(np.float64),
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _missing(dataset: Dataset, split: str) -> dict[str, int]:
    """Return rows of a split without a value, by column; of all rows, in proportion, where they count for all."""
    by_split = dataset.packing.get("missing_by_split")
    if by_split is not None:
        return dict(by_split[split])
    share = dataset.n_rows(split) / max(dataset.n_rows(), 1)
    return {column: round(count * share) for column, count in dataset.packing.get("missing", {}).items()}


def ranged(profile: Profile) -> Ranges:
    """Return ranges of the features whose values are of more kinds than absent and one number; nothing is counted."""
    n = max(profile.n_rows, 1)
    # of a feature that is v in k of n rows and else zero: v sqrt(k / n (1 - k / n))
    share = profile.nonzero / n
    value = np.divide(profile.mean, share, out=np.zeros_like(profile.mean), where=share > 0)
    of_two = np.abs(value) * np.sqrt(share * (1 - share))
    varied = (profile.deviation > 0) & (np.abs(profile.deviation - of_two) > 1e-6 * profile.deviation)
    varied &= np.isfinite(profile.mean) & np.isfinite(profile.deviation)
    order = np.argsort(-profile.nonzero, kind="stable")
    chosen = np.sort(order[varied[order]][:MOST_RANGED])
    edges = profile.mean[chosen, None] + profile.deviation[chosen, None] * _TENTHS
    return Ranges(features=profile.features[chosen], edges=edges, counts=np.zeros((len(chosen), len(_TENTHS) + 1)))


def count_in(
    session: Session, dataset: Dataset, split: str, ranges: Sequence[Ranges], *, run_pass: RunPass = run_anew
) -> list[Floats]:  # fmt: skip
    """Count the rows of a split in ranges, in one pass; in none if these are of no features."""
    if not any(len(one.features) for one in ranges):
        return [one.counts for one in ranges]
    query = SeveralQueries(tuple(HistogramQuery(one.features, one.edges) for one in ranges))
    n_bytes = sum(one.edges.nbytes + one.counts.nbytes for one in ranges)
    n_blocks = sum(p.facts.blocks for p in dataset.of_split(split))
    needs = Needs(block_sum_bytes=n_bytes, sum_bytes=n_bytes, n_blocks=n_blocks, query_bytes=n_bytes)
    with closing(session.engine_over(dataset, split, needs)) as engine:
        return list(query.read(run_pass("counted", engine, query)))


def save_profile(root: Root, name: str, run: str, profile: Profile) -> None:
    """Write the profile of a model that one run made, beside its coefficients: before the model is published.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    root.store.write(root.layout.profile(name, run), profile.encode())


def published_profile(root: Root, model: Model) -> Profile | None:
    """Return what is kept beside a published model, else that of its dataset; None if neither is there any more.

    Raises
    ------
    BadDataError
        If it is damaged, or of a newer mr_ml.
    """
    path = root.layout.profile(model.name, model.manifest["run"])
    try:
        data = root.store.read(path)
    except NotFoundError:
        pass
    else:
        return Profile.decode(data, n_features=model.schema.n_features, where=root.store.uri(path))
    try:
        return profile_of(root, load_dataset(root, model.manifest["dataset"]), model.manifest["spec"]["split"])
    except NotFoundError:
        return None
