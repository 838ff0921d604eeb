"""A plot of a search in plain text: no colours, nothing but ASCII, and so the same in every terminal and file."""

from __future__ import annotations

from collections.abc import Sequence

from mr_ml.catalog.run_log import PassEvent
from mr_ml.reports.drawing import Axis, short

_HEIGHT = 14
_LEAST, _MOST = 20, 72


def convergence(passes: Sequence[PassEvent], *, tolerance: float | None, columns: int) -> list[str]:
    """Return the lines of |gradient| by pass, by logarithms, against the tolerance.

    Parameters
    ----------
    columns
        Of the terminal. Where there are more passes than columns, one of a column is shown, the last.
    """
    numbers, norms = [float(p["number"]) for p in passes], [float(p["gradient_norm"]) for p in passes]
    level = tolerance if tolerance is not None and tolerance > 0 else None
    y = Axis.over([*norms, *([] if level is None else [level])], label="|gradient|", log=True)
    x = Axis(label="pass", low=min(numbers), high=max(max(numbers), min(numbers) + 1))
    labels = {_row(y, tick): short(tick) for tick in y.ticks}
    margin = max(map(len, labels.values()))
    width = min(max(columns - margin - 3, _LEAST), _MOST)
    grid = [[" "] * width for _ in range(_HEIGHT)]
    if level is not None:
        grid[_row(y, level)] = ["-"] * width
    shown = {_place(x, number, width): norm for number, norm in zip(numbers, norms, strict=True)}
    for column, norm in shown.items():
        if norm == norm:
            grid[_row(y, norm)][column] = "*"
    lines = [f"{labels.get(k, ''):>{margin}} |{''.join(row).rstrip()}" for k, row in enumerate(grid)]
    ends = f"{short(numbers[0])} ", f" {short(numbers[-1])}"
    below = f"{ends[0]}{'pass':^{max(width - len(ends[0]) - len(ends[1]), 4)}}{ends[1]}"
    tail = "" if level is None else f"; ---- is the tolerance, {level:g}"
    return [f"|gradient|{tail}", *lines, f"{'':>{margin}} +{'-' * width}", f"{'':>{margin}}  {below}"]


def _row(y: Axis, value: float) -> int:
    """Return the line of a value, 0 at the top; what is 0 or less stands at the bottom."""
    share = y.share(value)
    assert share is not None
    return round((1 - share) * (_HEIGHT - 1))


def _place(x: Axis, value: float, width: int) -> int:
    share = x.share(value)
    assert share is not None
    return round(share * (width - 1))
