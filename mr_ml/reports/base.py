"""Section: a part of a report, made of the facts that it is about.

A section is a file in `sections`, or another package, and one line in `SECTIONS`, or an entry point of the group
``mr_ml.report_sections``. It returns blocks (`mr_ml.reports.blocks`), which are plain values: how they look, and that
nothing in them can do any harm, is the page's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hdfs_layout.dataclass import dataclass
from hdfs_layout.registry import Registry
from mr_ml.reports.blocks import Block
from mr_ml.reports.facts import Facts


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a report.

    Attributes
    ----------
    title
        Its heading, in a few words.
    make
        Returns what it says of the facts; nothing where it has nothing to say, and then it is left out. Where something
        could be there that is not kept, it says so, and which command makes it. It raises nothing: what could not be
        read is None among the facts.
    """

    title: str
    make: Callable[[Facts], Iterable[Block]]


SECTIONS: Registry[Section] = Registry(
    "section of a report",
    group="mr_ml.report_sections",
    built_in={
        "cautions": "mr_ml.reports.sections.cautions:CAUTIONS",
        "made-of": "mr_ml.reports.sections.made_of:MADE_OF",
        "convergence": "mr_ml.reports.sections.convergence:CONVERGENCE",
        "measurements": "mr_ml.reports.sections.measurements:MEASUREMENTS",
        "coefficients": "mr_ml.reports.sections.coefficients:COEFFICIENTS",
        "candidates": "mr_ml.reports.sections.candidates:CANDIDATES",
        "decision-of-the-gate": "mr_ml.reports.sections.decision:DECISION",
        "moved-rows": "mr_ml.reports.sections.moved:MOVED",
        "times": "mr_ml.reports.sections.times:TIMES",
        "choices-made": "mr_ml.reports.sections.choices:CHOICES",
    },
)
"""Name -> section, in the order in which they stand on the page."""
