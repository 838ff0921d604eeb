"""The candidate's training rows held against the published model's, feature by feature, known by name.

With shares p_k of the rows before and q_k now, in K classes or ranges:

    PSI        sum_k (q_k - p_k) ln(q_k / p_k),  p_k = (rows in k + 1/2) / (rows + K / 2), q_k likewise
    mean shift |mean now - mean before| / deviation before

Without drift PSI n m / (n + m) of n and m rows is distributed as chi-squared with K - 1 degrees of freedom (Yurdakul
2018, sec. 2), and the mean shift as a normal deviate times sqrt(1 / n + 1 / m). What chance alone exceeds in one of
1,000 comparisons of all features together is drift; anything less is not, however large.

A feature that is rare before, in fewer than one of `RARE` rows, has the deviation that it would have in one of `RARE`
rows: else each new campaign or city would be a shift of many deviations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.readers.same_features import placed
from mr_ml.readers.schema import Schema
from mr_ml.retraining.gate.facts import Drift, Move, SchemaChange
from mr_ml.retraining.gate.profile import Profile, Ranges

Array = NDArray[Any]
Floats = NDArray[np.float64]

RARE = 20
_CHANCE = 1e-3
_SHOWN = 5


def schema_change(now: Profile, before: Profile | None, *, schema: Schema, published_schema: Schema) -> SchemaChange:
    """Return how the input has changed; a feature that is zero in every row is as good as none.

    Without `before` only the published model's schema tells what it had: of a column that is gone each row is taken to
    have had a value, and of a category, or a feature that has a number only, none.
    """
    settings = []
    for what, ours, theirs in (
        ("format", schema.format, published_schema.format),
        ("labels", schema.label_kind, published_schema.label_kind),
        ("row weights", schema.has_weights, published_schema.has_weights),
        ("offsets", schema.has_offsets, published_schema.has_offsets),
    ):
        if ours != theirs:
            settings.append(f"{what}: {_said(ours)}, before {_said(theirs)}")
    there = placed(now.features, of=schema, among=published_schema)
    had = np.arange(published_schema.n_features) if before is None else before.features
    here = placed(had, of=published_schema, among=schema)
    appeared, vanished = np.flatnonzero(there < 0), np.flatnonzero(here < 0)
    if before is None:
        columns = _columns(had[vanished], published_schema) - _columns(np.arange(schema.n_features), schema)
        some, vanished_rate = tuple(sorted(columns)[:_SHOWN]), float(len(columns))
    else:
        some, vanished_rate = _most_frequent(before, vanished, published_schema), _per_row(before, vanished)
    return SchemaChange(
        settings=tuple(settings),
        appeared=_most_frequent(now, appeared, schema),
        n_appeared=len(appeared),
        appeared_rate=_per_row(now, appeared),
        vanished=some,
        n_vanished=len(vanished),
        vanished_rate=vanished_rate,
        reordered=bool((np.diff(here[here >= 0]) < 0).any()),
    )


def _columns(features: Array, schema: Schema) -> set[str]:
    """Return the columns that features come from, of those that have names."""
    if schema.feature_names is None:
        return set()
    return {schema.feature_names[k].partition("=")[0] for k in features.tolist()}


def _said(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _per_row(profile: Profile, at: Array) -> float:
    return float(profile.nonzero[at].sum() / max(profile.n_rows, 1))


def _most_frequent(profile: Profile, at: Array, schema: Schema) -> tuple[str, ...]:
    first = at[np.argsort(-profile.nonzero[at], kind="stable")[:_SHOWN]]
    return tuple(schema.name_of(k) for k in profile.features[first].tolist())


def drift(
    now: Profile, before: Profile, *, schema: Schema, published_schema: Schema, unwatched: Collection[str] = (),
    counts: Floats | None = None,
) -> Drift:  # fmt: skip
    """Return how far the rows have moved.

    Parameters
    ----------
    now, before
        The candidate's training rows and the published model's.
    unwatched
        Features, or columns of categories, that are left out.
    counts
        Of the candidate's rows in the ranges of `before` that `ranges_in` keeps; None if these were not counted.
    """
    features, (one, other) = _together(now, before, schema=schema, published_schema=published_schema)
    watched = _watched(features, schema, unwatched)
    features, one, other = features[watched], one[:, watched], other[:, watched]

    def moves(by: Floats, chance: Floats | float, was: Floats, is_now: Floats, ids: Array = features) -> Any:
        return _farthest(by, chance, was, is_now, lambda k: schema.name_of(int(ids[k])))

    n, m = now.n_rows, before.n_rows
    presence = psi(_with_rest(other[2], m), _with_rest(one[2], n))
    shift, beyond = _mean_shift(one, other, n=n, m=m)
    values = None
    if counts is not None and before.ranges is not None:
        kept = ranges_in(before.ranges, schema=schema, published_schema=published_schema, unwatched=unwatched)
        by = psi(kept.counts, counts)
        middle = before.ranges.counts.shape[1] // 2
        was, is_now = (c[:, middle:].sum(axis=1) / np.maximum(c.sum(axis=1), 1) for c in (kept.counts, counts))
        chance = by_chance(n, m, kinds=counts.shape[1], among=len(by))
        values = moves(by, chance, was, is_now, ids=kept.features)
    columns = [c for c in sorted(now.missing.keys() | before.missing.keys()) if c not in unwatched]
    gone, were = (np.array([p.missing.get(c, 0) for c in columns], float) for p in (now, before))
    missing = psi(_with_rest(were, m), _with_rest(gone, n))
    return Drift(
        classes=_classes(now.labels, before.labels) if now.labels and before.labels else None,
        label=_label(now, before),
        presence=moves(presence, by_chance(n, m, kinds=2, among=len(features)), other[2] / m, one[2] / n),
        means=moves(np.where(beyond, shift, 0.0), 0.0, other[0], one[0]),
        missing=_farthest(
            missing, by_chance(n, m, kinds=2, among=len(columns)), were / m, gone / n, lambda k: columns[k]
        ),
        values=values,
        n_features=len(features),
        n_ranged=0 if counts is None else len(counts),
        n_columns=len(columns),
    )


def ranges_in(
    ranges: Ranges, *, schema: Schema, published_schema: Schema, unwatched: Collection[str] = ()
) -> Ranges:  # fmt: skip
    """Return a published model's ranges of the features that a candidate's schema has, as it numbers them."""
    here = placed(ranges.features, of=published_schema, among=schema)
    order = np.argsort(here, kind="stable")
    order = order[here[order] >= 0]
    order = order[_watched(here[order], schema, unwatched)]
    return Ranges(features=here[order].astype(np.int32), edges=ranges.edges[order], counts=ranges.counts[order])


def psi(before: Floats, now: Floats) -> Floats:
    """Return the population stability index of each row of counts (n, K), (n,)."""
    kinds = before.shape[-1]
    p, q = ((c + 0.5) / (c.sum(axis=-1, keepdims=True) + kinds / 2) for c in (before, now))
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=-1))


def by_chance(n: int, m: int, *, kinds: int, among: int) -> float:
    """Return the index of n and m rows without drift that one of `among` exceeds once in 1,000 times."""
    from scipy.special import chdtri

    return float(chdtri(kinds - 1, _CHANCE / max(among, 1))) * (1 / max(n, 1) + 1 / max(m, 1))


def _classes(now: Mapping[str, int], before: Mapping[str, int]) -> Move | None:
    labels = sorted(now.keys() | before.keys())
    one, other = (np.array([counts.get(label, 0) for label in labels], float) for counts in (now, before))
    n, m = one.sum(), other.sum()
    if not n or not m:
        return None
    by = float(psi(other, one))
    farthest = int(np.abs(one / n - other / m).argmax())
    if by <= by_chance(int(n), int(m), kinds=max(len(labels), 2), among=1):
        by = 0.0
    return Move(
        what=labels[farthest], by=by, before=float(other[farthest] / m), now=float(one[farthest] / n)
    )  # fmt: skip


def _label(now: Profile, before: Profile) -> Move | None:
    numbers = [p.label_mean for p in (now, before)] + [p.label_deviation for p in (now, before)]
    mean, was, deviation, deviated = (np.array([math.nan if x is None else x]) for x in numbers)
    if np.isnan(mean + was + deviation + deviated).any():
        return None
    one, other = (np.array([m, d, [p.n_rows]]) for m, d, p in ((mean, deviation, now), (was, deviated, before)))
    shift, beyond = _mean_shift(one, other, n=now.n_rows, m=before.n_rows)
    return Move(what="label", by=float(shift[0]) if beyond[0] else 0.0, before=float(was[0]), now=float(mean[0]))


def _with_rest(counts: Floats, n_rows: int) -> Floats:
    return np.stack([counts, n_rows - counts], axis=1)


def _mean_shift(one: Floats, other: Floats, *, n: int, m: int) -> tuple[Floats, Array]:
    """Return the shift of each mean in deviations before, and whether it is more than chance."""
    from scipy.special import ndtri

    (mean, deviation, _), (was, deviated, present) = one, other
    # present in one of RARE rows at least, as it were
    rarity = np.minimum(np.maximum(present, 1) * RARE / max(m, 1), 1)
    unit = np.where(deviated > 0, deviated / np.sqrt(rarity), deviation)
    # sums may overflow
    with np.errstate(all="ignore"):
        moved = np.abs(mean - was)
        # a constant is computed from many equal numbers
        moved = np.where(moved < 1e-9 * np.maximum(np.abs(mean), np.abs(was)), 0.0, moved)
        shift = np.where(moved > 0, moved / unit, 0.0)
        # few rows may be all alike by chance
        noise = np.maximum(deviation, deviated) * math.sqrt(1 / max(n, 1) + 1 / max(m, 1))
        beyond = moved > -ndtri(_CHANCE / 2 / max(len(mean), 1)) * noise
    shift[np.isnan(moved)] = np.inf
    return shift, beyond | ~np.isfinite(shift)


def _together(
    now: Profile, before: Profile, *, schema: Schema, published_schema: Schema
) -> tuple[Array, tuple[Floats, Floats]]:  # fmt: skip
    """Return the features that both schemas have, and mean, deviation and presence in each, (3, n); else zero."""
    there = placed(now.features, of=schema, among=published_schema)
    here = placed(before.features, of=published_schema, among=schema)
    features = np.union1d(now.features[there >= 0].astype(np.int64), here[here >= 0])
    found = []
    for profile, ids, known in ((now, now.features.astype(np.int64), there >= 0), (before, here, here >= 0)):
        at = np.searchsorted(features, ids[known])
        spread = np.zeros((3, len(features)))
        spread[:, at] = np.array([profile.mean, profile.deviation, profile.nonzero])[:, known]
        found.append(spread)
    return features, (found[0], found[1])


def _watched(features: Array, schema: Schema, unwatched: Collection[str]) -> Array:
    if not unwatched:
        return np.ones(len(features), bool)
    names = (schema.name_of(k) for k in features.tolist())
    return np.array([not (n in unwatched or n.partition("=")[0] in unwatched) for n in names], bool)


def _farthest(
    by: Floats, chance: float | Floats, before: Floats, now: Floats, name: Callable[[int], str]
) -> tuple[Move, ...]:  # fmt: skip
    beyond = np.flatnonzero(by > chance)
    first = beyond[np.argsort(-by[beyond], kind="stable")[:_SHOWN]]
    return tuple(
        Move(what=name(k), by=float(by[k]), before=float(before[k]), now=float(now[k])) for k in first.tolist()
    )
