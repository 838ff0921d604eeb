"""What columns add to the margins, in a graph of ONNX: (n_rows, n_margins) each. What refuses a row is NaN.

Plain numbers are one product, however many there are. Codes are looked up, or counted by comparisons, and what a row
adds is gathered at its code. A part of the calendar is whole numbers of 64 bits, where the column holds numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mr_ml.errors import UsageError
from mr_ml.exports import calendar
from mr_ml.exports.base import Subject
from mr_ml.exports.onnx_graph import Graph
from mr_ml.readers.terms import Calendar, Category, Chosen, Combination, Days, Interval, Measured, Moment, Number
from mr_ml.readers.transforms.alone import without_fraction

_OPERATORS = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "%": "Mod"}


class OnnxTerms:
    """See `mr_ml.readers.terms.Adder`, and `Words`: numbers are (n_rows, 1), NaN for none, codes int64 (n_rows,)."""

    def __init__(self, subject: Subject, graph: Graph) -> None:
        self._subject, self._graph = subject, graph
        self._measured: list[tuple[Measured, str]] = []
        self._checked: dict[str, str] = {}

    def all(self) -> Iterator[str]:
        """Yield what all terms add."""
        for term in self._subject.terms:
            yield from term.added_by(self)
        if self._measured:
            yield from self._numbers()
        # what is not finite, and no missing value, makes the row NaN
        yield from self._checked.values()

    def measured(self, term: Measured) -> list[str]:
        """Keep a number for the product of all."""
        self._measured.append((term, term.number.said_by(self)))
        return []

    def chosen(self, term: Chosen) -> list[str]:
        """Return what a code adds."""
        code = term.code.said_by(self)
        return [self._graph.op("Gather", self._graph.constant(self._subject.outcomes(term).T), code, axis=0)]

    def _numbers(self) -> Iterator[str]:
        graph, terms = self._graph, [term for term, _ in self._measured]
        x = graph.op("Concat", *(name for _, name in self._measured), axis=1)
        fills = np.array([np.nan if term.fill is None else term.fill for term in terms])
        if not np.isnan(fills).all():
            x = graph.op("Where", graph.op("IsNaN", x), graph.constant(fills[None]), x)
        centres = np.array([self._subject.centre(term.feature) for term in terms])
        weights = np.array([self._subject.weights(term.feature) for term in terms])
        yield from linear(graph, x, centres, weights)

    def number(self, said: Number) -> str:
        """See `Words.number`."""
        return said.column

    def interval(self, said: Interval) -> str:
        """See `Words.interval`."""
        graph, x = self._graph, said.of.said_by(self)
        is_none = self._is_none(x)
        if not said.edges:
            return graph.as_integer(is_none)
        reached = graph.op("GreaterOrEqual", x, graph.constant(np.array(said.edges)[None]))
        codes = graph.as_integer(reached)
        code = graph.op("ReduceSum", codes, graph.constant(np.array([1], np.int64)), keepdims=0)
        return graph.op("Where", is_none, graph.constant(np.array(said.n, np.int64)), code)

    def _is_none(self, x: str) -> str:
        """Return whether a number is NaN, (n_rows,), once it is seen to that the row is NaN where it is infinite."""
        graph = self._graph
        is_none = graph.op("IsNaN", x)
        if x not in self._checked:
            finite = graph.op("Where", is_none, graph.constant(np.zeros((1, 1))), x)
            self._checked[x] = graph.op("Sub", finite, finite)
        return self._flat(is_none)

    def combination(self, said: Combination) -> str:
        """See `Words.combination`."""
        graph = self._graph
        codes = [
            graph.op("Mul", one.said_by(self), graph.constant(np.array(stride, np.int64)))
            for one, stride in zip(said.of, said.strides, strict=True)
        ]
        return graph.sum(codes)

    def category(self, said: Category) -> str:
        """See `Words.category`."""
        graph, n = self._graph, said.n
        codes = {category: code for code, category in enumerate(said.known)}
        for text in self._subject.inputs.missing_texts:
            codes.setdefault(text, n)
        if said.whole:
            for category, code in list(codes.items())[:n]:
                for spelled in _spellings(without_fraction(category)):
                    codes.setdefault(spelled, code)
        texts = self._flat(said.column)
        return graph.op(
            "LabelEncoder", texts, domain="ai.onnx.ml", keys_strings=list(codes), values_int64s=list(codes.values()),
            default_int64=n + 1,
        )  # fmt: skip

    def calendar(self, said: Calendar) -> str:
        """See `Words.calendar`."""
        code, is_none = self._part(said.of, said.part)
        return self._graph.op("Where", is_none, self._graph.constant(np.array(said.n, np.int64)), code)

    def days(self, said: Days) -> str:
        """See `Words.days`."""
        graph = self._graph
        found, is_none = self._part(said.of, "seconds" if said.part == "days" else said.part)
        number = graph.as_double(found)
        if said.part == "days":
            number = graph.op("Div", graph.plus(number, -86_400.0 * said.since), graph.constant(86_400.0))
        number = graph.op("Where", is_none, graph.constant(np.nan), number)
        return self._upright(number)

    def _part(self, moment: Moment, part: str) -> tuple[str, str]:
        """Return a part, int64 (n_rows,), and where there is no value, (n_rows,)."""
        if moment.in_second is None:
            raise UsageError(
                f"expected columns that the export onnx can say, found dates that are texts: {moment.column!a}; ONNX "
                "has no operators to read these: export as json, python or sql, or pack them as seconds since 1970, "
                "`format: unix`"
            )
        is_none = self._is_none(moment.column)
        graph, x = self._graph, self._flat(moment.column)
        whole = graph.op("Floor", graph.op("Div", x, graph.constant(float(moment.in_second))))
        first, last = (graph.constant(float(bound)) for bound in (calendar.FIRST, calendar.LAST))
        inside = graph.op("And", graph.op("GreaterOrEqual", whole, first), graph.op("Less", whole, last))
        outside = graph.op("Where", graph.op("Or", inside, is_none), graph.constant(0.0), graph.constant(np.nan))
        self._checked[f"a moment in {moment.column}"] = self._upright(outside)
        seconds = graph.as_integer(graph.op("Where", inside, whole, graph.constant(0.0)))
        if part != "seconds":
            seconds = self.do("+", seconds, -calendar.FIRST)
            return calendar.part_of(seconds, part, self), is_none
        return seconds, is_none

    def _flat(self, x: str) -> str:
        return self._graph.op("Reshape", x, self._graph.constant(np.array([-1], np.int64)))

    def _upright(self, x: str) -> str:
        return self._graph.op("Reshape", x, self._graph.constant(np.array([-1, 1], np.int64)))

    def do(self, operation: str, a: str, b: str | int) -> str:
        """See `mr_ml.exports.calendar.Arithmetic`."""
        other = self._graph.constant(np.array(b, np.int64)) if isinstance(b, int) else b
        return self._graph.op(_OPERATORS[operation], a, other)

    def reaches(self, a: str, b: int) -> str:
        """See `mr_ml.exports.calendar.Arithmetic`."""
        graph = self._graph
        return graph.as_integer(graph.op("GreaterOrEqual", a, graph.constant(np.array(b, np.int64))))


def linear(graph: Graph, x: str, centres: Any, weights: Any) -> Iterator[str]:
    """Yield (x - centres) weights, and what makes rows NaN that are not finite."""
    left = graph.op("Sub", x, graph.constant(centres[None])) if centres.any() else x
    yield graph.op("MatMul", left, graph.constant(np.ascontiguousarray(weights)))
    yield graph.op("ReduceSum", graph.op("Sub", x, x), graph.constant(np.array([1], np.int64)), keepdims=1)


def _spellings(whole: str) -> Iterator[str]:
    """Yield how tables spell a whole number."""
    signed = [whole, f"+{whole}", *(["-0"] if whole == "0" else [])]
    for text in signed:
        yield from (text, f"{text}.", f"{text}.0")
