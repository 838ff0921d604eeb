"""What a measurement is asked for beyond the metrics that every one gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored

Share = Annotated[float, stored.Rule("a number above 0 and at most 1", lambda share: 0 < share <= 1)]
Number = float


@dataclass(frozen=True, kw_only=True)
class MetricChoices:
    """What is asked for.

    Attributes
    ----------
    threshold
        Of the second of two classes: rows whose probability, or decision value, is at least this are taken for it.
    at_precision, at_recall
        For each of these the threshold that has at least this precision and the most recall, or the reverse.
    details
        Whether the labels of numbers are held against the predictions, range by range, which sorts all rows; and
        whether points of the curves of classes are told.
    """

    may_lack: ClassVar[frozenset[str]] = frozenset({"threshold", "at_precision", "at_recall", "details"})

    threshold: tuple[float, ...] = ()
    at_precision: tuple[Share, ...] = ()
    at_recall: tuple[Share, ...] = ()
    details: bool = False

    @property
    def of_two_classes(self) -> Mapping[str, tuple[float, ...]]:
        """What only models of two classes can tell, by its name, where it is asked for."""
        asked = {"threshold": self.threshold, "at_precision": self.at_precision, "at_recall": self.at_recall}
        return {name: values for name, values in asked.items() if values}

    def to_json(self) -> dict[str, Any]:
        """Return the document that `mr_ml.data.stored.read` turns into the same choices."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


NO_CHOICES = MetricChoices()
