"""How much a feature moves what a model predicts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Strength:
    """A coefficient of one feature.

    Attributes
    ----------
    output
        What it is a coefficient of: a class, or "coef" where there is one output.
    feature
        Its name.
    coefficient
        For a unit of the feature.
    deviation
        The standard deviation of the feature in the rows that the model was trained on; None where it is not known.
    """

    output: str
    feature: str
    coefficient: float
    deviation: float | None

    @property
    def standardised(self) -> float | None:
        """What one standard deviation of the feature changes; None where that is not known."""
        return None if self.deviation is None else self.coefficient * self.deviation
