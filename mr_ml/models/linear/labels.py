"""Label domains: which labels a loss takes, what they are to it, and which metrics say how well they are predicted."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import BadDataError, UsageError
from mr_ml.optimize.base import Stop
from mr_ml.sums.parts import Part
from mr_ml.sums.statistic import Statistic

if TYPE_CHECKING:
    from mr_ml.models.linear.measured import Asked, Measured, Metrics

Floats = NDArray[np.float64]

# so many are compared one after the other sooner than searched
_FEW_CLASSES = 8
_ONLY_ZEROS = (
    "stopped: there is no finite optimum, or none that so small a penalty brings within reach: some coefficients only "
    "lower the predictions of rows whose label is 0, and grow for ever; give --l2 or a larger one, or drop the "
    "features that such rows alone have"
)


@dataclass(frozen=True, kw_only=True)
class TrainingLabels:
    """The labels of the rows that a model is trained on.

    Attributes
    ----------
    kind
        Text, numbers that repeat, or too many distinct numbers to be listed.
    codes, texts, counts
        The dataset's label values as blocks hold them and as users write them, and rows of the split with each; empty
        where continuous.
    weights
        What the rows of each label value weigh in training; their numbers where that does not count or is not known.
    mean, variance
        Of the labels as numbers, over the rows of the split; not numbers where the dataset does not say.
    has_offsets
        Whether rows have offsets.
    dataset, split
        For messages: the dataset's reference and the split's name.
    """

    kind: Literal["text", "numeric", "continuous"]
    codes: tuple[float, ...]
    texts: tuple[str, ...]
    counts: tuple[int, ...]
    weights: tuple[float, ...]
    mean: float
    has_offsets: bool
    dataset: str
    split: str
    variance: float = math.nan


class LabelDomain(ABC):
    """Which labels a loss takes."""

    @property
    @abstractmethod
    def probable(self) -> bool:
        """Whether predictions are probabilities of classes, not numbers or a decision value of each class."""

    @abstractmethod
    def check_count(self, n_classes: int, *, loss: str) -> None:
        """Check how many classes there are, 0 for numbers.

        Raises
        ------
        UsageError
            If these are not so many as the loss called `loss` takes.
        """

    @abstractmethod
    def classes(self, labels: TrainingLabels, *, loss: str) -> tuple[float, ...]:
        """Return the label values of classes 0, 1, ...; empty for numbers.

        Raises
        ------
        UsageError
            If the loss called `loss` does not take such labels.
        BadDataError
            If the rows of the split have one label only, or numbers that the loss does not take.
        """

    @abstractmethod
    def targets(self, labels: Floats, classes: tuple[float, ...]) -> Floats:
        """Return what the loss takes for labels, (n_rows,).

        Raises
        ------
        BadDataError
            If a label is none of the classes, or a number that the loss does not take.
        """

    @abstractmethod
    def metric_sums(self, measured: Measured) -> dict[str, Part]:
        """Return the sums that `metrics` reads, besides the weights and the losses."""

    @abstractmethod
    def metrics(self, total: Statistic, *, asked: Asked) -> Metrics:
        """Return the metrics that sums over all rows, whose weights have a positive sum, say.

        Parameters
        ----------
        total
            Of `metric_sums`, and "weight_sum" and "loss_sum".
        asked
            How they are read.
        """

    def row_metrics(self, measured: Measured, losses: Floats) -> dict[str, Floats]:
        """Return the metrics that are means over rows as they are of each row, (n_rows,) by name."""
        return {}

    def says(self, stop: Stop) -> str:
        """Return what users read of the reason for which a search ended."""
        return stop.value

    def apart(self, names: str, *, whole: bool, margin: float) -> str:
        """Say of what rows are that have no finite optimum.

        Parameters
        ----------
        names
            Of the features by which they are told apart.
        whole
            Whether that is all rows.
        margin
            The largest lead of a row.
        """
        return (
            f"{'all' if whole else 'some'} rows are told apart without fail by {names}; the largest margin has come to "
            f"{margin:.3g} and would grow for ever"
        )


@dataclass(frozen=True)
class Numbers(LabelDomain):
    """Labels that are numbers.

    Attributes
    ----------
    bound
        What none of them is below, and not all of them are; None for any numbers.
    open
        Whether none of them is the bound itself.
    """

    bound: float | None = None
    open: bool = False

    @property
    def probable(self) -> bool:
        """Whether predictions are probabilities of classes."""
        return False

    @property
    def _expected(self) -> str:
        return f"labels {'>' if self.open else '>='} {self.bound:g}"

    def _outside(self, labels: Floats) -> NDArray[np.bool_]:
        """Say which labels are not taken, those that are no numbers too; (n,)."""
        assert self.bound is not None
        return ~(labels > self.bound) if self.open else ~(labels >= self.bound)

    def check_count(self, n_classes: int, *, loss: str) -> None:
        """Check how many classes there are, 0 for numbers."""
        if n_classes:
            raise UsageError(f"the {loss} loss predicts a number, expected no classes, found {n_classes}")

    def classes(self, labels: TrainingLabels, *, loss: str) -> tuple[float, ...]:
        """Return the label values of classes 0, 1, ...; empty for numbers."""
        if labels.kind == "text":
            able = "logistic or softmax" if len(labels.texts) == 2 else "softmax"
            raise UsageError(
                f"the {loss} loss needs labels that are numbers; {labels.dataset} has {len(labels.texts)} texts, "
                f"{_some(labels.texts)}; use `loss` {able} for classes, or pack with another label"
            )
        if self.bound is not None:
            self._check_bound(labels, loss=loss)
        return ()

    def _check_bound(self, labels: TrainingLabels, *, loss: str) -> None:
        """Check what the dataset says of its labels; those that it does not list are checked where they are read."""
        counts = np.array(labels.counts, np.int64)
        wrong = np.flatnonzero(self._outside(np.array(labels.codes)) & (counts > 0))
        place = f"split {labels.split!r} of {labels.dataset}"
        if len(wrong):
            texts = [labels.texts[k] for k in wrong[:5].tolist()]
            raise BadDataError(
                f"the {loss} loss needs {self._expected}, {counts[wrong].sum()} rows of {place} have others: {texts}; "
                "drop or fix these rows, or use another `loss`"
            )
        weights = np.array(labels.weights)
        # others may have that mean too, if some are below: those are refused where they are read, by block and row
        if labels.mean == self.bound and not labels.variance > 0:
            found = f"all of {place} are {self.bound:g}"
        elif weights.any() and not weights[np.array(labels.codes) > self.bound].any():
            found = f"all rows of {place} that have another label weigh 0"
        else:
            return
        raise BadDataError(
            f"the {loss} loss needs labels of which some are > {self.bound:g}, {found}: there is nothing to learn; "
            "pack with other shares or more data"
        )

    def targets(self, labels: Floats, classes: tuple[float, ...]) -> Floats:
        """Return what the loss takes for labels, (n_rows,)."""
        if self.bound is not None:
            wrong = np.flatnonzero(self._outside(labels))
            if len(wrong):
                raise BadDataError(
                    f"expected {self._expected}, found {len(wrong)} others among the block's {len(labels)} rows, the "
                    f"first of them {labels[wrong[0]]:g} in row {wrong[0]} (the first is 0); drop or fix these rows, "
                    "or use a loss that takes them"
                )
        return labels

    def metric_sums(self, measured: Measured) -> dict[str, Part]:
        """Return the sums that `metrics` reads."""
        from mr_ml.models.linear.number_metrics import number_sums

        return number_sums(measured)

    def metrics(self, total: Statistic, *, asked: Asked) -> Metrics:
        """Return the metrics that sums over all rows say."""
        from mr_ml.models.linear.number_metrics import number_metrics

        return number_metrics(total, asked=asked)

    def row_metrics(self, measured: Measured, losses: Floats) -> dict[str, Floats]:
        """Return the squared and the absolute error of each row."""
        error = measured.predictions[:, 0] - measured.targets
        return {"mean_absolute_error": np.abs(error), "mean_squared_error": error * error}

    def says(self, stop: Stop) -> str:
        """Return what users read of the reason for which a search ended."""
        return _ONLY_ZEROS if stop is Stop.SEPARABLE else stop.value

    def apart(self, names: str, *, whole: bool, margin: float) -> str:
        """Say of what rows are that have no finite optimum."""
        return (
            f"rows of label 0 are told from all others by {names}; the lowest margin of one has come to {-margin:.3g} "
            "and would fall for ever"
        )


@dataclass(frozen=True)
class Classes(LabelDomain):
    """Labels that are classes, at least two.

    Attributes
    ----------
    most
        How many there can be; None for any number.
    decisions
        Whether predictions are a decision value of each class; else they are probabilities, and the loss is minus the
        logarithm of that of the label.
    """

    most: int | None = None
    decisions: bool = False

    @property
    def probable(self) -> bool:
        """Whether predictions are probabilities of classes."""
        return not self.decisions

    def check_count(self, n_classes: int, *, loss: str) -> None:
        """Check how many classes there are, 0 for numbers."""
        self._check_count(n_classes, loss=loss, found=f"the dataset has {n_classes}", texts=False)

    def _check_count(self, n_classes: int, *, loss: str, found: str, texts: bool) -> None:
        if n_classes >= 2 and (self.most is None or n_classes <= self.most):
            return
        needed = "exactly 2" if self.most == 2 else "at least 2" if self.most is None else f"2 to {self.most}"
        if n_classes < 2:
            instead = "pack rows of two labels at least"
        elif texts:
            instead = "use `loss` softmax, or pack with another label"
        else:
            instead = "use `loss` squared for numbers, poisson for counts, softmax for classes"
        raise UsageError(f"the {loss} loss needs {needed} label values, {found}; {instead}")

    def classes(self, labels: TrainingLabels, *, loss: str) -> tuple[float, ...]:
        """Return the label values of classes 0, 1, ...; empty for numbers."""
        if labels.kind == "continuous":
            raise UsageError(
                f"the {loss} loss needs label values that repeat; {labels.dataset} has too many distinct ones; "
                "use `loss` squared, or poisson if they are counts"
            )
        n_classes, of_text = len(labels.codes), labels.kind == "text"
        found = f"{labels.dataset} has {n_classes}: {_some(labels.texts)}"
        self._check_count(n_classes, loss=loss, found=found, texts=of_text)
        # of a class without rows an intercept would run away
        rows = list(zip(labels.codes, labels.texts, labels.counts, strict=True))
        if sum(count > 0 for _, _, count in rows) < 2:
            raise BadDataError(
                f"split {labels.split!r} of {labels.dataset} has rows of one label only, "
                f"{[text for _, text, count in rows if count]}; pack with other shares or more data"
            )
        weightless = [
            text for (_, text, count), weight in zip(rows, labels.weights, strict=True) if count and not weight
        ]
        if weightless and any(labels.weights):
            # as without such rows, but that they have a place among the classes
            raise BadDataError(
                f"all rows of {weightless[:5]} in split {labels.split!r} of {labels.dataset} weigh 0: nothing says "
                "where such a class is, and no penalty keeps its intercept from running away; drop these rows, or give "
                "some of them a weight"
            )
        return tuple(code for code, _, count in rows if count)

    def targets(self, labels: Floats, classes: tuple[float, ...]) -> Floats:
        """Return what the loss takes for labels, (n_rows,)."""
        numbers = _class_numbers(labels, classes)
        unknown = numbers < 0
        if unknown.any():
            some = np.unique(labels[unknown])[:5].tolist()
            raise BadDataError(
                f"{int(unknown.sum())} rows have labels that the model does not know: {some}; "
                f"expected one of {sorted(classes)[:10]}"
            )
        return numbers

    def metric_sums(self, measured: Measured) -> dict[str, Part]:
        """Return the sums that `metrics` reads."""
        from mr_ml.models.linear.class_metrics import class_sums

        return class_sums(measured, probable=self.probable)

    def metrics(self, total: Statistic, *, asked: Asked) -> Metrics:
        """Return the metrics that sums over all rows say."""
        from mr_ml.models.linear.class_metrics import class_metrics, decision_metrics

        return (class_metrics if self.probable else decision_metrics)(total, asked=asked)

    def row_metrics(self, measured: Measured, losses: Floats) -> dict[str, Floats]:
        """Return of each row whether its class is predicted, its loss, and the square of the error of probabilities."""
        from mr_ml.models.linear.class_metrics import brier

        predicted = measured.predictions.argmax(axis=1) == measured.targets
        found = {"accuracy": predicted.astype(np.float64), "log_loss" if self.probable else "mean_loss": losses}
        return {**found, "brier": brier(measured.predictions, measured.targets)} if self.probable else found


NUMBERS = Numbers()
NOT_NEGATIVE = Numbers(bound=0.0)
POSITIVE = Numbers(bound=0.0, open=True)
CLASSES = Classes()
TWO_CLASSES = Classes(most=2)
TWO_SIDES = Classes(most=2, decisions=True)


def _some(texts: tuple[str, ...]) -> str:
    """Return the first labels for a message."""
    return ", ".join(map(repr, texts[:5])) + (", ..." if len(texts) > 5 else "")


def _class_numbers(labels: Floats, classes: tuple[float, ...]) -> Floats:
    """Return which of the classes each label is, -1 if none; (n_rows,)."""
    if len(classes) == 2:
        # where all labels are known, in a third of the time
        is_first, is_second = labels == classes[0], labels == classes[1]
        if (is_first | is_second).all():
            return np.asarray(is_second, np.float64)
    numbers = np.full(len(labels), -1.0)
    if len(classes) <= _FEW_CLASSES:
        for k, label in enumerate(classes):
            numbers += (k + 1) * (labels == label)
        return numbers
    order = np.argsort(classes)
    ranked = np.array(classes)[order]
    at = np.searchsorted(ranked, labels).clip(max=len(ranked) - 1)
    known = ranked[at] == labels
    numbers[known] = order[at[known]]
    return numbers
