"""What is made of margins, in SQL: expressions of columns that hold the margins. A margin that is NULL gives NULL."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mr_ml.exports.sql_dialects import Dialect
from mr_ml.models.formula import Response
from mr_ml.models.linear.losses.special import P_MIDDLE, P_SMALL, Q_MIDDLE, Q_SMALL

# beyond it e^x is no number
_MOST = "709.782712893384e0"


def values_of(response: Response, margins: Sequence[str], dialect: Dialect) -> list[str]:
    """Return an expression for each value of a row.

    Parameters
    ----------
    margins
        Names of columns, in quotes.
    """
    if response is Response.SOFTMAX:
        # beyond e^600 the rest is nothing
        return [
            "1e0 / (" + " + ".join(f"exp({_at_most(f'{other} - {own}', '600e0')})" for other in margins) + ")"
            for own in margins
        ]
    return _OF_ONE[response](margins[0], dialect)


def _at_most(value: str, bound: str) -> str:
    # LEAST would take the bound where the value is NULL
    return f"CASE WHEN {value} > {bound} THEN {bound} ELSE {value} END"


def _exp(z: str, dialect: Dialect) -> list[str]:
    return [f"CASE WHEN {z} > {_MOST} THEN {dialect.infinity} ELSE exp({z}) END"]


def _positive(value: str) -> Callable[[str, Dialect], list[str]]:
    def values(z: str, dialect: Dialect) -> list[str]:
        return [f"CASE WHEN {z} > 0e0 THEN {value.format(z=z)} WHEN {z} <= 0e0 THEN {dialect.infinity} END"]

    return values


def _two(z: str, smaller: str, larger: str) -> list[str]:
    """Return the values of two classes by those of the less likely and of the likelier one."""
    return [
        f"CASE WHEN {z} > 0e0 THEN {smaller} ELSE {larger} END",
        f"CASE WHEN {z} > 0e0 THEN {larger} ELSE {smaller} END",
    ]


def _sigmoid(z: str, dialect: Dialect) -> list[str]:
    e = f"exp(-abs({z}))"
    return _two(z, f"{e} / (1e0 + {e})", f"1e0 / (1e0 + {e})")


def _normal(z: str, dialect: Dialect) -> list[str]:
    x = f"abs({z})"
    u = f"({x} * {dialect.number(0.5**0.5)})"
    square = f"({u} * {u})"
    numerator, denominator = (_polynomial(terms, square, dialect) for terms in (P_SMALL, Q_SMALL))
    small = f"(1e0 - {u} * ({numerator}) / ({denominator}))"
    numerator, denominator = (_polynomial(terms, u, dialect) for terms in (P_MIDDLE, Q_MIDDLE))
    middle = f"(exp(-{square}) * ({numerator}) / ({denominator}))"
    fraction = x
    for n in range(dialect.fraction_terms, 0, -1):
        fraction = f"({x} + {n}e0 / {fraction})"
    far = f"({dialect.number((2 / 3.141592653589793) ** 0.5)} * exp(-{square}) / {fraction})"
    twice = f"CASE WHEN {u} <= 0.46875e0 THEN {small} WHEN {u} <= 4e0 THEN {middle} ELSE {far} END"
    tail = f"(0.5e0 * ({twice}))"
    return _two(z, tail, f"(1e0 - {tail})")


def _cloglog(z: str, dialect: Dialect) -> list[str]:
    a = f"exp({_at_most(z, '709e0')})"
    series = f"{a} * (1e0 - {a} / 2e0 * (1e0 - {a} / 3e0 * (1e0 - {a} / 4e0 * (1e0 - {a} / 5e0))))"
    return [f"exp(-{a})", f"CASE WHEN {z} < -7e0 THEN {series} ELSE 1e0 - exp(-{a}) END"]


def _polynomial(coefficients: Sequence[float], x: str, dialect: Dialect) -> str:
    total = dialect.number(coefficients[0])
    for coefficient in coefficients[1:]:
        total = f"({total} * {x} + {dialect.number(coefficient)})"
    return total


_OF_ONE: dict[Response, Callable[[str, Dialect], list[str]]] = {
    Response.IDENTITY: lambda z, dialect: [z],
    Response.EXP: _exp,
    Response.RECIPROCAL: _positive("1e0 / {z}"),
    Response.RECIPROCAL_ROOT: _positive("1e0 / sqrt({z})"),
    Response.SIGMOID: _sigmoid,
    Response.NORMAL: _normal,
    Response.CLOGLOG: _cloglog,
    Response.SIDES: lambda z, dialect: [f"-{z}", z],
}
