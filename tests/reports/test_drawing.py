"""Axes and charts of whatever numbers there are."""

from __future__ import annotations

import itertools
import math
from xml.etree import ElementTree as ET

import pages
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.reports.drawing import Axis, Plot, bar, short
from mr_ml.reports.visible import visible

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(NUMBERS), st.booleans(), st.booleans(), st.booleans())
def test_every_axis_has_places_and_marks(values: list[float], log: bool, whole: bool, zero: bool) -> None:
    axis = Axis.over(values, label="x", log=log, whole=whole and not log, zero=zero and not log)
    assert math.isfinite(axis.low)
    assert math.isfinite(axis.high)
    assert axis.low < axis.high
    for value in values:
        share = axis.share(value)
        assert share is None or 0 <= share <= 1
        assert (share is None) is math.isnan(value)
    ticks = axis.ticks
    assert len(ticks) <= 12
    assert ticks == sorted(set(ticks))
    places = [axis.share(tick) for tick in ticks]
    assert None not in places
    if axis.high - axis.low > 1e-9 * max(abs(axis.low), abs(axis.high)):
        assert ticks


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (1, 7, [2, 4, 6]), (-3, 12, [0, 5, 10]), (0, 0.3, [0, 0.1, 0.2, 0.3])],
)
def test_round_marks(low: float, high: float, ticks: list[float]) -> None:
    assert Axis(label="x", low=low, high=high).ticks == pytest.approx(ticks)


def test_marks_of_logarithms_and_of_whole_numbers() -> None:
    assert Axis.over([2e-7, 0.5, 0.0, math.nan], label="x", log=True).ticks == pytest.approx([1e-6, 1e-4, 1e-2, 1])
    assert Axis.over([1, 2, 3], label="x", whole=True).ticks == [1, 2, 3]
    assert [short(v) for v in (0.0, 1e-4, 0.25, 1000.0, 2.5e6, -1e-12)] == [
        "0",
        "1e-4",
        "0.25",
        "1000",
        "2.5e6",
        "-1e-12",
    ]


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1), NUMBERS, st.text())
def test_every_chart_is_well_formed_and_within_its_box(
    points: list[tuple[float, float]], level: float, name: str
) -> None:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    plot = Plot("p", title=name, description=name, x=Axis.over(xs, label=name), y=Axis.over(ys, label=name, log=True))
    plot.line(xs, ys, dots=True)
    plot.bars(xs, ys)
    plot.level(level, name)
    plot.whisker(xs[0], ys[0], level)
    plot.mark(xs[0], ys[0])
    found = ET.fromstring(plot.drawing().svg)
    for element in found.iter():
        for attribute, limit in (("x", 360), ("y", 236), ("cx", 360), ("cy", 236), ("x1", 360), ("y2", 236)):
            if attribute in element.attrib:
                assert -30 <= float(element.attrib[attribute]) <= limit + 30
    small = ET.fromstring(bar(ys[0], most=abs(level), interval=(level, -level)).svg)
    assert all(0 <= float(one.attrib["width"]) <= 120 for one in small.iter("{http://www.w3.org/2000/svg}rect"))


@given(st.text(st.characters(exclude_categories=[])))
def test_visible_text_can_be_written_and_hides_nothing(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not any(0xD800 <= ord(c) < 0xE000 or ord(c) < 32 or 0x202A <= ord(c) <= 0x202E for c in shown)
    assert visible(shown) == shown


def test_words_stay_as_they_are() -> None:
    for text in ("Zürich <b>", "日本語", "שלום", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "", "👩\u200d🔬"):
        assert visible(text) == text
    assert visible(pages.BIDI) == r"\u202egnp.exe\u2066 \u200b"
    assert visible("a\nb\x00\udcff\ufeff") == r"a\nb\x00\udcff\ufeff"


@pytest.mark.parametrize(
    "ys",
    [
        [1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 2e-6, 1e-9],  # crosses the level near its end, where the name would be
        [1.0, 2e-6, 5e-7, 1e-6, 1e-3, 1e-2, 1e-2, 1e-2],
        [1e-6] * 4 + [1.0] * 4,
        [1e-3, math.nan, 1e-6, 1e-6, 1e-6, math.nan, 1e-2, 1.0],
    ],
)
def test_the_name_of_a_level_is_free_of_the_line(ys: list[float]) -> None:
    """No point of the line, of which a thousand are looked at, is within the box of the text."""
    plot = Plot(
        "x", title="t", description="d", x=Axis.over(range(1, 9), label="x", whole=True),
        y=Axis.over([*ys, 1e-6], label="y", log=True),
    )  # fmt: skip
    plot.line(range(1, 9), ys, dots=True)
    plot.level(1e-6, "tolerance 1e-06")
    svg = ET.fromstring(plot.drawing().svg)
    (text,) = [one for one in svg.iter() if one.get("class") == "level-label"]
    wide = 7.0 * len("tolerance 1e-06")
    left = float(text.attrib["x"]) - wide * {"start": 0, "middle": 0.5, "end": 1}[text.attrib["text-anchor"]]
    foot = float(text.attrib["y"])
    for line in (one for one in svg.iter() if one.get("class") == "line s0"):
        points = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            for k in range(1001):
                x, y = x0 + (x1 - x0) * k / 1000, y0 + (y1 - y0) * k / 1000
                assert not (left <= x <= left + wide and foot - 10 <= y <= foot), (x, y)


def test_bars_stand_on_each_other() -> None:
    """Two parts of 1 and 3 seconds: the second begins where the first ends, and is three times as high."""
    plot = Plot("x", title="t", description="d", x=Axis(label="x", low=0, high=2), y=Axis(label="y", low=0, high=4))
    plot.bars([1.0, 2.0], [1.0, math.nan])
    plot.bars([1.0, 2.0], [4.0, math.nan], series=3, below=[1.0, math.nan])
    first, second = [one.attrib for one in ET.fromstring(plot.drawing().svg).iter() if one.tag.endswith("rect")]
    assert (first["class"], second["class"]) == ("bar s0", "bar s3")
    assert float(second["y"]) + float(second["height"]) == pytest.approx(float(first["y"]), abs=0.02)
    assert float(second["height"]) == pytest.approx(3 * float(first["height"]), abs=0.05)
