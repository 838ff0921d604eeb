"""How well the model predicts, as far as evaluations are kept beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mr_ml.reports.base import Section
from mr_ml.reports.blocks import Block, Chart, Charts, Heading, Paragraph, Table, Tiles
from mr_ml.reports.drawing import Axis, Plot
from mr_ml.reports.facts import Facts
from mr_ml.reports.words import count, fixed, metrics_in, number, percent, some

Told = Mapping[str, Any]

_MOST_LABELS = 12
_MOST_CLASSES = 50
_CURVE_ROWS = 21


def _blocks(facts: Facts) -> Iterator[Block]:
    if facts.model is None:
        return
    if not facts.evaluations:
        yield Paragraph(
            text="No evaluation of this model is kept, so there are no metrics here. One pass makes and keeps them:",
            command=_command(facts),
        )
    for k, told in enumerate(facts.evaluations):
        yield from _of_rows(told, f"e{k}", facts)


def _command(facts: Facts, told: Told | None = None) -> str:
    assert facts.model is not None
    if told is not None:
        rows = f"{told['dataset']} --split {told['split']}"
    elif facts.dataset is not None and "test" in facts.dataset.splits:
        rows = facts.dataset.reference
    else:
        rows = "DATASET --split SPLIT"
    return f"mr-ml evaluate {facts.model.reference} {rows} --save"


def _of_rows(told: Told, name: str, facts: Facts) -> Iterator[Block]:
    """Yield what is said of the rows of a split; `name` is unique in the page."""
    yield Heading(text=f"On {told['dataset']} {told['split']}: {count(told['n_rows'])} rows")
    yield _metrics(told)
    labels = [str(label) for label in told.get("labels") or ()]
    charts = [*_curves(told, labels, name), *_calibration(told, labels, name)]
    if charts:
        yield Charts(charts=charts)
    if labels and told.get("curves") is None:
        yield Paragraph(
            text="The points of the ROC curve are not kept: this was measured by an earlier release. To make them:",
            command=_command(facts, told),
        )
    yield from _curve_tables(told, labels)
    yield from _calibration_table(told, labels)
    if labels:
        yield from _of_labels(told, labels)
    yield from _groups(told)


def _metrics(told: Told) -> Tiles:
    names = metrics_in(told)
    return Tiles(pairs=[(_words(n), fixed(told[n]) + _within(told.get(f"{n}_error"))) for n in names])


def _within(error: object) -> str:
    return f" ± {error:.1e}" if isinstance(error, float) and error else ""


def _words(name: str) -> str:
    return name.replace("_", " ")


def _curves(told: Told, labels: Sequence[str], name: str) -> Iterator[Chart]:
    curves = told.get("curves") or []
    if not curves:
        return
    legend = [(k, labels[of["class"]]) for k, of in enumerate(curves)] if len(labels) > 2 else []
    of_what = f"of {labels[curves[0]['class']]}" if not legend else "of each label against the rest"
    area, precision = fixed(told.get("auc")), fixed(told.get("average_precision"))
    roc = Plot(
        f"{name}-roc",
        title=f"ROC curve {of_what}",
        description=f"Recall by false positive rate; the area under it is {area}",
        x=Axis(label="false positive rate", low=0, high=1),
        y=Axis(label="recall", low=0, high=1),
    )
    roc.line([0, 1], [0, 1], looks="by-chance")
    for k, of in enumerate(curves):
        roc.line([0, *of["false_positive_rate"]], [0, *of["recall"]], series=k)
    yield Chart(drawing=roc.drawing(), caption=f"ROC {of_what}. Area {area}; by chance 0.5.", legend=legend)
    both = Plot(
        f"{name}-pr",
        title=f"Precision over recall {of_what}",
        description=f"Precision by recall; the average precision is {precision}",
        x=Axis(label="recall", low=0, high=1),
        y=Axis(label="precision", low=0, high=1),
    )
    for k, of in enumerate(curves):
        if not legend:
            # where all rows are taken for it
            both.line([0, 1], [of["precision"][-1]] * 2, looks="by-chance")
        both.line(of["recall"], of["precision"], series=k)
    yield Chart(
        drawing=both.drawing(),
        caption=f"Precision over recall {of_what}. Average precision {precision}.",
        legend=legend,
    )


def _curve_tables(told: Told, labels: Sequence[str]) -> Iterator[Block]:
    for of in told.get("curves") or ():
        columns = ("threshold", "false_positive_rate", "recall", "precision")
        points = list(zip(*(of[column] for column in columns), strict=True))
        yield Table(
            caption=f"Points of the curves of {labels[of['class']]}",
            header=[_words(column) for column in columns],
            rows=[[fixed(value) for value in point] for point in some(points, _CURVE_ROWS)],
            folded=True,
        )


def _calibration(told: Told, labels: Sequence[str], name: str) -> Iterator[Chart]:
    ranges = told.get("calibration") or []
    if not ranges:
        return
    truth = "rate" if labels else "mean_label"
    said, happened = [of["mean_prediction"] for of in ranges], [of[truth] for of in ranges]
    if labels:
        x, y = Axis(label="mean probability", low=0, high=1), Axis(label="how often it was so", low=0, high=1)
        caption = (
            f"Calibration: probability {_of_label(labels)} in tenths, and how often it was so. On the line is right."
        )
    else:
        x = Axis.over([*said, *happened], label="mean prediction")
        y = Axis(label="mean label", low=x.low, high=x.high)
        caption = "Calibration: tenths of the rows by prediction, and the mean of their labels. On the line is right."
    plot = Plot(
        f"{name}-calibration",
        title="Calibration",
        description=f"{len(ranges)} ranges of predictions, each with what happened",
        x=x,
        y=y,
    )
    plot.line([x.low, x.high], [x.low, x.high], looks="by-chance")
    plot.line(said, happened, dots=True)
    yield Chart(drawing=plot.drawing(), caption=caption)


def _of_label(labels: Sequence[str]) -> str:
    return f"of {labels[1]}" if len(labels) == 2 else "of the predicted label"


def _calibration_table(told: Told, labels: Sequence[str]) -> Iterator[Block]:
    ranges = told.get("calibration") or []
    if not ranges:
        return
    truth = "rate" if labels else "mean_label"
    yield Table(
        caption="Calibration" + (f": probability {_of_label(labels)}" if labels else ": tenths by prediction"),
        header=["from", "weight", "mean prediction", _words(truth)],
        rows=[
            [fixed(of["from"]), number(of["weight"]), fixed(of["mean_prediction"]), fixed(of[truth])] for of in ranges
        ],
        folded=True,
    )


def _of_labels(told: Told, labels: Sequence[str]) -> Iterator[Block]:
    if len(labels) <= _MOST_LABELS:
        yield Table(
            caption="Confusion: weight of rows by truth (down), and by prediction (across)",
            header=["truth \\ predicted", *labels],
            rows=[
                [label, *(_share(n, row) for n in row)]
                for label, row in zip(labels, told.get("confusion") or (), strict=False)
            ],
        )
    else:
        yield Paragraph(text=f"{len(labels)} labels: their confusion is too wide to show; `evaluate --json` has it.")
    columns = ("weight", "precision", "recall", "f1", "auc", "average_precision")
    by_class = list(zip(labels, told.get("by_class") or (), strict=False))
    shown = sorted(by_class, key=lambda of: -of[1]["weight"])[:_MOST_CLASSES] if len(labels) > 2 else by_class
    if shown:
        left_out = len(by_class) - len(shown)
        yield Table(
            caption="By label" + (f"; {left_out} labels of fewer rows are left out" if left_out else ""),
            header=["label", *map(_words, columns)],
            rows=[[label, *_cells(of, columns)] for label, of in shown],
        )
    yield from _thresholds(told, labels)
    gains = told.get("gains") or []
    if gains:
        columns = ("threshold", "weight", "mean_prediction", "rate", "lift", "gain")
        yield Table(
            caption=f"Gains: rows by score of {labels[1]}, highest first",
            header=["rows", *map(_words, columns)],
            rows=[[f"first {percent(of['share'])}", *_cells(of, columns)] for of in gains],
            folded=True,
        )


def _share(n: float, row: Sequence[float]) -> str:
    whole = sum(row)
    return f"{number(n)} ({percent(n / whole)})" if whole > 0 else number(n)


def _thresholds(told: Told, labels: Sequence[str]) -> Iterator[Block]:
    columns = ("threshold", "share", "precision", "recall", "f1", "mcc")
    rows = [[f"threshold {number(of['threshold'])}", *_cells(of, columns)] for of in told.get("at_threshold") or ()]
    for what in ("precision", "recall"):
        rows += [[f"{what} at least {of['wanted']:g}", *_cells(of, columns)] for of in told.get(f"at_{what}") or ()]
    if rows:
        yield Table(
            caption=f"Rows taken for {labels[1]} from a threshold on",
            header=["asked for", *map(_words, columns)],
            rows=rows,
        )


def _groups(told: Told) -> Iterator[Block]:
    groups = told.get("groups") or []
    if not groups:
        return
    known = metrics_in(told)
    # as many as a table has room for, in the order of the metrics
    names = [n for n in _OF_GROUPS if n in known] or known[:6]
    yield Table(
        caption=f"By {told['by']}",
        header=["group", "rows", *map(_words, names)],
        rows=[
            ["(others)" if of["group"] is None else str(of["group"]), count(of["n_rows"]), *_cells(of, names)]
            for of in groups
        ],
    )


_OF_GROUPS = (
    "log_loss", "mean_loss", "mean_deviance", "auc", "accuracy", "precision", "recall", "ece",
    "root_mean_squared_error", "mean_absolute_error", "mean_label", "bias",
)  # fmt: skip


def _cells(of: Told, names: Sequence[str]) -> list[str]:
    return [number(of.get(n)) if n == "weight" else fixed(of.get(n)) for n in names]


MEASUREMENTS = Section(title="How well it predicts", make=_blocks)
