"""Contrasts: of a column of categories each category less one of them, its base, as R's `contr.treatment` has it.

Where each row has one category of a column, and there is an intercept, rows determine the differences of coefficients
alone. With bases b_c of columns c,

    of a category k of c:   w_k - w_(b_c)           of the intercept:   b + sum_c w_(b_c)

Without an intercept the first such column stands in for it: each of its categories has w_k + sum_(others) w_(b_c).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.errors import UsageError

Floats = NDArray[np.float64]

_LISTED = 10


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A column of categories that is compared with one of them.

    Attributes
    ----------
    column
        Its name.
    features
        Of all of its categories, in their order.
    base
        That of `features` which the others are less.
    """

    column: str
    features: tuple[str, ...]
    base: str

    @property
    def others(self) -> tuple[str, ...]:
        """The features that have a parameter."""
        return tuple(name for name in self.features if name != self.base)

    def check_stored(self) -> None:
        """Raise ValueError if the base is none of the features."""
        if self.base not in self.features:
            raise ValueError(f"base {stored.shown(self.base)}, which is none of {stored.shown(self.features)}")


@dataclass(frozen=True, kw_only=True)
class Contrasts:
    """What the parameters of each output are compared with.

    Attributes
    ----------
    columns
        Those that are compared with a base.
    at_bases
        Places, among the parameters of an output, of those that are taken at the bases of all columns: the intercept,
        or without one the categories of another column.
    """

    columns: tuple[Contrast, ...] = ()
    at_bases: tuple[stored.Count, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.columns)

    @property
    def bases(self) -> tuple[str, ...]:
        """The features that have no parameter, since others are less these."""
        return tuple(column.base for column in self.columns)

    def with_bases(self, names: Sequence[str]) -> Contrasts:
        """Return the same with other bases, given as features; of columns that are not named those that they have.

        Raises
        ------
        UsageError
            If a name is no category of such a column, or two are of one column.
        """
        columns = {column.column: column for column in self.columns}
        of_feature = {name: column.column for column in self.columns for name in column.features}
        named = dict[str, str]()
        for name in names:
            if name not in of_feature:
                known = list(of_feature)
                more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
                raise UsageError(
                    f"`base`: expected COLUMN=LEVEL, a category of a column that is compared with a base, found "
                    f"{stored.shown(name)}; there are "
                    + (", ".join(map(stored.shown, known[:_LISTED])) + more if known else "none")
                )
            column = of_feature[name]
            if named.setdefault(column, name) != name:
                raise UsageError(
                    f"`base`: expected one base of {stored.shown(column)}, found {stored.shown(named[column])} and "
                    f"{stored.shown(name)}"
                )
            columns[column] = replace(columns[column], base=name)
        return replace(self, columns=tuple(columns.values()))

    def change(self, features: tuple[str, ...], other: Contrasts) -> tuple[tuple[str, ...], Floats]:
        """Return how the parameters of an output are had with the bases of `other`.

        Parameters
        ----------
        features
            Names of the parameters with the bases that are here.

        Returns
        -------
        features
            Names of the parameters with the other bases; places stay.
        matrix
            (n, n), by which the parameters are multiplied.
        """
        matrix, names = np.eye(len(features)), list(features)
        # a feature may have the name that the intercept has
        places = {name: k for k, name in enumerate(features) if k not in self.at_bases}
        for old, new in zip(self.columns, other.columns, strict=True):
            if old.base == new.base:
                continue
            at = [places[name] for name in old.others]
            base = places[new.base]
            before = {name: matrix[places[name]].copy() for name in old.others}
            for place, name in zip(at, new.others, strict=True):
                # the old base is 0 less itself
                matrix[place] = before.get(name, 0.0) - before[new.base]
                names[place] = name
            for place in self.at_bases:
                matrix[place, base] += 1.0
        return tuple(names), matrix


NO_CONTRASTS = Contrasts()
