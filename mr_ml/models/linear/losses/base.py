"""Base of the pointwise losses: what one row costs at its margins.

    margin  z_ik = x_i . w_k + b_k + offset_i        k = 1..n_outputs

A loss knows margins and labels, nothing of features, weights, means or penalties. Margins are (n_rows, n_outputs),
labels (n_rows,): numbers, or class numbers 0, 1, ... if the loss is one of classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mr_ml.data import stored
from mr_ml.models.linear.labels import LabelDomain, TrainingLabels

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Loss(ABC):
    """A pointwise loss, convex in the margins. Its parameters, if any, are the fields of a frozen dataclass.

    Attributes
    ----------
    name
        By which it is registered and stored.
    label_domain
        Which labels it takes.
    may_separate
        Whether it can fall for ever along some direction, so that some data has no finite optimum.
    follows_labels
        Whether l(z + c, y + c) = l(z, y) for every number c, so that a constant may be taken off labels and margins.
    quadratic
        Whether it has one output, in which its second derivative is the same everywhere and not zero.
    identifiable
        Whether the margins of a row are determined by its predictions; if not, adding one number to all of them changes
        nothing.
    """

    name: ClassVar[str]
    label_domain: ClassVar[LabelDomain]
    may_separate: ClassVar[bool] = False
    follows_labels: ClassVar[bool] = False
    quadratic: ClassVar[bool] = False
    identifiable: ClassVar[bool] = True

    def n_outputs(self, n_classes: int) -> int:
        """Return how many coefficient vectors a model of this loss has.

        Raises
        ------
        UsageError
            If the loss cannot have so many classes (0 for numbers).
        """
        self.label_domain.check_count(n_classes, loss=self.name)
        return 1

    def classes(self, labels: TrainingLabels) -> tuple[float, ...]:
        """Return the label values of classes 0, 1, ...; empty for numbers.

        Raises
        ------
        UsageError
            If the loss is not one for these rows.
        BadDataError
            If the rows of the split have one label only.
        """
        return self.label_domain.classes(labels, loss=self.name)

    def start(self, labels: TrainingLabels) -> Floats | None:
        """Return intercepts (n_outputs,) to start from; None for zeros."""
        return None

    def canonical(self, coef: Floats, *, penalised: bool) -> Floats:
        """Return, of coefficients that give the same predictions, those that are published.

        Parameters
        ----------
        coef
            (n_outputs, n_features + 1), intercept last.
        penalised
            Whether a penalty determines all but the intercepts.
        """
        return coef

    @abstractmethod
    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""

    @abstractmethod
    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""

    @abstractmethod
    def second_derivatives(self, margins: Floats, labels: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        """Return the weighted second derivatives in margins j <= k, (n_rows,) each, keyed (j, k)."""

    def lead(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return the least and the most by which a row's own class is ahead of another one, (n_rows,) each.

        It is linear in the margins; a row is on the right side where the least is positive. Infinite without classes;
        needed of losses that `may_separate`.
        """
        return np.full(len(labels), np.inf), np.full(len(labels), -np.inf)

    @abstractmethod
    def inverse_link(self, margins: Floats) -> Floats:
        """Return class probabilities (n_rows, n_classes), or the predicted value (n_rows, 1)."""

    def to_json(self) -> Any:
        """Return what is stored: the name, with the parameters if there are any."""
        parameters = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"name": self.name, **parameters} if parameters else self.name

    @classmethod
    def from_json(cls, parameters: Mapping[str, Any]) -> Self:
        """Make the loss of its parameters.

        Raises
        ------
        BadDataError
            If they are not those of this loss.
        """
        return stored.read(cls, dict(parameters), where=f"the {cls.name} loss")
