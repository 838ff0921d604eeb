"""A model as arrays for scikit-learn: an .npz file without pickle, for `mr_ml.sklearn.from_file`.

    coef (n_outputs, n_features), intercept (n_outputs,), classes (n_classes,), feature_names (n_features,), loss ()

Rows of an estimator are features, not the columns that they came from; but where a schema file makes features of
columns, the file has the schema too, schema (), and rows are data frames with these columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mr_ml.data.npz import to_npz
from mr_ml.errors import UsageError
from mr_ml.exports.base import Export, Subject
from mr_ml.readers.inputs import Made

_MOST_BYTES = 1 << 30


class SklearnExport:
    """See `mr_ml.exports.base.Export`."""

    suffix = ".npz"
    parameters: ClassVar[Mapping[str, str]] = {}

    def carries(self, made: Made) -> bool:
        """See `Export.carries`: all, since mr_ml itself makes the features."""
        return True

    def notes(self, subject: Subject, chosen: Mapping[str, str]) -> Sequence[str]:
        """See `Export.notes`."""
        notes = ["its rows are features, a column for each category; missing values and unknown categories are yours"]
        if subject.inputs.made:
            notes = ["mr_ml.sklearn.from_file makes a pipeline of it, whose rows are data frames as the model's files"]
        if subject.formula.centres.any():
            notes.append("its intercept is that of rows as they are, with fewer digits than mr-ml predict has")
        return notes

    def write(self, subject: Subject, chosen: Mapping[str, str]) -> bytes:
        """See `Export.write`."""
        return to_npz(arrays_of(subject))


def arrays_of(subject: Subject) -> dict[str, NDArray[Any]]:
    """Return what the file holds.

    Raises
    ------
    UsageError
        If rows have offsets, which estimators do not take, or the arrays are too large.
    """
    formula = subject.formula
    if subject.inputs.offset is not None:
        raise UsageError("estimators of scikit-learn take no offsets; export as json, onnx, pmml, python or sql")
    shape = len(formula.intercepts), subject.n_features
    if 8 * shape[0] * shape[1] > _MOST_BYTES:
        raise UsageError(
            f"expected coefficients of at most {_MOST_BYTES} bytes for this export, found {shape[0]} times {shape[1]}; "
            "export as json or python"
        )
    coef = np.zeros(shape)
    coef[:, formula.features] = formula.coefficients
    arrays: dict[str, NDArray[Any]] = {
        "coef": coef,
        "intercept": formula.intercepts - formula.coefficients @ formula.centres,
        "classes": np.array(subject.labels, np.str_),
        "loss": np.array(subject.loss, np.str_),
    }
    if subject.all_names is not None:
        arrays["feature_names"] = np.array(subject.all_names, np.str_)
    if subject.inputs.made:
        arrays["schema"] = np.array(json.dumps(subject.schema), np.str_)
    return arrays


EXPORT: Export = SklearnExport()
