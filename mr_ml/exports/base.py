"""What an export is: a model and its schema, written as another program reads them.

    Model + Schema --Subject.of--> what is computed, and from which columns --Export.write--> bytes

An export predicts what mr_ml predicts. What it cannot carry is an error, or one of the sentences of `Export.notes`;
never another prediction. A kind is a file in this folder, or of another package, and one line in
`mr_ml.exports.EXPORTS`, or an entry point of the group ``mr_ml.exports``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mr_ml import __version__
from mr_ml.errors import InternalError, UsageError
from mr_ml.models.base import Model
from mr_ml.models.formula import Formula
from mr_ml.readers.base import format_named
from mr_ml.readers.inputs import Column, Inputs
from mr_ml.readers.rows import listed

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """A model as exports see it.

    Attributes
    ----------
    name, version, loss, dataset
        Of the published model.
    formula
        What is computed of a row.
    inputs
        What a row is read from.
    labels
        The classes as users write them; empty for numbers.
    feature_names
        Of the features that have coefficients, (n,).
    n_features, index_base, all_names
        Of the schema; the names of all features, None where they have numbers only.
    """

    name: str
    version: int
    loss: str
    dataset: str
    formula: Formula
    inputs: Inputs
    labels: tuple[str, ...]
    feature_names: tuple[str, ...]
    n_features: int
    index_base: int
    all_names: tuple[str, ...] | None

    @classmethod
    def of(cls, model: Model, *, unseen: Literal["error", "ignore"] | None = None) -> Subject:
        """Return what exports see of a model.

        Parameters
        ----------
        unseen
            What a row is with features or categories that the model does not know; None as of `Format.with_unseen`.

        Raises
        ------
        UsageError
            If there are no words for its kind, its loss, or the format of its rows.
        """
        formula, form = model.formula(), format_named(model.schema.format)
        schema = form.with_unseen(model.schema, unseen)
        inputs = form.inputs(schema)
        if inputs.columns is not None:
            n_found = sum(map(_width, inputs.columns)) + sum(made.n_features for made in inputs.made)
            if n_found != schema.n_features:
                raise InternalError(
                    f"expected columns of {schema.n_features} features in {model.reference}, found those of {n_found}; "
                    "nothing was exported"
                )
        return cls(
            name=model.name, version=model.version, loss=str(model.manifest["spec"].get("loss", "")),
            dataset=str(model.manifest["dataset"]), formula=formula, inputs=inputs,
            labels=tuple(model.label_texts), feature_names=tuple(map(schema.name_of, formula.features.tolist())),
            n_features=schema.n_features, index_base=schema.index_base, all_names=schema.feature_names,
        )  # fmt: skip

    @property
    def made(self) -> str:
        """What it is and what wrote it, in a line of plain ASCII."""
        return ascii(f"model {self.name}@{self.version}, {self.loss}, written by mr_ml {__version__}")[1:-1]

    @property
    def value_word(self) -> str:
        """What the values are: "probability", "decision" or "number"."""
        if not self.labels:
            return "number"
        return "probability" if self.formula.response.is_probability else "decision"

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a table of such rows.

        Features that have numbers only are called f and their number, f1, f2..., one that a row lacks is 0, and those
        without weight are left out.
        """
        if self.inputs.columns is not None:
            return self.inputs.columns
        weighty = np.flatnonzero((self.formula.coefficients != 0).any(axis=0)).tolist()
        return tuple(
            Column(name=f"f{self.feature_names[k]}", first=int(self.formula.features[k]), missing="fill", fill=0.0)
            for k in weighty
        )

    def weights(self, column: Column) -> Floats:
        """Return the coefficients of a column, (n_margins, n); n is 1, or the number of its categories."""
        n = 1 if column.categories is None else len(column.categories)
        return _placed(self.formula.coefficients, self.formula.features, column.first, n)

    def centre(self, column: Column) -> float:
        """Return what is taken off a column of numbers."""
        return float(_placed(self.formula.centres[None], self.formula.features, column.first, 1)[0, 0])

    @cached_property
    def intercepts(self) -> Floats:
        """Those of a table's rows, (n_margins,): less what is taken off categories, which are 0 or 1."""
        taken_off = np.zeros(len(self.formula.intercepts))
        for column in self.columns:
            if column.categories is not None:
                n = len(column.categories)
                centres = _placed(self.formula.centres[None], self.formula.features, column.first, n)[0]
                taken_off += self.weights(column) @ centres
        return np.asarray(self.formula.intercepts - taken_off)

    def filled(self, column: Column) -> Floats | None:
        """Return what a column adds where it has no value, (n_margins,); None if such a row is refused."""
        weights = self.weights(column)
        if column.missing == "refuse":
            return None
        if column.missing == "ignore" or column.fill is None:
            return np.zeros(len(weights))
        if column.categories is not None:
            return weights[:, column.categories.index(str(column.fill))]
        return weights[:, 0] * (float(column.fill) - self.centre(column))


def _width(column: Column) -> int:
    return 1 if column.categories is None else len(column.categories)


def _placed(values: Floats, features: NDArray[np.int64], first: int, n: int) -> Floats:
    """Return the columns of `values`, which are of `features`, for n features in a row; 0 where there is none."""
    found = np.zeros((len(values), n))
    start, end = np.searchsorted(features, [first, first + n])
    found[:, features[start:end] - first] = values[:, start:end]
    return found


class Export(Protocol):
    """A kind of export. It has no state."""

    @property
    def suffix(self) -> str:
        """How the names of its files usually end, such as ".json"."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """What can be chosen of this kind only, and what each is if it is not chosen."""

    @property
    def transforms(self) -> frozenset[str]:
        """Kinds of transforms of columns that it can carry; models with others are refused before it is asked."""

    def notes(self, subject: Subject, chosen: Mapping[str, str]) -> Sequence[str]:
        """Return what users must know to get the same predictions from this model's export, a sentence each."""

    def write(self, subject: Subject, chosen: Mapping[str, str]) -> bytes:
        """Return the content of the file.

        Parameters
        ----------
        chosen
            All of `parameters`.

        Raises
        ------
        UsageError
            If it cannot carry such a model, or a choice is none.
        """


def check_transforms(subject: Subject, kind: str, form: Export) -> None:
    """Raise UsageError if a kind of export cannot carry what a schema file makes of columns."""
    others = [made.title for made in subject.inputs.made if made.kind not in form.transforms]
    if others:
        raise UsageError(
            f"expected columns of numbers and categories as they are, found such as a schema file makes of others: "
            f"{listed(others)}; the export {kind} cannot say these: export as json or python, or predict with "
            "`mr-ml predict`"
        )


def only_of(subject: Subject, *, most: int) -> Subject:
    """Return the same subject if its rows have at most so many columns; raises UsageError else."""
    if len(subject.columns) > most:
        raise UsageError(
            f"expected a model of rows of at most {most} columns for this export, found {len(subject.columns)}; "
            "train with `l1`, which leaves few features, or export as json or python"
        )
    return subject
