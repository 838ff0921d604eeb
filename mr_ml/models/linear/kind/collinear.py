"""Which features are sums of others, in words, from the directions along which no row changes.

The directions d_1 ... d_k (see `mr_ml.optimize.columns`) span those differences of coefficients that rows cannot tell.
Of columns of which each row has one category the encoding itself makes such directions, since they sum to 1: one
category of each, its base, is taken out by them, as standard errors do (`mr_ml.models.linear.kind.contrasts`). What is
left is solved from the last feature back, columns of categories before all others: what comes of it are features, each
as a sum of earlier ones that are no sums themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.models.linear.objective import Objective
from mr_ml.readers.schema import Schema

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# As many sums as a warning names, as many features as it has a sum of, and as many that it names where there are more.
_NAMED, _TERMS, _SOME = 5, 4, 3
# What is no part of a sum, in multiples of its largest one.
_NOTHING = 1e-6
_DIGITS = 6
# To which sums of squares tell a sum from what is near to one.
_SURE_DIGITS = 7


@dataclass(frozen=True, eq=False)
class _Sum:
    """The column that is a sum of others and of a number, with the columns (n,) and what each is multiplied by."""

    column: int
    others: Ints
    factors: Floats
    number: float


@dataclass(frozen=True, eq=False)
class Encoding:
    """What features stand for.

    Attributes
    ----------
    column_of
        Features, as the problem counts them, and the names of their columns.
    complete
        First feature and the one after the last of columns of which each row has a category.
    constant
        (n_features,) which are one number in all rows.
    """

    column_of: dict[int, str]
    complete: tuple[tuple[int, int], ...]
    constant: NDArray[np.bool_]

    @classmethod
    def of(cls, schema: Schema, moments: FeatureMoments) -> Encoding:
        """Return those of features that have these moments."""
        column_of, complete = dict[int, str](), list[tuple[int, int]]()
        for column, first, last, is_complete in columns_of_categories(schema, moments):
            column_of.update(dict.fromkeys(range(first, last), column))
            if is_complete:
                complete.append((first, last))
        return cls(column_of, tuple(complete), moments.minimum == moments.maximum)


def columns_of_categories(schema: Schema, moments: FeatureMoments) -> Iterator[tuple[str, int, int, bool]]:
    """Yield the name of each, its first feature, the one after its last, and whether each row has one of them."""
    held = np.arange(moments.n_features) if moments.features is None else moments.features
    for column, features in schema.categories.items():
        first, last = np.searchsorted(held, [features.start, features.stop]).tolist()
        yield column, first, last, int(moments.nonzero[first:last].sum()) == moments.count


def collinear(
    flat: Floats | None, objective: Objective, encoding: Encoding, *, n_rows: int, name_of: Callable[[int], str]
) -> Iterator[str]:
    """Say which features are sums of others, and what that means for the model.

    Parameters
    ----------
    flat
        (k, n_columns) as of `mr_ml.optimize.base.Result`.
    encoding
        Of the objective's features.
    n_rows
        Of the split: with no more rows than columns each column is a sum of as many others, which is no news.
    name_of
        Names a feature of the objective.
    """
    if flat is None or not len(flat):
        return
    sums = list(_sums(flat, objective, encoding))
    if n_rows <= flat.shape[1]:
        sums = [one for one in sums if len(one.others) <= min(_TERMS, n_rows // 4)]
    told = _told(sums, encoding, name_of)
    if not told:
        return
    more = f"; and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    involved = np.unique(np.concatenate([np.append(one.others, one.column) for one in sums]))
    penalty = objective.penalty
    if not penalty.is_zero and penalty.keeps(objective.scaling)[involved].all():
        meaning = (
            "the penalty decides how these share what they tell together, so that the coefficient of a single one says "
            "little; to read coefficients, drop one of each"
        )
    else:
        meaning = (
            "other coefficients of theirs predict as well, so that those of a single one say nothing; drop one of "
            "each, or give --l2 to have them share it"
        )
    features = "; ".join(told[:_NAMED])
    yield f"collinear features, to {_SURE_DIGITS} digits or more: {features}{more}: {meaning}"


def _sums(flat: Floats, objective: Objective, encoding: Encoding) -> Iterator[_Sum]:
    """Yield the sums that the encoding does not make, in the order of their features."""
    scaling, n = objective.scaling, objective.rows.n_features
    off = scaling.mean + objective.rows.shift.of_features(n)
    rows, order = flat.copy(), _order(encoding, n)
    for base, direction in _of_encoding(objective, encoding):
        rows -= np.outer(rows[:, base] / direction[base], direction)
        rows[:, base] = 0
    found = dict[int, Floats]()
    for column in reversed(order):
        sizes = np.abs(rows).max(axis=1, initial=0.0)
        share = np.divide(np.abs(rows[:, column]), sizes, out=np.zeros(len(rows)), where=sizes > _NOTHING)
        best = int(share.argmax()) if len(rows) else 0
        if not len(rows) or share[best] <= _NOTHING:
            continue
        row = rows[best] / rows[best, column]
        rows = np.delete(rows, best, axis=0)
        rows -= np.outer(rows[:, column], row)
        rows[:, column] = 0
        for other, earlier in found.items():
            found[other] = earlier - earlier[column] * row
            found[other][column] = 0
        found[column] = row
    scale = scaling.scale
    for column in sorted(found):
        row = found[column][:n]
        others = np.flatnonzero(np.abs(row) > _NOTHING * np.abs(row).max())
        others = others[others != column]
        # one number in all rows, or in those that count, is no news here
        if len(others) and not (encoding.constant[column] or encoding.constant[others].all()):
            factors = _rounded(-row[others] * scale[column] / scale[others])
            intercept = float(found[column][n]) if scaling.intercept else 0.0
            number = off[column] - scale[column] * intercept - float(factors @ off[others])
            rounding = _NOTHING * float(np.abs(factors) @ scale[others])
            rounding += 1e-12 * (abs(off[column]) + float(np.abs(factors * off[others]).sum()))
            yield _Sum(column, others, factors, 0.0 if abs(number) <= rounding else number)


def _order(encoding: Encoding, n_features: int) -> list[int]:
    """Return the features, those first that are said to make up others: categories, of columns of many above all."""
    sizes = _sizes(encoding)
    return sorted(range(n_features), key=lambda j: (-sizes.get(encoding.column_of.get(j, ""), 0), j))


def _sizes(encoding: Encoding) -> dict[str, int]:
    """Return how many categories columns have."""
    sizes = dict[str, int]()
    for column in encoding.column_of.values():
        sizes[column] = sizes.get(column, 0) + 1
    return sizes


def _of_encoding(objective: Objective, encoding: Encoding) -> Iterator[tuple[int, Floats]]:
    """Yield the directions (n_columns,) that columns of categories make, each with the feature that it takes out."""
    scaling, n = objective.scaling, objective.rows.n_features
    complete = list(encoding.complete)
    if not complete:
        return
    off = scaling.mean + objective.rows.shift.of_features(n)

    def ones(first: int, last: int) -> Floats:
        """Return what is 1 in all rows."""
        direction = np.zeros(n + scaling.intercept)
        direction[first:last] = scaling.scale[first:last]
        if scaling.intercept:
            direction[n] = off[first:last].sum()
        return direction

    one = np.zeros(n + scaling.intercept)
    if scaling.intercept:
        one[n] = 1
    else:
        (first, last), *complete = complete
        one = ones(first, last)
    for first, last in complete:
        yield last - 1, ones(first, last) - one


def _told(sums: list[_Sum], encoding: Encoding, name_of: Callable[[int], str]) -> list[str]:
    """Return each sum in words, those of the categories of a column as one."""

    def source(j: int) -> str:
        return encoding.column_of.get(j) or name_of(j)

    of_source = dict[str, list[_Sum]]()
    for one in sums:
        of_source.setdefault(source(one.column), []).append(one)
    told, sizes = list[str](), _sizes(encoding)
    for name, own in of_source.items():
        others = list(dict.fromkeys(source(int(j)) for one in own for j in one.others if source(int(j)) != name))
        of_one = len(others) < sum(len(one.others) for one in own)
        whole = len(own) > 1 and len(own) + 1 >= sizes.get(name, len(own))
        if whole or len(own) > 2 or (of_one and any(len(one.others) > _TERMS for one in own)):
            # by the names of columns
            what = f"{name_of(own[0].column)} follows" if len(own) == 1 else f"{len(own)} categories of {name} follow"
            # but for what the encoding leaves out of them
            what = f"{name} follows" if whole else what
            told.append(f"{what} from {_named(others or [name])}")
            continue
        told += [_formula(one, name_of) for one in own]
    return told


def _formula(one: _Sum, name_of: Callable[[int], str]) -> str:
    name = name_of(one.column)
    if len(one.others) > _TERMS:
        return f"{name} follows from {_named([name_of(int(j)) for j in one.others])}"
    text = ""
    for j, factor in zip(one.others.tolist(), one.factors.tolist(), strict=True):
        size = "" if abs(factor) == 1 else f"{abs(factor):.{_DIGITS}g} "
        text += f"{_sign(factor, first=not text)}{size}{name_of(j)}"
    if one.number:
        text += f"{_sign(one.number, first=False)}{abs(one.number):.{_DIGITS}g}"
    return f"{name} = {text}"


def _sign(number: float, *, first: bool) -> str:
    if first:
        return "-" if number < 0 else ""
    return " - " if number < 0 else " + "


def _named(names: list[str]) -> str:
    if len(names) <= _TERMS:
        return ", ".join(names)
    return f"{', '.join(names[:_SOME])} and {len(names) - _SOME} more"


def _rounded(factors: Floats) -> Floats:
    """Return numbers of few digits where these are such but for rounding."""
    few = np.array([float(f"{factor:.{_DIGITS}g}") for factor in factors.tolist()])
    return np.where(np.abs(few - factors) <= 1e-7 * np.abs(factors), few, factors)
