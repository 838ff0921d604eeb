"""What a report reads of a kept evaluation, checked: a person with an editor could have written any of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from mr_ml.data import stored
from mr_ml.errors import BadDataError

_Maybe = float | None
_Numbers = tuple[float, ...]

_Curve = TypedDict(
    "_Curve",
    {
        "class": stored.Count,
        "threshold": tuple[_Maybe, ...],
        "false_positive_rate": _Numbers,
        "recall": _Numbers,
        "precision": _Numbers,
    },
)
_Start = TypedDict("_Start", {"from": float})


class _Range(_Start):
    weight: float
    mean_prediction: float


class _RangeOfLabels(_Range):
    rate: float


class _RangeOfNumbers(_Range):
    mean_label: float


class _Label(TypedDict):
    weight: float


class _Gain(TypedDict):
    share: float
    weight: float


class _Threshold(TypedDict):
    threshold: float


class _Wanted(TypedDict):
    wanted: float


class _Group(TypedDict):
    group: str | None
    n_rows: stored.Count


_MORE: Any = stored.MORE


class _Told(TypedDict):
    n_rows: stored.Count
    labels: tuple[str, ...]


class _Evaluation(_Told, total=False):
    """Keys that are read beside numbers by name; each may lack, as other kinds of model tell other things."""

    by: str
    confusion: tuple[_Numbers, ...]
    curves: tuple[_Curve, ...] | None
    calibration: tuple[Annotated[_RangeOfLabels, _MORE], ...] | tuple[Annotated[_RangeOfNumbers, _MORE], ...] | None
    by_class: tuple[Annotated[_Label, _MORE], ...] | None
    gains: tuple[Annotated[_Gain, _MORE], ...] | None
    at_threshold: tuple[Annotated[_Threshold, _MORE], ...] | None
    at_precision: tuple[Annotated[_Wanted, _MORE], ...] | None
    at_recall: tuple[Annotated[_Wanted, _MORE], ...] | None
    groups: tuple[Annotated[_Group, _MORE], ...]


_KIND: Any = Annotated[_Evaluation, stored.MORE]


def checked(document: Mapping[str, Any], *, where: str) -> Mapping[str, Any]:
    """Return an evaluation as sections read it.

    Raises
    ------
    BadDataError
        If it is anything else.
    """
    told: Mapping[str, Any] = stored.read(_KIND, dict(document), where=where)
    n_labels = len(told["labels"])
    wrong = [
        f"{len(told[name])} of {name}"
        for name in ("confusion", "by_class")
        if told.get(name) and len(told[name]) != n_labels
    ]
    wrong += ["rows of `confusion`" for row in told.get("confusion") or () if len(row) != n_labels]
    for of in told.get("curves") or ():
        lengths = {len(of[name]) for name in ("threshold", "false_positive_rate", "recall", "precision")}
        if of["class"] >= n_labels or len(lengths) != 1 or lengths == {0}:
            wrong.append(f"a curve of label {of['class']}")
    for of in told.get("calibration") or ():
        if ("rate" in of) is not (n_labels > 0):
            wrong.append("ranges of `calibration`")
    of_two = [name for name in ("gains", "at_threshold", "at_precision", "at_recall") if told.get(name)]
    if n_labels != 2 and of_two:
        wrong.append(f"`{of_two[0]}`")
    if told.get("groups") and "by" not in told:
        wrong.append("groups of nothing")
    if wrong:
        raise BadDataError(f"{where}: expected what fits {n_labels} labels, found {wrong[0]}; {stored.REMEDY}")
    return told
