"""What a model computes of a row, for those who compute it elsewhere: see `mr_ml.exports`.

    z_k = intercept_k + offset + sum_j coefficient_kj (x_j - centre_j)           k = 1..n_margins
    values = response(z)        one number, or one for each class, of which the largest is predicted

A model kind says it by `mr_ml.models.base.Model.formula`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from hdfs_layout.dataclass import dataclass

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Response(Enum):
    """What is made of the margins z of a row. Those of two classes have one margin, which speaks for the second class.

    Exports write each of these; a loss whose response is none of them cannot be exported.
    """

    IDENTITY = "identity"
    """z"""
    EXP = "exp"
    """e^z"""
    RECIPROCAL = "reciprocal"
    """1 / z where z > 0, else infinite"""
    RECIPROCAL_ROOT = "reciprocal_root"
    """1 / sqrt(z) where z > 0, else infinite"""
    SIGMOID = "sigmoid"
    """1 / (1 + e^z) and 1 / (1 + e^-z)"""
    NORMAL = "normal"
    """Phi(-z) and Phi(z), Phi being the distribution of a standard normal variable"""
    CLOGLOG = "complementary_log_log"
    """e^-a and 1 - e^-a, a = e^z"""
    SIDES = "sides"
    """-z and z: how far on the side of each class"""
    SOFTMAX = "normalised_exponentials"
    """e^(z_k) / sum_j e^(z_j)"""

    @property
    def of_classes(self) -> bool:
        """Whether there is a value for each class."""
        return self in (Response.SIGMOID, Response.NORMAL, Response.CLOGLOG, Response.SIDES, Response.SOFTMAX)

    @property
    def is_probability(self) -> bool:
        """Whether the values are probabilities of classes."""
        return self.of_classes and self is not Response.SIDES


@dataclass(frozen=True, eq=False, kw_only=True)
class Formula:
    """A model's computation; see the module.

    Attributes
    ----------
    response
        What is made of the margins.
    features : int64 (n,)
        Which features, counted from 0 and ascending, have coefficients; all others count for nothing.
    coefficients
        (n_margins, n)
    intercepts
        (n_margins,)
    centres
        (n,), 0 where nothing is taken off.
    """

    response: Response
    features: NDArray[np.int64]
    coefficients: Floats
    intercepts: Floats
    centres: Floats
