"""The pictures of docs/benchmarks.md, as SVG beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
# the same file for the same results
_SETTINGS = {"svg.hashsalt": "mr_ml", "svg.fonttype": "none", "font.size": 9, "figure.constrained_layout.use": True}
mpl.rcParams.update(_SETTINGS)

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.ticker import ScalarFormatter  # noqa: E402

Result = dict[str, Any]
OURS = ("mr-ml, packed", "mr-ml, cold")


def draw(results: Result, folder: Path) -> dict[str, list[str]]:
    """Write what the results allow; file names by part."""
    folder.mkdir(parents=True, exist_ok=True)
    names: dict[str, list[str]] = {}

    def save(part: str, name: str, plot: Callable[[Any], None], size: tuple[float, float]) -> None:
        figure, axes = plt.subplots(figsize=size)
        plot(axes)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)
        names.setdefault(part, []).append(f"{name}.svg")

    for kind, found in results.get("gap", {}).get("found", {}).items():
        save("gap", f"gap-{kind}", partial(_gap, rows=found["rows"]), (7, 3.4))
        save("gap", f"memory-{kind}", partial(_memory, rows=found["rows"]), (7, 2.6))
    if "pass" in results:
        save("pass", "phases", lambda axes: _phases(axes, results["pass"]["found"]), (7, 2.2))
    if "scaling" in results:
        save("scaling", "scaling", lambda axes: _scaling(axes, results["scaling"]["found"]["rows"]), (7, 3))
    return names


def _gap(axes: Any, rows: list[Result]) -> None:
    reached = [row for row in rows if row["stop"] is not None]
    for program in dict.fromkeys(row["program"] for row in reached):
        mine = [row for row in reached if row["program"] == program]
        axes.plot(
            [row["wall"] for row in mine], [float(row["gap"]) for row in mine], marker="o", markersize=4,
            linewidth=2.4 if program in OURS else 1, linestyle="-" if program in OURS else "--", label=program,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="seconds, whole process", ylabel="relative gap")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(ScalarFormatter())
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _memory(axes: Any, rows: list[Result]) -> None:
    mine = [row for row in rows if row["stop"] is not None and row["gap"] == "0.001"]
    bars = axes.barh([row["program"] for row in mine], [row["peak_bytes"] / 1e6 for row in mine])
    for bar, row in zip(bars, mine, strict=True):
        bar.set_color("C0" if row["program"] in OURS else "C7")
    axes.set(xlabel="peak memory to a gap of 1e-3, MB")
    axes.invert_yaxis()


def _phases(axes: Any, found: Result) -> None:
    kinds = list(found)
    left = [0.0] * len(kinds)
    for name in next(iter(found.values()))["phases"]:
        widths = [found[kind]["phases"][name] for kind in kinds]
        axes.barh(kinds, widths, left=left, label=name)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set(xlabel="seconds of a cold run, text to published model")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.3), ncols=5, frameon=False)


def _scaling(axes: Any, rows: list[Result]) -> None:
    n = [row["rows"] for row in rows]
    for name, key in (("pack", "pack_wall"), ("pass", "pass")):
        seconds = [row[key] for row in rows]
        (line,) = axes.plot(n, seconds, marker="o", label=name)
        middle = len(n) // 2
        straight = [seconds[middle] * x / n[middle] for x in n]
        axes.plot(n, straight, linestyle=":", color=line.get_color(), label=f"{name}, if proportional to rows")
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="seconds")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(frameon=False)
