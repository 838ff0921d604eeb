"""A model of liblinear, as its `train` saves it: some lines of `key value`, then `w` and a line for each feature.

    solver_type L2R_LR        of one column, margins are positive on the side of the FIRST label
    nr_class 2
    label 1 -1
    nr_feature 3              features are numbered from 1
    bias 1                    where it is not negative a last line of w is multiplied by it: the intercept
    w
    0.737302009116515
    ...

As `save_model` of liblinear's linear.cpp writes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mr_ml.coefficients.base import CoefficientFile, Coefficients, checked
from mr_ml.data import stored
from mr_ml.errors import BadDataError
from mr_ml.readers.schema import MAX_FEATURES

_LOGISTIC, _HINGE, _SQUARED = ("logistic",), ("squared_hinge",), ("squared",)
# Solver -> the loss here that is the one it minimises.
_LOSSES: Mapping[str, tuple[str, ...]] = {
    "L2R_LR": _LOGISTIC, "L1R_LR": _LOGISTIC, "L2R_LR_DUAL": _LOGISTIC,
    "L2R_L2LOSS_SVC": _HINGE, "L2R_L2LOSS_SVC_DUAL": _HINGE, "L1R_L2LOSS_SVC": _HINGE,
    "L2R_L2LOSS_SVR": _SQUARED, "L2R_L2LOSS_SVR_DUAL": _SQUARED,
}  # fmt: skip
_KEYS = ("solver_type", "nr_class", "label", "nr_feature", "bias", "rho")
_CHUNK = 1 << 22


class LiblinearText:
    """See `mr_ml.coefficients.base.CoefficientFile`."""

    title = "a model of liblinear"

    def knows(self, data: bytes) -> bool:
        """See `CoefficientFile.knows`."""
        return data.startswith(b"solver_type ")

    def read(self, data: bytes, *, where: str) -> Coefficients:
        """See `CoefficientFile.read`."""
        head, n_lines, start = _head(data, where=where)
        solver = head.get("solver_type", "")
        losses = _LOSSES.get(solver)
        if losses is None:
            raise BadDataError(
                f"{where}: expected a solver_type whose loss there is here ({', '.join(_LOSSES)}), found "
                f"{stored.shown(solver)}"
            )
        n_classes = _whole(head, "nr_class", 1, 1 << 20, where=where)
        n_features = _whole(head, "nr_feature", 1, MAX_FEATURES, where=where)
        bias = _bias(head, where=where)
        labels = tuple(head["label"].split()) if "label" in head else ()
        is_numbers = losses == _SQUARED
        if len(labels) != (0 if is_numbers else n_classes) or n_classes < 2:
            raise BadDataError(
                f"{where}: expected {'no labels' if is_numbers else 'a label for each of two classes or more'}, found "
                f"nr_class {n_classes} and label {stored.shown(head.get('label', ''))}"
            )
        n_outputs = 1 if n_classes == 2 else n_classes
        n_rows = n_features + (bias >= 0)
        # before there is room for them: the head may say anything
        n_there = data.count(b"\n", start)
        if n_there < n_rows or not data.endswith(b"\n"):
            raise BadDataError(f"{where}: expected {n_rows} lines below w, found {n_there}: the file is cut off")
        w = _numbers(data[start:], n_rows, n_outputs, line=n_lines, where=where)
        notes: tuple[str, ...] = ()
        if n_classes > 2 and losses == _LOGISTIC:
            losses = ("softmax",)
            notes = ("its classes were trained one against all others each, so its coefficients are near at best",)
        with np.errstate(over="ignore"):
            intercepts = bias * w[-1] if bias >= 0 else np.zeros(n_outputs)
        found = Coefficients(
            weights=w[:n_features].T.copy(), intercepts=intercepts, ids=np.arange(1, n_features + 1, dtype=np.int64),
            # the first of two is that of positive margins there, the second here
            labels=labels[::-1] if n_outputs == 1 else labels, losses=losses, notes=notes,
        )  # fmt: skip
        return checked(found, where=where)


def _head(data: bytes, *, where: str) -> tuple[dict[str, str], int, int]:
    """Return what stands above w, in how many lines, and where what is below begins."""
    head: dict[str, str] = {}
    start = 0
    for number in range(1, len(_KEYS) + 2):
        end = data.find(b"\n", start)
        line = data[start : end if end >= 0 else len(data)][:1_000_000]
        start = end + 1
        if end < 0:
            break
        if line.strip() == b"w":
            return head, number, start
        key, _, value = line.partition(b" ")
        text = key.decode(errors="replace")
        if text not in _KEYS or text in head:
            raise BadDataError(
                f"{where}:{number}: expected one of {', '.join(_KEYS)}, each once, and then w, found "
                f"{stored.shown(text)}"
            )
        head[text] = value.decode(errors="replace").strip()
    raise BadDataError(f"{where}: expected a line with w alone below {', '.join(_KEYS[:5])}, found none")


def _whole(head: Mapping[str, str], key: str, least: int, most: int, *, where: str) -> int:
    text = head.get(key, "")
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else -1
    if not least <= value <= most:
        raise BadDataError(
            f"{where}: expected as {key} a whole number from {least} to {most}, found {stored.shown(text)}"
        )
    return value


def _bias(head: Mapping[str, str], *, where: str) -> float:
    try:
        bias = float(head.get("bias", ""))
    except ValueError:
        bias = math.nan
    if not math.isfinite(bias):
        raise BadDataError(f"{where}: expected as bias a number, found {stored.shown(head.get('bias', ''))}")
    return bias


def _numbers(data: bytes, n_rows: int, n_columns: int, *, line: int, where: str) -> NDArray[np.float64]:
    """Read a table; a piece of whole lines after the other, since texts take many times their numbers."""
    parts: list[NDArray[np.float64]] = []
    at = 0
    while at < len(data):
        end = data.rfind(b"\n", at, at + _CHUNK) + 1 or len(data)
        rows = [row.split() for row in data[at:end].splitlines()]
        at = end
        for number, row in enumerate(rows, start=line + 1):
            if len(row) != n_columns and (row or at < len(data)):
                raise BadDataError(
                    f"{where}:{number}: expected {n_columns} numbers, one for each column of w, found {len(row)}"
                )
        try:
            numbers = [float(number) for row in rows for number in row]
            parts.append(np.array(numbers, np.float64).reshape(-1, n_columns))
        except ValueError as error:
            raise BadDataError(f"{where}: expected numbers below w, found others: {stored.shown(str(error))}") from None
        line += len(rows)
    table = np.concatenate([*parts, np.empty((0, n_columns))])
    if len(table) != n_rows:
        raise BadDataError(
            f"{where}: expected {n_rows} lines of numbers below w (nr_feature, and one more with a bias), found "
            f"{len(table)}"
        )
    return table


KIND: CoefficientFile = LiblinearText()
