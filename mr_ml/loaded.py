"""A published model with where it is kept and where its jobs run: what `mr_ml.load` returns.

>>> model = mr_ml.load("iris-softmax", root="data")
>>> model.predict_proba(frame)
>>> model.evaluate("iris", split="test")["accuracy"]
"""

from __future__ import annotations

import csv
import html
import os
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import Root, open_root
from hdfs_layout.dataclass import dataclass
from mr_ml.api import Paths, load_model, predict
from mr_ml.api_measuring import evaluate, infer
from mr_ml.catalog.model import read_manifest
from mr_ml.catalog.parameters import read_parameters
from mr_ml.errors import UsageError
from mr_ml.models.base import Model
from mr_ml.models.inference import Inference
from mr_ml.models.parameters import Parameters
from mr_ml.models.rows_in_memory import Unseen
from mr_ml.where import Place, Where, check_where

Floats = NDArray[np.float64]

_SHOWN = 20


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A published model, ready to be used.

    Attributes
    ----------
    model
        The version, with `feature_names`, `label_texts`, `schema` and `manifest`.
    root
        Where it is kept.
    where
        Where jobs run; see `mr_ml.where.Where`.
    """

    model: Model
    root: Root
    where: Where

    @property
    def reference(self) -> str:
        """Name and version, ``iris@3``."""
        return self.model.reference

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features in the order in which arrays have them."""
        return self.model.feature_names

    @property
    def classes(self) -> list[str]:
        """The classes as users write them, in the order of `predict_proba`; empty for a model of numbers."""
        return self.model.label_texts

    def predict(self, x: Any, *, offsets: Floats | None = None, unseen: Unseen | None = None) -> NDArray[Any]:
        """Return the label of each row, or the predicted number.

        Parameters
        ----------
        x
            Rows: an array or a scipy sparse matrix, (n_rows, n_features), features as in `feature_names`; a data frame
            whose columns are known by name; or the path of a file, a folder or a glob, as ``mr-ml predict`` takes it,
            of which lines without a row are left out.
        offsets
            (n_rows,), a known part of the margins; None for 0, or for what the rows say. Not for a path.
        unseen
            "error" or "ignore", of categories and features that the model does not know; None for the default.

        Returns
        -------
        numpy.ndarray
            (n_rows,) of str, or of float64 for a model of numbers.

        Raises
        ------
        UsageError
            If rows have another number of features, or there is no such file.
        BadDataError
            If there are bad rows, or columns are lacking.
        """
        if _is_path(x):
            return self.model.chosen(self._values_of(x, offsets, unseen))
        return self.model.predict(x, offsets=offsets, unseen=unseen)

    def predict_proba(self, x: Any, *, offsets: Floats | None = None, unseen: Unseen | None = None) -> Floats:
        """Return the probability of each class, (n_rows, n_classes), in the order of `classes`.

        The same numbers as ``mr-ml predict`` writes for the same rows. Parameters and errors are those of `predict`;
        UsageError too if the model has no probabilities.
        """
        if not _is_path(x):
            return self.model.predict_proba(x, offsets=offsets, unseen=unseen)
        self.model.check_probable()
        return self._values_of(x, offsets, unseen)

    def decision_function(self, x: Any, *, offsets: Floats | None = None, unseen: Unseen | None = None) -> Floats:
        """Return the margins of rows in memory: (n_rows,), or with several outputs (n_rows, n_outputs).

        Parameters and errors are those of `predict`.
        """
        if _is_path(x):
            raise UsageError("expected rows in memory, found a path; predict and predict_proba read files")
        return self.model.decision_function(x, offsets=offsets, unseen=unseen)

    def _values_of(self, paths: Any, offsets: Floats | None, unseen: Unseen | None) -> Floats:
        """Return what ``mr-ml predict`` writes for files: it does, and that is read."""
        if offsets is not None:
            raise UsageError("`offsets`: expected none beside a path, whose rows have their own")
        n_values = max(len(self.classes), 1)
        with tempfile.TemporaryDirectory(prefix="mr_ml-predict-") as folder:
            done = predict(
                self.root, self.model, paths, os.path.join(folder, "values"), unseen=unseen, output_format="csv",
                **self.where,
            )  # fmt: skip
            rows: list[list[float]] = []
            for file in done["outputs"]:
                with open(file, newline="", encoding="utf-8") as lines:
                    records = csv.reader(lines)
                    next(records)
                    rows += [list(map(float, record[-n_values:])) for record in records if record[-1]]
        return np.array(rows, np.float64).reshape(len(rows), n_values)

    def predict_file(self, inputs: Paths, to: str | os.PathLike[str], **options: Any) -> dict[str, Any]:
        """Write the predictions for the rows of files; see `mr_ml.predict`, also for the options."""
        return predict(self.root, self.model, inputs, to, **{**self.where, **options})

    def evaluate(self, dataset: str, *, split: str = "test", **options: Any) -> dict[str, Any]:
        """Measure the model on a dataset's split; see `mr_ml.evaluate`, also for the options."""
        return evaluate(self.root, self.model, dataset, split=split, **{**self.where, **options})

    def infer(self, **options: Any) -> Inference:
        """Find how sure the coefficients are; see `mr_ml.infer`."""
        return infer(self.root, self.reference, **{**self.where, **options})

    def coef_frame(self) -> Any:
        """Return the parameters with what is kept of them, of each output the intercept and then the features.

        The columns are output, feature, coef, standardized (times the standard deviation of the feature), odds_ratio or
        rate_ratio where e^coef is one, and, if standard errors are kept, std_error, z or t, and p. What is not known is
        None. A damaged file of these is warned of.

        Returns
        -------
        pandas.DataFrame, or list of dict
            The first if pandas is installed, else a dict for each row of it.
        """
        parameters, damaged = self._parameters()
        for text in damaged:
            warnings.warn(text, stacklevel=2)
        records = list(parameters.rows(sort="order"))
        try:
            import pandas
        except ImportError:
            return records
        return pandas.DataFrame(records)

    def _parameters(self) -> tuple[Parameters, list[str]]:
        manifest, _ = read_manifest(self.root, self.model.name, self.model.version)
        return read_parameters(self.root, self.model, manifest)

    def __repr__(self) -> str:
        """Return name, version and what the model is."""
        return f"LoadedModel({self.reference}: {self.model.summary()})"

    def _repr_html_(self) -> str:
        """Return the same with the parameters that matter most, for notebooks."""
        parameters, damaged = self._parameters()
        several = len(parameters.outputs) > 1
        head = parameters.columns() if several else parameters.columns()[1:]
        rows = parameters.rows(most=_SHOWN)
        cells = _row("th", head) + "".join(_row("td", [_cell(row[key]) for key in head]) for row in rows)
        left_out = parameters.n_features - _SHOWN
        notes = [f"{left_out} more features, of less size"] if left_out > 0 else []
        below = "".join(f"<p>{html.escape(note)}</p>" for note in (*notes, *parameters.notes, *damaged))
        title = f"<b>{html.escape(self.reference)}</b>: {html.escape(self.model.summary())}"
        return f"<div><p>{title}</p><table>{cells}</table>{below}</div>"


def load(reference: str, *, root: Place, **where: Unpack[Where]) -> LoadedModel:
    """Open a published model together with where it is kept, so that it predicts and is measured.

    Parameters
    ----------
    reference
        Name, for the promoted version (the latest if none ever was promoted), ``name@version`` or ``name@latest``.
    root
        As of `mr_ml.pack`.
    **where
        Where jobs run when files are predicted or the model is measured; see `mr_ml.where.Where`.

    Raises
    ------
    StorageError
        If there is no such model.
    BadDataError
        If it is damaged, or written by a newer mr_ml.

    Examples
    --------
    >>> mr_ml.load("iris-softmax", root="data").predict([[5.1, 3.5, 1.4, 0.2]])
    array(['setosa'], dtype='<U10')
    """
    check_where(where)
    opened = open_root(root)
    return LoadedModel(load_model(opened, reference), opened, where)


def _is_path(x: Any) -> bool:
    """Whether these are paths; rows of texts would be no numbers."""
    if isinstance(x, Sequence) and not isinstance(x, str | bytes) and len(x):
        return all(isinstance(one, str | os.PathLike) for one in x)
    return isinstance(x, str | os.PathLike)


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _row(tag: str, cells: Sequence[str]) -> str:
    inner = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{inner}</tr>"
