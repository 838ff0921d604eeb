"""Which groups of rows a packed dataset can tell: those of the categories of a column, or that have a feature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset
from mr_ml.errors import UsageError
from mr_ml.readers.rows import excerpt, listed

MOST_GROUPS = 100


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Groups of rows.

    Attributes
    ----------
    features
        Whose rows are a group each, int32 and ascending.
    names
        Of the groups, that of the rows in none of them last: None where it has no name.
    """

    features: NDArray[np.int32]
    names: tuple[str | None, ...]


NO_GROUPS = Groups(features=np.empty(0, np.int32), names=())


def groups_by(dataset: Dataset, column: str) -> Groups:
    """Return the groups of a column's categories, or of the rows that have a feature and those that have not.

    Raises
    ------
    UsageError
        If there is no such column or feature, or it has more than `MOST_GROUPS` categories.
    """
    schema = dataset.schema
    names = schema.feature_names
    if names is None:
        # features have numbers only
        known = column.isdecimal() and len(column) < 12
        number = int(column) - schema.index_base if known else -1
        if 0 <= number < schema.n_features:
            return _of_feature(number)
        first, last = schema.index_base, schema.n_features - 1 + schema.index_base
        raise UsageError(
            f"`by`: expected a feature of {dataset.reference}, from {first} to {last}, found {_shown(column)}"
        )
    if column in names:
        return _of_feature(names.index(column))
    start = f"{column}="
    found = [k for k, name in enumerate(names) if name.startswith(start)]
    if not found:
        columns = sorted({name.partition("=")[0] for name in names if "=" in name})
        raise UsageError(
            f"`by`: expected a feature of {dataset.reference} or a column of categories ({listed(columns)}), "
            f"found {_shown(column)}. Labels, weights and columns that were left out are not kept as groups"
        )
    if len(found) > MOST_GROUPS:
        raise UsageError(
            f"`by`: expected at most {MOST_GROUPS} groups, found {len(found)} categories of {_shown(column)}; give one "
            f"of its features, such as {_shown(names[found[0]])}"
        )
    return Groups(features=np.array(found, np.int32), names=(*(names[k].removeprefix(start) for k in found), None))


def _of_feature(number: int) -> Groups:
    return Groups(features=np.array([number], np.int32), names=("not 0", "0"))


def _shown(text: str) -> str:
    return excerpt(text.encode("utf-8", "surrogateescape"))
