"""What is asked of single features: factors of penalties, bounds, and priors, by name; in a spec, or in a CSV file.

    feature,factor,lower,upper,prior_mean,prior_precision
    age,0,,,,
    price,,,0,-0.8,2.5

A field that is empty, or a column that is not there, says nothing. The spec of a run holds all of it, so that a run
that goes on does not ask the file again.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mr_ml.data.stored import shown
from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.schema import Schema

Floats = NDArray[np.float64]
Rules = Mapping[str, Mapping[str, float]]

# What can be said of a feature, with what it is to be.
_COLUMNS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "factor": ("a number >= 0", lambda value: 0 <= value < math.inf),
    "lower": ("a number", lambda value: value < math.inf),
    "upper": ("a number", lambda value: value > -math.inf),
    "prior_mean": ("a number", math.isfinite),
    "prior_precision": ("a number >= 0", lambda value: 0 <= value < math.inf),
}
_FEATURE = "feature"
MOST_FEATURES = 200_000
_MOST_BYTES = 64 << 20


def check_rules(rules: Rules) -> None:
    """Raise ValueError if something is said of a feature that cannot be."""
    if len(rules) > MOST_FEATURES:
        raise ValueError(f"expected at most {MOST_FEATURES} features, found {len(rules)}")
    for feature, said in rules.items():
        fault = _fault(said)
        if fault is not None:
            raise ValueError(f"feature {shown(feature)}: {fault}")


def read_rules(path: str | os.PathLike[str]) -> dict[str, dict[str, float]]:
    """Read a file of what is asked of single features.

    Raises
    ------
    UsageError
        If there is no such file.
    BadDataError
        If it is not as it should be: names the line.
    """
    try:
        data = Path(path).read_bytes() if Path(path).stat().st_size <= _MOST_BYTES else None
    except OSError as error:
        raise UsageError(f"`per_feature`: cannot read {shown(os.fspath(path))}: {error.strerror}") from None
    if data is None:
        raise BadDataError(f"{path}: expected a file of at most {_MOST_BYTES} bytes, found a larger one")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadDataError(f"{path}:{line}: expected UTF-8, found other bytes") from None
    rules: dict[str, dict[str, float]] = {}
    for line, feature, said in _lines(text, where=str(path)):
        if feature in rules:
            raise BadDataError(f"{path}:{line}: expected each feature once, found {shown(feature)} again")
        if len(rules) == MOST_FEATURES:
            raise BadDataError(f"{path}:{line}: expected at most {MOST_FEATURES} features, found more")
        rules[feature] = said
    if not rules:
        raise BadDataError(f"{path}: expected a line a feature below the header, found none")
    return rules


def _lines(text: str, *, where: str) -> Iterator[tuple[int, str, dict[str, float]]]:
    """Yield line number, feature, and what is said of it."""
    reader = csv.reader(text.splitlines(), strict=True)
    header: list[str] | None = None
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise BadDataError(f"{where}:{reader.line_num}: expected CSV, found a fault: {error}") from None
        if row is None:
            return
        line = reader.line_num
        if not any(field.strip() for field in row):
            continue
        if header is None:
            header = _header([field.strip() for field in row], where=f"{where}:{line}")
            continue
        if len(row) != len(header):
            raise BadDataError(f"{where}:{line}: expected {len(header)} fields, found {len(row)}")
        fields = dict(zip(header, row, strict=True))
        feature = fields.pop(_FEATURE)
        if not feature:
            raise BadDataError(f"{where}:{line}: expected the name of a feature, found nothing")
        said = {name: _number(field, f"{where}:{line}: {name}") for name, field in fields.items() if field.strip()}
        fault = _fault(said)
        if fault is not None:
            raise BadDataError(f"{where}:{line}: {fault}")
        # bounds that are none
        yield line, feature, {name: value for name, value in said.items() if math.isfinite(value)}


def _header(names: list[str], *, where: str) -> list[str]:
    unknown = [name for name in names if name != _FEATURE and name not in _COLUMNS]
    if unknown or len(set(names)) < len(names) or names.count(_FEATURE) != 1 or len(names) < 2:
        raise BadDataError(
            f"{where}: expected a header with {_FEATURE} and some of {', '.join(_COLUMNS)}, each once, found "
            f"{shown(','.join(names))}"
        )
    return names


def _number(field: str, where: str) -> float:
    try:
        number = float(field)
    except ValueError:
        number = math.nan
    if math.isnan(number) or "_" in field:
        raise BadDataError(f"{where}: expected a number, found {shown(field)}")
    return number


def _fault(said: Mapping[str, float]) -> str | None:
    """Say what is wrong with what is said of a feature, None for nothing."""
    for name, value in said.items():
        if name not in _COLUMNS:
            return f"expected some of {', '.join(_COLUMNS)}, found {shown(name)}"
        expected, is_right = _COLUMNS[name]
        if not is_right(value):
            return f"{name}: expected {expected}, found {value:g}"
    lower, upper = said.get("lower", -math.inf), said.get("upper", math.inf)
    if lower > upper:
        return f"expected a lower bound that is no larger than the upper one, found {lower:g} and {upper:g}"
    if "prior_mean" in said and "prior_precision" not in said:
        return "prior_mean: expected prior_precision beside it, found none"
    return None


def by_column(rules: Rules, schema: Schema) -> dict[int, Mapping[str, float]]:
    """Return what is said by the columns of a dataset.

    Raises
    ------
    UsageError
        If it has no such feature.
    """
    if schema.feature_names is None:
        columns = {name: _column(name, schema) for name in rules}
    else:
        known = {name: k for k, name in enumerate(schema.feature_names)}
        columns = {name: known.get(name, -1) for name in rules}
    unknown = [name for name, column in columns.items() if column < 0]
    if unknown:
        raise UsageError(
            f"`per_feature`: expected features of the dataset, such as {shown(schema.name_of(0))}, found "
            f"{', '.join(map(shown, unknown[:5]))}{', ...' if len(unknown) > 5 else ''}"
        )
    return {columns[name]: said for name, said in rules.items()}


def _column(name: str, schema: Schema) -> int:
    """Return the column of a feature that has a number only, -1 if there is none."""
    if not (name.isascii() and name.isdigit() and len(name) < 12):
        return -1
    column = int(name) - schema.index_base
    return column if column < schema.n_features and schema.name_of(max(column, 0)) == name else -1
