"""What a file of coefficients holds, and what reads one.

    bytes --CoefficientFile.read--> Coefficients --names of features and labels--> where a search begins

    margin of output k = sum_j weights[k, j] (x_j - centres[j]) + intercepts[k]

in the space of the features as rows have them. A kind is a module in this folder, or of another package, and one line
in `mr_ml.coefficients.COEFFICIENT_FILES`, or an entry point of the group ``mr_ml.coefficient_files``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import BadDataError
from mr_ml.readers.rows import excerpt, listed
from mr_ml.readers.schema import Schema

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# More than a model of tens of millions of features takes; the files of other programs are read as a whole.
MOST_BYTES = 1 << 29


@dataclass(frozen=True, eq=False, kw_only=True)
class Coefficients:
    """Coefficients of a linear model, whoever fitted it. Of `names`, `ids` and `places` it has one.

    Attributes
    ----------
    weights, intercepts
        (n_outputs, n) and (n_outputs,), finite.
    centres
        (n,), what is taken off the features; None for nothing.
    names
        Of the features, each once; those of libsvm features are their ids.
    ids
        (n,), ids of libsvm features as users write them, each once.
    places
        (n,), numbers of the features of a matrix, counted from 0, each once; what ids count from is not known.
    labels
        The classes as users write them: of one output the second one is where margins are positive, of several one
        each. Empty for numbers.
    may_be_numbers
        The file does not say whether it predicts classes or numbers.
    losses
        Names of the losses that it may have been fitted by; empty if the file does not say.
    notes
        What the user should know of how it was read, a sentence each.
    """

    weights: Floats
    intercepts: Floats
    centres: Floats | None = None
    names: tuple[str, ...] | None = None
    ids: Ints | None = None
    places: Ints | None = None
    labels: tuple[str, ...] = ()
    may_be_numbers: bool = False
    losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def n_features(self) -> int:
        """How many features it has coefficients of."""
        return int(self.weights.shape[1])

    def name_of(self, k: int) -> str:
        """Return what users call the feature of a coefficient."""
        if self.names is not None:
            return self.names[k]
        numbers = self.places if self.ids is None else self.ids
        assert numbers is not None
        return str(int(numbers[k]))

    def columns(self, schema: Schema) -> Ints | None:
        """Return the feature of a schema, counted from 0, that each coefficient is of, -1 where it has none; (n,).

        None if nothing says which are the same: those of one have names, those of the other numbers.
        """
        if schema.feature_names is not None:
            if self.names is None:
                return None
            number = {name: k for k, name in enumerate(schema.feature_names)}
            return np.array([number.get(name, -1) for name in self.names], np.int64)
        if schema.hashes:
            return None
        if self.places is not None:
            found = self.places
        else:
            ids = np.array([_id(name) for name in self.names], np.int64) if self.names is not None else self.ids
            found = np.asarray(ids) - schema.index_base
        return np.where((found >= 0) & (found < schema.n_features), found, -1)


def _id(name: str) -> int:
    """Return the id that a name is; a negative one if it is none."""
    is_id = name.isascii() and name.isdigit() and len(name) <= 10 and (name == "0" or name[0] != "0")
    return int(name) if is_id else -1


class CoefficientFile(Protocol):
    """A kind of file. It has no state."""

    @property
    def title(self) -> str:
        """What such a file is, in a few words."""

    def knows(self, data: bytes) -> bool:
        """Whether a file is of this kind, by how it begins."""

    def read(self, data: bytes, *, where: str) -> Coefficients:
        """Return what is in a file, which has `MOST_BYTES` at most and is hostile: nothing in it is run.

        Parameters
        ----------
        where
            The file's name, printable, for messages.

        Raises
        ------
        BadDataError
            If it is damaged, not of this kind, or holds what no linear model is: says where.
        """


def checked(coefficients: Coefficients, *, where: str) -> Coefficients:
    """Return coefficients as they should be; what every kind ends with.

    Raises
    ------
    BadDataError
        If numbers are not finite, shapes do not agree, or something stands twice.
    """
    k, n = coefficients.weights.shape
    centres = np.zeros(n) if coefficients.centres is None else coefficients.centres
    for what, array, shape in (
        ("intercepts", coefficients.intercepts, (k,)),
        ("centres", centres, (n,)),
        ("features", _features(coefficients), (n,)),
    ):
        if np.shape(array) != shape:
            raise BadDataError(
                f"{where}: expected {shape[0]} {what}, since there are coefficients of {n} features and "
                f"{k} outputs, found {np.shape(array)[0] if np.ndim(array) else 'one'}"
            )
    for row, values in enumerate((*coefficients.weights, coefficients.intercepts, centres)):
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            of = f" of feature {excerpt(coefficients.name_of(int(wrong[0])).encode())}" if row < k else ""
            raise BadDataError(
                f"{where}: expected finite coefficients, found {float(values[wrong[0]])}{of}; the model was not fitted "
                "to the end, or the file is damaged"
            )
    once(coefficients.labels, "label", where=where)
    if coefficients.names is not None:
        once(coefficients.names, "feature", where=where)
    elif not (np.diff(_features(coefficients)) > 0).all() and len(np.unique(_features(coefficients))) != n:
        raise BadDataError(f"{where}: expected each feature once, found some number twice")
    n_labels = len(coefficients.labels)
    if n_labels and k not in ({1, 2} if n_labels == 2 else {n_labels}):
        raise BadDataError(
            f"{where}: expected the coefficients of {n_labels} classes "
            f"({listed(coefficients.labels[:5])}), found those of {k} outputs"
        )
    return coefficients


def once(texts: Sequence[str], what: str, *, where: str) -> None:
    """Raise BadDataError if a text stands twice."""
    if len(set(texts)) != len(texts):
        text, _ = Counter(texts).most_common(1)[0]
        raise BadDataError(f"{where}: expected each {what} once, found {excerpt(text.encode())!r} again")


def _features(coefficients: Coefficients) -> Any:
    if coefficients.names is not None:
        return np.empty(len(coefficients.names))
    return coefficients.places if coefficients.ids is None else coefficients.ids
