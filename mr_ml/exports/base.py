"""What an export is: a model and its schema, written as another program reads them.

    Model + Schema --Subject.of--> what is computed, and from which columns --Export.write--> bytes

An export predicts what mr_ml predicts. What it cannot carry is an error, or one of the sentences of `Export.notes`;
never another prediction. A kind is a file in this folder, or of another package, and one line in
`mr_ml.exports.EXPORTS`, or an entry point of the group ``mr_ml.exports``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml import __version__
from mr_ml.errors import InternalError, UsageError
from mr_ml.models.base import Model
from mr_ml.models.formula import Formula
from mr_ml.readers.base import format_named
from mr_ml.readers.inputs import Column, Inputs, Made
from mr_ml.readers.rows import listed
from mr_ml.readers.terms import REFUSED, Chosen, Measured, Number, Term, reads

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
    schema
        In plain JSON types, as mr_ml stores it, for those that read rows by mr_ml.
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
    schema: dict[str, Any]

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
            schema=schema.to_json(),
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
    def terms(self) -> tuple[Term, ...]:
        """What adds to the margins of a table's rows, in the order of the features.

        Features that have numbers only are in columns called f and their number, f1, f2..., of which one that a row
        lacks is 0, and those without weight are left out. What a schema file makes of columns is among them if there
        are words for it.
        """
        if self.inputs.columns is None:
            weighty = np.flatnonzero((self.formula.coefficients != 0).any(axis=0)).tolist()
            return tuple(
                Measured(
                    number=Number(column=f"f{self.feature_names[k]}"), feature=int(self.formula.features[k]), fill=0.0
                )
                for k in weighty
            )
        placed: list[tuple[int, tuple[Term, ...]]] = [(column.first, (column.term,)) for column in self.inputs.columns]
        placed += [(made.first, made.terms) for made in self.inputs.made if made.terms is not None]
        return tuple(term for _, terms in sorted(placed, key=lambda one: one[0]) for term in terms)

    @cached_property
    def reads(self) -> dict[str, set[bool]]:
        """The columns of a table of such rows, but for offsets, and as what each is read: numbers, texts, or both."""
        return reads(self.terms)

    def only_one_type(self, kind: str) -> dict[str, bool]:
        """Return the columns, and whether each holds numbers; raises UsageError if one is read as both."""
        both = [name for name, found in self.reads.items() if len(found) > 1]
        if both:
            raise UsageError(
                f"expected columns of numbers or of texts, found such as are read as both: {listed(both)}; a column "
                f"has one type in the export {kind}: export as json, python or sql"
            )
        return {name: True in found for name, found in self.reads.items()}

    def weights(self, feature: int) -> Floats:
        """Return the coefficients of a feature, (n_margins,)."""
        return _placed(self.formula.coefficients, self.formula.features, feature, 1)[:, 0]

    def centre(self, feature: int) -> float:
        """Return what is taken off a feature that is a number."""
        return float(_placed(self.formula.centres[None], self.formula.features, feature, 1)[0, 0])

    def outcomes(self, term: Chosen) -> Floats:
        """Return what each code adds, no value and another text behind them, (n_margins, n + 2); NaN if refused."""
        features = np.array(term.features)
        known = np.unique(features[features >= 0])
        first, last = (int(known[0]), int(known[-1])) if len(known) else (0, 0)
        table = _placed(self.formula.coefficients, self.formula.features, first, last - first + 1)
        found = np.where(features >= 0, table[:, np.maximum(features - first, 0)], 0.0)
        found[:, features == REFUSED] = np.nan
        return np.asarray(found)

    @cached_property
    def intercepts(self) -> Floats:
        """Those of a table's rows, (n_margins,): less what is taken off features that are 0 or 1."""
        formula = self.formula
        measured = [feature for term in self.terms for feature in term.numbers]
        others = ~np.isin(formula.features, measured)
        return np.asarray(formula.intercepts - formula.coefficients[:, others] @ formula.centres[others])


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

    def carries(self, made: Made) -> bool:
        """Whether it can carry what a transform makes of columns; models with others are refused before it is asked."""

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
    others = [made.title for made in subject.inputs.made if not form.carries(made)]
    if others:
        raise UsageError(
            f"expected columns that the export {kind} can say, found such as it has no words for: {listed(others)}; "
            "export as json, python or sklearn, which have mr_ml's hashes of texts too, or predict with `mr-ml predict`"
        )


def only_of(subject: Subject, *, most: int) -> Subject:
    """Return the same subject if its rows have at most so many columns; raises UsageError else."""
    if len(subject.reads) > most:
        raise UsageError(
            f"expected a model of rows of at most {most} columns for this export, found {len(subject.reads)}; "
            "train with `l1`, which leaves few features, or export as json or python"
        )
    return subject
