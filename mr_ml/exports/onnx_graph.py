"""Building a graph of ONNX in doubles: operators, constants, and what is made of margins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.models.formula import Response
from mr_ml.models.linear.losses.special import P_MIDDLE, P_SMALL, Q_MIDDLE, Q_SMALL

# Pinned: runtimes since 2022 read these.
IR_VERSION = 8
OPSETS = {"": 15, "ai.onnx.ml": 2}

_TERMS = 14


class Graph:
    """Nodes and constants, with names of their own.

    Parameters
    ----------
    taken
        Names that are none of its own.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def free(self, name: str) -> str:
        """Return a name that nothing has yet: that one, or with underscores behind."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", to: str | None = None, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        from onnx import helper

        output = self.free(f"mr_ml_{len(self.nodes)}") if to is None else to
        self.nodes.append(helper.make_node(kind, list(inputs), [output], domain=domain, **attributes))
        return output

    def as_integer(self, a: str) -> str:
        """Return a tensor as whole numbers of 64 bits."""
        return self._cast(a, "INT64")

    def as_double(self, a: str) -> str:
        """Return a tensor as doubles."""
        return self._cast(a, "DOUBLE")

    def _cast(self, a: str, kind: str) -> str:
        from onnx import TensorProto, helper

        output = self.free(f"mr_ml_{len(self.nodes)}")
        self.nodes.append(helper.make_node("Cast", [a], [output], to=TensorProto.DataType.Value(kind)))
        return output

    def constant(self, value: Any) -> str:
        """Add an array, or a number, which becomes a double; returns its name."""
        from onnx import TensorProto, helper, numpy_helper

        name = self.free(f"mr_ml_c{len(self.constants)}")
        if isinstance(value, list):
            tensor = helper.make_tensor(name, TensorProto.STRING, [len(value)], [text.encode() for text in value])
        else:
            array: NDArray[Any] = np.asarray(value)
            kept = array if array.dtype.kind == "i" else array.astype(np.float64)
            tensor = numpy_helper.from_array(kept, name)
        self.constants.append(tensor)
        return name

    def sum(self, terms: Sequence[str]) -> str:
        """Return the sum of some tensors."""
        total = terms[0]
        for term in terms[1:]:
            total = self.op("Add", total, term)
        return total

    def plus(self, a: str, number: float) -> str:
        """Return a tensor plus a number."""
        return self.op("Add", a, self.constant(number))

    def times(self, a: str, number: float) -> str:
        """Return a tensor times a number."""
        return self.op("Mul", a, self.constant(number))

    def above(self, a: str, number: float) -> str:
        """Return where a tensor is larger than a number; nowhere where it is NaN."""
        return self.op("Greater", a, self.constant(number))


def values_of(response: Response, graph: Graph, z: str) -> str:
    """Return the values (n_rows, n) of margins z (n_rows, n_margins). What is NaN stays NaN."""
    return _OF[response](graph, z)


def _two(graph: Graph, z: str, smaller: str, larger: str) -> str:
    """Return the values of two classes by those of the less likely and of the likelier one."""
    second = graph.above(z, 0.0)
    first = graph.op("Where", second, smaller, larger), graph.op("Where", second, larger, smaller)
    return graph.op("Concat", *first, axis=1)


def _sigmoid(graph: Graph, z: str) -> str:
    e = graph.op("Exp", graph.op("Neg", graph.op("Abs", z)))
    larger = graph.op("Div", graph.constant(1.0), graph.plus(e, 1.0))
    return _two(graph, z, graph.op("Mul", e, larger), larger)


def _normal(graph: Graph, z: str) -> str:
    x = graph.op("Abs", z)
    u = graph.times(x, 0.5**0.5)
    square = graph.op("Mul", u, u)
    e = graph.op("Exp", graph.op("Neg", square))
    erf = graph.op("Mul", u, _ratio(graph, P_SMALL, Q_SMALL, square))
    small = graph.plus(graph.op("Neg", erf), 1.0)
    middle = graph.op("Mul", e, _ratio(graph, P_MIDDLE, Q_MIDDLE, u))
    fraction = x
    for n in range(_TERMS, 0, -1):
        fraction = graph.op("Add", x, graph.op("Div", graph.constant(float(n)), fraction))
    far = graph.op("Div", graph.times(e, (2 / np.pi) ** 0.5), fraction)
    twice = graph.op("Where", graph.above(u, 0.46875), graph.op("Where", graph.above(u, 4.0), far, middle), small)
    tail = graph.times(twice, 0.5)
    return _two(graph, z, tail, graph.plus(graph.op("Neg", tail), 1.0))


def _ratio(graph: Graph, numerator: Sequence[float], denominator: Sequence[float], x: str) -> str:
    return graph.op("Div", _polynomial(graph, numerator, x), _polynomial(graph, denominator, x))


def _polynomial(graph: Graph, coefficients: Sequence[float], x: str) -> str:
    total = graph.constant(coefficients[0])
    for coefficient in coefficients[1:]:
        total = graph.plus(graph.op("Mul", total, x), coefficient)
    return total


def _cloglog(graph: Graph, z: str) -> str:
    a = graph.op("Exp", graph.op("Where", graph.above(z, 709.0), graph.constant(709.0), z))
    first = graph.op("Exp", graph.op("Neg", a))
    # 1 - e^-a where that cancels: a (1 - a/2 (1 - a/3 (1 - a/4 (1 - a/5))))
    series = graph.constant(1.0)
    for n in (5, 4, 3, 2):
        series = graph.plus(graph.op("Neg", graph.op("Mul", graph.times(a, 1 / n), series)), 1.0)
    direct = graph.plus(graph.op("Neg", first), 1.0)
    second = graph.op("Where", graph.above(z, -7.0), direct, graph.op("Mul", a, series))
    return graph.op("Concat", first, second, axis=1)


def _positive(reciprocal: Callable[[Graph, str], str]) -> Callable[[Graph, str], str]:
    def values(graph: Graph, z: str) -> str:
        nothing = graph.op("LessOrEqual", z, graph.constant(0.0))
        return graph.op("Where", nothing, graph.constant(np.inf), reciprocal(graph, z))

    return values


def _one_over(graph: Graph, z: str) -> str:
    return graph.op("Div", graph.constant(1.0), z)


_OF: dict[Response, Callable[[Graph, str], str]] = {
    Response.IDENTITY: lambda graph, z: z,
    Response.EXP: lambda graph, z: graph.op("Exp", z),
    Response.RECIPROCAL: _positive(_one_over),
    Response.RECIPROCAL_ROOT: _positive(lambda graph, z: _one_over(graph, graph.op("Sqrt", z))),
    Response.SIGMOID: _sigmoid,
    Response.NORMAL: _normal,
    Response.CLOGLOG: _cloglog,
    Response.SIDES: lambda graph, z: graph.op("Concat", graph.op("Neg", z), z, axis=1),
    Response.SOFTMAX: lambda graph, z: graph.op("Softmax", z, axis=1),
}
