"""Charts as SVG, element by element: text is escaped wherever it stands, and colours are the page's.

Nothing has a style attribute, which the page's Content-Security-Policy would refuse: what looks how is said by classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal
from xml.etree import ElementTree as ET

from hdfs_layout.dataclass import dataclass
from mr_ml.reports.visible import visible

WIDTH, HEIGHT = 360.0, 236.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 12.0, 12.0, 40.0
# What is larger stands at the end of its axis, where there is room for round numbers beyond it.
_MOST = 1e300
# Of the letters of a label: width, which is a little more than most have, and height; and the room around it.
_LETTER, _TALL, _AROUND = 7.2, 10.0, 3.5
#: So many series have colours of their own.
SERIES = 10

Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Drawing:
    """A whole SVG element, safe to stand in a page as it is."""

    svg: str

    def __html__(self) -> str:
        """Return markup; the protocol by which templates know what is safe."""
        return self.svg


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis: from `low` to `high`, perhaps by logarithms.

    Attributes
    ----------
    whole
        Whether only whole numbers are marked.
    """

    label: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    @classmethod
    def over(
        cls, values: Iterable[float], *, label: str, log: bool = False, whole: bool = False, zero: bool = False
    ) -> Axis:
        """Return the axis on which all values that are finite (and positive, by logarithms) have a place.

        Parameters
        ----------
        zero
            Whether 0 is on it in any case.
        """
        some = [max(min(v, _MOST), -_MOST) for v in values if math.isfinite(v) and (v > 0 or not log)]
        if log:
            some = [max(v, 1 / _MOST) for v in some]
        if zero:
            some.append(0.0)
        low, high = (min(some), max(some)) if some else (1.0, 10.0) if log else (0.0, 1.0)
        if log:
            low, high = 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high))
            return cls(label=label, low=low, high=high if high > low else low * 10, log=True)
        if whole:
            low, high = float(math.floor(low)), float(math.ceil(high))
        if not high > low:
            room = 1.0 if whole and abs(high) < 1e15 else abs(high) / 10 or 1.0
            low, high = low - room, high + room
        elif not whole:
            room = (high - low) / 25
            low, high = low - room * (low != 0 or not zero), high + room
        return cls(label=label, low=low, high=high, whole=whole)

    def share(self, value: float) -> float | None:
        """Return where a value is, from 0 to 1 and cut off there; None if it has no place."""
        if math.isnan(value):
            return None
        if self.log:
            if not value > 0:
                return 0.0
            found = (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        else:
            # halves, since the difference of two large numbers may overflow
            found = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return min(max(found, 0.0), 1.0)

    @property
    def ticks(self) -> list[float]:
        """Values that are marked: round ones, about five."""
        if self.log:
            least, most = round(math.log10(self.low)), round(math.log10(self.high))
            every = max(1, math.ceil((most - least) / 5))
            return [10.0**k for k in range(least, most + 1) if (k - most) % every == 0]
        step = _round_step((self.high / 2 - self.low / 2) * 2 / 5)
        if self.whole:
            step = max(1.0, 2.0 if step == 2.5 else step)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, first + 12) if k * step <= self.high + 1e-9 * step]


def _round_step(step: float) -> float:
    if not (math.isfinite(step) and step > 0):
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next((m * power for m in (1.0, 2.0, 2.5, 5.0) if m * power >= step * 0.999), 10 * power)


def short(value: float) -> str:
    """Return a number for an axis."""
    if value and not 1e-3 <= abs(value) < 1e5:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        digits = mantissa.rstrip("0").rstrip(".")
        return f"{digits}e{int(exponent)}"
    return f"{value:.6g}"


class Plot:
    """A chart with two axes, to which series are added one after the other.

    Parameters
    ----------
    name
        Unique in the page: of letters, digits and hyphens.
    title, description
        What it shows, for those who do not see it.
    """

    def __init__(self, name: str, *, title: str, description: str, x: Axis, y: Axis) -> None:
        self._x, self._y = x, y
        # what is drawn of lines, as pieces from point to point
        self._drawn: list[tuple[tuple[float, float], tuple[float, float]]] = []
        self._svg = ET.Element(
            "svg", {
                "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "role": "img",
                "class": "plot", "aria-labelledby": f"plot-{name}-title plot-{name}-desc",
            },
        )  # fmt: skip
        self._text("title", title, {"id": f"plot-{name}-title"})
        self._text("desc", description, {"id": f"plot-{name}-desc"})
        self._axes()

    def _text(self, tag: str, text: str, attributes: dict[str, str]) -> None:
        ET.SubElement(self._svg, tag, attributes).text = visible(text)

    def _place(self, x: float, y: float) -> tuple[float, float] | None:
        right, up = self._x.share(x), self._y.share(y)
        if right is None or up is None:
            return None
        return _LEFT + right * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM)

    def _axes(self) -> None:
        low, high = self._x.low, self._y.low
        for value in self._y.ticks:
            at = self._place(low, value)
            assert at is not None
            self._line((_LEFT, at[1]), (WIDTH - _RIGHT, at[1]), "grid")
            self._label(short(value), _LEFT - 6, at[1] + 3.5, "end")
        for value in self._x.ticks:
            at = self._place(value, high)
            assert at is not None
            self._line((at[0], HEIGHT - _BOTTOM), (at[0], HEIGHT - _BOTTOM + 4), "tick")
            self._label(short(value), at[0], HEIGHT - _BOTTOM + 15, "middle")
        self._line((_LEFT, HEIGHT - _BOTTOM), (WIDTH - _RIGHT, HEIGHT - _BOTTOM), "axis")
        self._label(self._x.label, (_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 5, "middle", "axis-label")
        middle = (_TOP + HEIGHT - _BOTTOM) / 2
        self._text(
            "text",
            self._y.label,
            {
                "class": "axis-label",
                "text-anchor": "middle",
                "transform": f"translate(11 {middle:g}) rotate(-90)",
            },
        )

    def _line(self, start: tuple[float, float], end: tuple[float, float], looks: str) -> None:
        ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
        ET.SubElement(self._svg, "line", {"class": looks, **{name: f"{at:.2f}" for name, at in ends.items()}})

    def _label(self, text: str, x: float, y: float, anchor: Anchor, looks: str = "tick-label") -> None:
        self._text("text", text, {"class": looks, "x": f"{x:.2f}", "y": f"{y:.2f}", "text-anchor": anchor})

    def line(
        self, xs: Sequence[float], ys: Sequence[float], *, series: int = 0, looks: str = "", dots: bool = False
    ) -> None:
        """Add a line through points; those without a place are left out, and so is what would join them.

        Parameters
        ----------
        looks
            Another class than that of the series.
        """
        looks = looks or f"line s{series % SERIES}"
        runs: list[list[tuple[float, float]]] = [[]]
        for x, y in zip(xs, ys, strict=True):
            at = self._place(x, y)
            if at is None:
                runs.append([])
            else:
                runs[-1].append(at)
        for run in filter(None, runs):
            self._drawn += zip(run, run[1:] or run, strict=False)
            points = " ".join(f"{x:.2f},{y:.2f}" for x, y in run)
            ET.SubElement(self._svg, "polyline", {"class": looks, "points": points})
        if dots or sum(map(len, runs)) == 1:
            for x, y in (at for run in runs for at in run):
                ET.SubElement(self._svg, "circle", {
                    "class": f"dot s{series % SERIES}", "cx": f"{x:.2f}", "cy": f"{y:.2f}", "r": "2.5",
                })  # fmt: skip

    def level(self, y: float, label: str) -> None:
        """Add a level line with its name, such as a tolerance; the name stands where no line is that was added."""
        at = self._place(self._x.low, y)
        if at is None:
            return
        self._line((_LEFT, at[1]), (WIDTH - _RIGHT, at[1]), "level")
        wide = len(visible(label)) * _LETTER
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        sides: list[tuple[float, Anchor]] = [(WIDTH - _RIGHT - 2, "end"), (_LEFT + 4, "start"), (middle, "middle")]
        feet = [foot for foot in (at[1] - 4, at[1] + 13) if _TOP + _TALL < foot < HEIGHT - _BOTTOM - 2]
        places = [(x, foot, anchor) for x, anchor in sides for foot in feet or [at[1] + 13]]

        def crossed(place: tuple[float, float, Anchor]) -> int:
            x, foot, anchor = place
            left = x - wide * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
            box = left - _AROUND, foot - _TALL - _AROUND, left + wide + _AROUND, foot + _AROUND
            return sum(_crosses(start, end, box) for start, end in self._drawn)

        # the first of those that fewest lines cross
        x, foot, anchor = min(places, key=crossed)
        self._label(label, x, foot, anchor, "level-label")

    def bars(
        self, xs: Sequence[float], ys: Sequence[float], *, series: int = 0, below: Sequence[float] | None = None
    ) -> None:
        """Add bars up to each y, one for each x, as wide as there is room.

        Parameters
        ----------
        below
            Where each begins, as on top of others; by default at the bottom.
        """
        room = (WIDTH - _LEFT - _RIGHT) / max(self._x.high - self._x.low, 1)
        wide = max(min(room * 0.8, 28.0), 0.5)
        for x, low, y in zip(xs, [self._y.low] * len(xs) if below is None else below, ys, strict=True):
            at, foot = self._place(x, y), self._place(x, low)
            if at is not None and foot is not None and foot[1] > at[1]:
                box = {"x": at[0] - wide / 2, "y": at[1], "width": wide, "height": foot[1] - at[1]}
                looks = f"bar s{series % SERIES}"
                ET.SubElement(self._svg, "rect", {"class": looks, **{k: f"{v:.2f}" for k, v in box.items()}})

    def whisker(self, x: float, low: float, high: float) -> None:
        """Add a vertical interval."""
        ends = [self._place(x, low), self._place(x, high)]
        if ends[0] is not None and ends[1] is not None:
            self._line(ends[0], ends[1], "whisker")

    def mark(self, x: float, y: float) -> None:
        """Add a ring around a point, such as the one that was chosen."""
        at = self._place(x, y)
        if at is not None:
            ET.SubElement(self._svg, "circle", {"class": "ring", "cx": f"{at[0]:.2f}", "cy": f"{at[1]:.2f}", "r": "5"})

    def drawing(self) -> Drawing:
        """Return the chart."""
        return _drawing(self._svg)


def _crosses(start: tuple[float, float], end: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    """Whether a piece of a line has a point within a box: left, top, right, bottom (Liang and Barsky 1984)."""
    first, last = 0.0, 1.0
    for at, low, high in ((0, box[0], box[2]), (1, box[1], box[3])):
        way = end[at] - start[at]
        if way == 0:
            if not low <= start[at] <= high:
                return False
            continue
        near, far = sorted(((low - start[at]) / way, (high - start[at]) / way))
        first, last = max(first, near), min(last, far)
    return first <= last


_BAR_WIDTH, _BAR_HEIGHT = 120.0, 14.0


def bar(value: float, *, most: float, interval: tuple[float, float] | None = None) -> Drawing:
    """Return a small bar to the left or right of 0, with its interval; a number beside it says the same aloud.

    Parameters
    ----------
    most
        What reaches to either side.
    """
    svg = ET.Element("svg", {
        "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {_BAR_WIDTH:g} {_BAR_HEIGHT:g}", "class": "spark",
        "aria-hidden": "true",
    })  # fmt: skip

    def at(number: float) -> float:
        share = min(max(number / most, -1.0), 1.0) if most > 0 else 0.0
        return _BAR_WIDTH / 2 * (1 + share)

    if math.isfinite(value):
        left, right = sorted((at(0.0), at(value)))
        looks = "bar up" if value >= 0 else "bar down"
        box = {"x": left, "y": 2.0, "width": max(right - left, 0.5), "height": _BAR_HEIGHT - 4}
        ET.SubElement(svg, "rect", {"class": looks, **{k: f"{v:.2f}" for k, v in box.items()}})
    if interval is not None and all(map(math.isfinite, interval)):
        low, high = map(at, interval)
        middle = f"{_BAR_HEIGHT / 2:g}"
        ends = {"x1": f"{low:.2f}", "x2": f"{high:.2f}", "y1": middle, "y2": middle}
        ET.SubElement(svg, "line", {"class": "whisker", **ends})
    zero = f"{_BAR_WIDTH / 2:g}"
    ET.SubElement(svg, "line", {"class": "axis", "x1": zero, "x2": zero, "y1": "0", "y2": f"{_BAR_HEIGHT:g}"})
    return _drawing(svg)


def _drawing(svg: ET.Element) -> Drawing:
    return Drawing(ET.tostring(svg, encoding="unicode", short_empty_elements=False))
