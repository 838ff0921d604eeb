"""Base of the pointwise losses: what one row costs at its margins.

    margin  z_ik = x_i . w_k + b_k + offset_i        k = 1..n_outputs

A loss knows margins and labels, nothing of features, weights, means or penalties. Margins are (n_rows, n_outputs),
labels (n_rows,): numbers, or class numbers 0, 1, ... if the loss is one of classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.models.linear.labels import LabelDomain, TrainingLabels
from mr_ml.sums.parts import Part
from mr_ml.sums.statistic import Statistic

if TYPE_CHECKING:
    from mr_ml.models.formula import Response
    from mr_ml.models.linear.losses.likelihood import Likelihood
    from mr_ml.models.linear.measured import Asked, Measured, Metrics

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
    exact_curvature
        Whether second derivatives are those of the value; if not, they are larger where those are 0, for the sake of
        the search.
    needs_intercept
        Whether margins of 0 stand for no prediction, so that a search cannot start from there.
    bends_by_reach
        Whether slopes and second derivatives change by no more than e^a along changes of the margins, a being the
        largest of these, or of their differences in a row of several: see `mr_ml.optimize.reach`.
    most_curved
        The second derivative of a row that has one, if rows may have none; None where all have some.
    begins_by_sample
        Whether the optimum of a sample of the rows is a good place to begin.
    higher
        Which metrics that other losses do not have are better the larger they are.
    """

    name: ClassVar[str]
    label_domain: ClassVar[LabelDomain]
    may_separate: ClassVar[bool] = False
    follows_labels: ClassVar[bool] = False
    quadratic: ClassVar[bool] = False
    identifiable: ClassVar[bool] = True
    exact_curvature: ClassVar[bool] = True
    needs_intercept: ClassVar[bool] = False
    bends_by_reach: ClassVar[bool] = False
    most_curved: ClassVar[float | None] = None
    begins_by_sample: ClassVar[bool] = False
    higher: ClassVar[frozenset[str]] = frozenset()

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
        """Return l, (n_rows,); infinite where it is larger than any number, or the margins are outside its domain."""

    @abstractmethod
    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs); finite wherever margins are."""

    def second_derivatives(self, margins: Floats, labels: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        """Return the weighted second derivatives in margins j <= k, (n_rows,) each, keyed (j, k).

        Those of one margin are in `derivatives`; losses of more say the mixed ones too.
        """
        _, second = self.derivatives(margins, labels)
        return {(0, 0): weights * second[:, 0]}

    def observed_information(self, margins: Floats, labels: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        """Return the weighted second derivatives as `second_derivatives` does, without what is for the search alone."""
        return self.second_derivatives(margins, labels, weights)

    def expected_information(self, margins: Floats, weights: Floats) -> dict[tuple[int, int], Floats] | None:
        """Return their means over labels, where the margins are right; None if no label is in them, or no likelihood.

        That is u (dmu/dz)^2 / V(mu): with a link that is not canonical not what is observed.
        """
        return None

    @property
    def ratio(self) -> str | None:
        """What e to the power of a coefficient is, which a unit more of a feature multiplies by; None if nothing."""
        return None

    @property
    def likelihood(self) -> Likelihood | None:
        """What it is as a likelihood; None if it is none."""
        return None

    def second_derivative(self, margins: Floats, labels: Floats, weights: Floats) -> Callable[[Floats], Floats]:
        """Return what multiplies the rows' weighted l'' with changes of the margins, (n_rows, n_outputs) each."""
        second = self.derivatives(margins, labels)[1] * weights[:, None]
        return lambda changes: second * changes

    def lead(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return the least and the most by which a row's own class is ahead of another one, (n_rows,) each.

        It is linear in the margins; a row is on the right side where the least is positive. Infinite without classes;
        needed of losses that `may_separate`.
        """
        return np.full(len(labels), np.inf), np.full(len(labels), -np.inf)

    def sides(self, labels: Floats, n_classes: int) -> list[NDArray[np.bool_]]:
        """Return groups of rows, (n_rows,) each: those that a plane must have on one side for `lead` to grow for ever.

        Rows in several groups must be on the plane. Needed of losses that `may_separate`.
        """
        return [labels == k for k in range(n_classes)]

    @abstractmethod
    def inverse_link(self, margins: Floats) -> Floats:
        """Return class probabilities (n_rows, n_classes), or the predicted value (n_rows, 1)."""

    @property
    def response(self) -> Response | None:
        """What `inverse_link` does, for exports; None if they have no word for it."""
        return None

    def metric_sums(self, measured: Measured) -> dict[str, Part]:
        """Return the sums that `metrics` reads, besides the weights and the losses."""
        return self.label_domain.metric_sums(measured)

    def metrics(self, total: Statistic, *, asked: Asked) -> Metrics:
        """Return the metrics that sums over all rows say; see `LabelDomain.metrics`."""
        return self.label_domain.metrics(total, asked=asked)

    def row_metrics(self, measured: Measured, losses: Floats) -> dict[str, Floats]:
        """Return the metrics that are means over rows as they are of each row, (n_rows,) by name."""
        return self.label_domain.row_metrics(measured, losses)

    def to_json(self) -> Any:
        """Return what is stored: the name, with the parameters if there are any."""
        parameters = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"name": self.name, **parameters} if parameters else self.name

    @classmethod
    def from_text(cls, parameters: Mapping[str, str]) -> Self:
        """Make the loss of parameters as users write them: those with defaults may be left out.

        Raises
        ------
        UsageError
            If they are not those of this loss.
        """
        known = {field.name: field.default is MISSING for field in fields(cls)}
        has = f"has {' and '.join(known)}" if known else "has no parameters"
        unknown = [name for name in parameters if name not in known]
        if unknown:
            raise UsageError(f"`loss`: the {cls.name} loss {has}, found {', '.join(map(ascii, unknown))[:80]}")
        lacking = [name for name, needed in known.items() if needed and name not in parameters]
        if lacking:
            raise UsageError(
                f"`loss`: the {cls.name} loss needs {' and '.join(lacking)}, as in {cls.name}:{lacking[0]}=1"
            )
        values = {name: _number_or_text(value) for name, value in parameters.items()}
        try:
            return stored.check(cls, values, what=f"the {cls.name} loss")
        except UsageError as error:
            raise UsageError(f"`loss`: the {cls.name} loss: {error}") from None

    @classmethod
    def from_json(cls, parameters: Mapping[str, Any]) -> Self:
        """Make the loss of its parameters.

        Raises
        ------
        BadDataError
            If they are not those of this loss.
        """
        return stored.read(cls, dict(parameters), where=f"the {cls.name} loss")


def _number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
