"""How two models differ in their parameters, by the names of features and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hdfs_layout.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Change:
    """A parameter of both models: of a feature (None: the intercept) and an output, in the first and the second."""

    feature: str | None
    output: str
    values: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How a second model differs from a first one.

    Attributes
    ----------
    n_only
        How many features have coefficients in the first, and in the second, alone.
    only
        Some of these, those with the largest coefficients first.
    outputs_only
        Outputs of the first, and of the second, alone.
    intercepts
        Of all outputs that both have.
    coefficients
        Of the features that both have, those that differ most; for each all outputs that both have.
    """

    n_only: tuple[int, int]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    outputs_only: tuple[tuple[str, ...], tuple[str, ...]]
    intercepts: tuple[Change, ...]
    coefficients: tuple[Change, ...]

    def to_json(self) -> Mapping[str, Any]:
        """Return plain JSON."""
        changes = {name: [vars(change) for change in vars(self)[name]] for name in ("intercepts", "coefficients")}
        return {**vars(self), **changes}
