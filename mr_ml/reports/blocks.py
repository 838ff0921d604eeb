"""What sections are made of: plain values, which the page shows. Texts may be hostile; the page escapes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import ClassVar, Literal

from hdfs_layout.dataclass import dataclass
from mr_ml.reports.drawing import Drawing

Cell = str | Drawing


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """A paragraph, and a command that follows from it, if there is one."""

    template: ClassVar[str] = "paragraph"

    text: str
    command: str | None = None


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A sentence that must not be missed; `tone` says how bad it is."""

    template: ClassVar[str] = "notice"

    text: str
    tone: Literal["good", "caution", "bad"]


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A heading within a section."""

    template: ClassVar[str] = "heading"

    text: str


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Names and what they are."""

    template: ClassVar[str] = "terms"

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """Names of numbers, and these, side by side."""

    template: ClassVar[str] = "tiles"

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; of its columns the first is to the left, and so are those of `left`.

    Attributes
    ----------
    caption
        What it is of.
    folded
        Whether it is shown only when somebody opens it, as the numbers of a chart are.
    heavy
        Rows that stand out, by number.
    """

    template: ClassVar[str] = "table"

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    left: Sequence[int] = (0,)
    folded: bool = False
    heavy: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawing with what is to be read beside it.

    Attributes
    ----------
    legend
        Name of each series in it, by its number; empty where there is one.
    """

    template: ClassVar[str] = "chart"

    drawing: Drawing
    caption: str
    legend: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True, kw_only=True)
class Charts:
    """Charts side by side where there is room."""

    template: ClassVar[str] = "charts"

    charts: Sequence[Chart] = field(default_factory=tuple)


Block = Paragraph | Notice | Heading | Terms | Tiles | Table | Chart | Charts
