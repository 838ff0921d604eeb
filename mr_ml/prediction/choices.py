"""What a user chooses of a prediction."""

from __future__ import annotations

from typing import Literal

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored

Unseen = Literal["error", "ignore"]


@dataclass(frozen=True, kw_only=True)
class PredictChoices:
    """What can be chosen, whatever the model.

    Attributes
    ----------
    max_bad_rows
        How many bad rows are put up with.
    unseen
        Whether features or categories that the model does not know make a bad row, or are left out and counted; None
        for "error", but for columns by name as they were packed.
    keep
        Names of columns of the input that are carried through to the output.
    output_format
        One of `mr_ml.prediction.outputs.OUTPUT_FORMATS`; None for the one by how the path of the output ends.
    """

    max_bad_rows: stored.Count = 0
    unseen: Unseen | None = None
    keep: tuple[str, ...] = ()
    output_format: str | None = None


NO_CHOICES = PredictChoices()
