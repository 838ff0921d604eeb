"""Metrics for people: first those that say most, then where labels are told apart, and all tables if asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mr_ml.cli.common import one_line, table

#: In the order in which they are shown; the second group only where everything is.
FIRST = (
    "log_loss", "mean_loss", "mean_deviance", "d2", "auc", "average_precision", "brier", "ece", "accuracy",
    "balanced_accuracy", "root_mean_squared_error", "mean_absolute_error", "bias", "r2",
)  # fmt: skip
MORE = ("precision", "recall", "f1", "mcc", "ks", "mean_squared_error", "mean_label")
# of each group of rows
_OF_GROUPS = (
    "log_loss", "mean_loss", "mean_deviance", "auc", "accuracy", "ece", "root_mean_squared_error", "mean_label", "bias",
)  # fmt: skip
# so many labels make a table that fits into a line
_FEW_LABELS = 8


def metrics_lines(metrics: Mapping[str, Any], *, everything: bool) -> Iterator[str]:
    """Yield the metrics of one model, as `Session.evaluate` returns them."""
    yield f"{metrics['model']} on {metrics['dataset']} {metrics['split']}: {metrics['n_rows']} rows"
    for name in (*FIRST, *MORE) if everything else FIRST:
        if metrics.get(name) is not None:
            error = metrics.get(f"{name}_error")
            yield f"  {name:<24}{metrics[name]:.6f}{f' (within {error:.1e})' if error else ''}"
    labels = [one_line(label) for label in metrics["labels"]]
    if labels:
        yield from _of_classes(metrics, labels, everything=everything)
    elif everything and metrics["calibration"]:
        yield from _section("tenths of the rows, by prediction", _calibration_of_numbers(metrics["calibration"]))
    if "groups" in metrics:
        yield from _by_group(metrics)


def evaluated(told: Mapping[str, Any]) -> str:
    """Return what was kept of an evaluation, in a line."""
    some = [f"{name} {told[name]:.6g}" for name in FIRST if isinstance(told.get(name), float)][:3]
    return f"{told['dataset']} {told['split']}, {told.get('n_rows')} rows: {', '.join(some)}"


def side_by_side(found: Sequence[Mapping[str, Any]], *, everything: bool) -> Iterator[str]:
    """Yield the metrics of several models on the same rows, a column for each."""
    one = found[0]
    yield f"{one['dataset']} {one['split']}: {one['n_rows']} rows"
    names = [name for name in (*FIRST, *(MORE if everything else ())) if any(of.get(name) is not None for of in found)]
    rows = [[name, *("-" if of.get(name) is None else f"{of[name]:.6f}" for of in found)] for name in names]
    yield table(["", *(of["model"] for of in found)], rows)


def _by_group(metrics: Mapping[str, Any]) -> Iterator[str]:
    groups = metrics["groups"]
    names = [name for name in _OF_GROUPS if any(of.get(name) is not None for of in groups)]
    rows = [
        ["(others)" if of["group"] is None else one_line(of["group"]), str(of["n_rows"]), *_cells(of, names)]
        for of in groups
    ]
    yield from _section(f"by {one_line(metrics['by'])}", table(["group", "rows", *names], rows))


def _of_classes(metrics: Mapping[str, Any], labels: Sequence[str], *, everything: bool) -> Iterator[str]:
    if len(labels) == 2 and not everything:
        told = ", ".join(f"{name} {_number(metrics[name])}" for name in ("precision", "recall", "f1", "mcc"))
        yield f"  of {labels[1]}: {told}"
    if everything or len(labels) <= _FEW_LABELS:
        rows = [[label, *map(_weight, row)] for label, row in zip(labels, metrics["confusion"], strict=True)]
        yield table(["truth \\ predicted", *labels], rows)
    yield from _told_apart(metrics, labels)
    if not everything:
        return
    by_class = ("weight", "precision", "recall", "f1", "auc", "average_precision")
    rows = [[label, *_cells(of, by_class)] for label, of in zip(labels, metrics["by_class"], strict=True)]
    yield from _section("by label", table(["label", *by_class], rows))
    if "calibration" in metrics:
        what = f"of {labels[1]}" if len(labels) == 2 else "of the predicted label"
        columns: tuple[str, ...] = ("weight", "mean_prediction", "rate")
        rows = [[f"{of['from']:.1f} to {of['to']:.1f}", *_cells(of, columns)] for of in metrics["calibration"]]
        yield from _section(
            f"calibration: probability {what}, and how often it is so", table(["range", *columns], rows)
        )
    if metrics["gains"]:
        columns = ("threshold", "weight", "mean_prediction", "rate", "lift", "gain")
        rows = [[f"first {100 * of['share']:.3g} %", *_cells(of, columns)] for of in metrics["gains"]]
        yield from _section(f"gains: rows by score of {labels[1]}, highest first", table(["rows", *columns], rows))


def _told_apart(metrics: Mapping[str, Any], labels: Sequence[str]) -> Iterator[str]:
    """Yield what was asked of thresholds."""
    columns = ("threshold", "share", "precision", "recall", "f1", "mcc")
    rows = [[f"threshold {of['threshold']:g}", *_cells(of, columns)] for of in metrics["at_threshold"]]
    for name in ("precision", "recall"):
        rows += [[f"{name} >= {of['wanted']:g}", *_cells(of, columns)] for of in metrics[f"at_{name}"]]
    if rows:
        yield from _section(f"rows taken for {labels[1]} from a threshold on", table(["asked for", *columns], rows))


def _calibration_of_numbers(tenths: Iterable[Mapping[str, Any]]) -> str:
    columns = ("from", "weight", "mean_prediction", "mean_label")
    return table(["tenth", *columns], [[str(k), *_cells(of, columns)] for k, of in enumerate(tenths, start=1)])


def _section(title: str, text: str) -> Iterator[str]:
    yield ""
    yield f"{title}:"
    yield text


def _cells(of: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [
        _weight(of[name]) if name == "weight" else _number(of.get(name), digits=6 * (name == "threshold") or 4)
        for name in names
    ]


def _number(value: float | None, *, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def _weight(value: float) -> str:
    return f"{value:.15g}" if value.is_integer() else f"{value:.8g}"
