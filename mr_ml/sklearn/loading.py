"""Fitted estimators for scikit-learn, of published models."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import open_root
from mr_ml.catalog.model import load_model
from mr_ml.data.npz import from_npz
from mr_ml.data.stored import REMEDY, shown
from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.linear.losses import loss_from_text
from mr_ml.models.linear.losses.base import Loss
from mr_ml.readers.schema import Schema

_NAMES = frozenset({"coef", "intercept", "classes", "loss"})


def from_model(root: Any, model: str) -> Any:
    """Return the fitted estimator of a published model, `root` and `model` as `mr_ml.load_model` takes them.

    Its rows are the model's features; its parameters are the defaults, whatever it was trained with. Where a schema
    file makes features of columns it is a pipeline, whose rows are data frames with these columns.

    Raises
    ------
    UsageError
        If there is no estimator of its loss, or its rows have offsets.
    """
    from mr_ml.exports.as_sklearn import arrays_of
    from mr_ml.exports.base import Subject

    return estimator_of(arrays_of(Subject.of(load_model(open_root(root), model))), where=model)


def from_file(path: str | os.PathLike[str]) -> Any:
    """Return the fitted estimator of what an export as sklearn wrote; see `from_model`. Nothing is unpickled."""
    return estimator_of(from_npz(Path(path).read_bytes(), where=os.fspath(path)), where=os.fspath(path))


def estimator_of(arrays: Mapping[str, NDArray[Any]], *, where: str) -> Any:
    """Return the fitted estimator of the arrays that `mr_ml.exports.as_sklearn` writes.

    Raises
    ------
    UsageError
        If there is no estimator of that loss.
    BadDataError
        If these are no such arrays.
    """
    if arrays.keys() - {"feature_names", "schema"} != _NAMES:
        raise BadDataError(f"{where}: expected the arrays {sorted(_NAMES)}, found {shown(sorted(arrays))}; {REMEDY}")
    coef, intercept, classes = arrays["coef"], arrays["intercept"], arrays["classes"]
    names = arrays.get("feature_names")
    texts = classes.dtype.kind == "U" and classes.ndim == 1
    loss, n = loss_from_text(str(arrays["loss"])), coef.shape[-1] if coef.ndim else 0
    fits = texts and (coef.shape, intercept.shape) == ((loss.n_outputs(len(classes)), n), (len(coef),))
    floats = coef.dtype == intercept.dtype == np.float64
    if not (fits and floats and (names is None or (names.dtype.kind, names.shape) == ("U", (n,)))):
        raise BadDataError(f"{where}: expected arrays that fit together, found others; {REMEDY}")
    estimator = _unfitted(loss, classes)
    estimator.n_features_in_ = n
    schema = arrays.get("schema")
    if names is not None and schema is None:
        estimator.feature_names_in_ = names.astype(object)
    if len(classes):
        estimator.coef_, estimator.intercept_ = coef, intercept
    else:
        estimator.coef_, estimator.intercept_ = coef[0], float(intercept[0])
    return estimator if schema is None else _of_tables(schema, estimator, where=where)


def _of_tables(schema: NDArray[Any], estimator: Any, *, where: str) -> Any:
    """Return the estimator behind what makes its features of the columns of data frames."""
    from sklearn.pipeline import Pipeline

    from mr_ml.sklearn.table import TableFeatures

    text = str(schema[()]) if schema.dtype.kind == "U" and not schema.ndim else ""
    try:
        read = Schema.from_json(json.loads(text))
    except ValueError as error:
        raise BadDataError(f"{where}: expected a schema in JSON, found none: {error}; {REMEDY}") from error
    if read.n_features != estimator.n_features_in_ or read.feature_names is None:
        raise BadDataError(f"{where}: expected a schema of {estimator.n_features_in_} features; {REMEDY}")
    return Pipeline([("columns", TableFeatures(text)), ("model", estimator)])


def _unfitted(loss: Loss, classes: NDArray[np.str_]) -> Any:
    """Return the first estimator that says it has this loss."""
    from mr_ml import sklearn as estimators

    candidates: list[Any]
    if len(classes):
        candidates = [estimators.LogisticRegression(), estimators.LinearSVC()]
    else:
        power = vars(loss).get("power", 1.5)
        candidates = [
            estimators.LinearRegression(), estimators.PoissonRegressor(), estimators.GammaRegressor(),
            estimators.TweedieRegressor(power=power),
        ]  # fmt: skip
    for estimator in candidates:
        if len(classes):
            estimator.classes_ = classes
        if loss_from_text(estimator._loss()) == loss:
            return estimator
    of = f" and {len(classes)} classes" if len(classes) else ""
    raise UsageError(f"there is no estimator of the loss {loss.name}{of}; use mr_ml.load_model")
