"""Pointwise losses, one file each, and the registry of their names.

A loss is stored as its name, or, if it has parameters, as an object with "name" and these. Nothing here loads numpy:
the command line asks for names alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hdfs_layout.registry import Registry
from mr_ml.errors import BadDataError

if TYPE_CHECKING:
    from mr_ml.models.linear.losses.base import Loss

LOSSES: Registry[type[Loss]] = Registry(
    "loss",
    group="mr_ml.losses",
    built_in={
        "logistic": "mr_ml.models.linear.losses.logistic:LogisticLoss",
        "softmax": "mr_ml.models.linear.losses.softmax:SoftmaxLoss",
        "squared": "mr_ml.models.linear.losses.squared:SquaredLoss",
    },
)


def loss_from_json(data: object) -> Loss:
    """Return the loss that `Loss.to_json` wrote.

    Parameters
    ----------
    data
        A name, or an object with "name" and the loss's parameters.

    Raises
    ------
    UsageError
        If there is no loss of that name.
    BadDataError
        If it is neither, or the parameters are not those of the loss.
    """
    parameters = dict(data) if isinstance(data, Mapping) else {}
    name = parameters.pop("name", None) if isinstance(data, Mapping) else data
    if not isinstance(name, str):
        raise BadDataError(f"expected the name of a loss, found {ascii(name)[:60]}")
    return LOSSES.get(name).from_json(parameters)
