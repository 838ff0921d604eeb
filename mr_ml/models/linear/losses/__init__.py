"""Pointwise losses, one file each, and the registry of their names.

Users write a loss as its name, or with parameters as ``name:parameter=value,parameter=value``. In queries and models it
is stored as its name, or, if it has parameters, as an object with "name" and these. Nothing here loads numpy: the
command line asks for names alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hdfs_layout.registry import Registry
from mr_ml.errors import BadDataError, UsageError

if TYPE_CHECKING:
    from mr_ml.models.linear.losses.base import Loss

LOSSES: Registry[type[Loss]] = Registry(
    "loss",
    group="mr_ml.losses",
    built_in={
        "logistic": "mr_ml.models.linear.losses.logistic:LogisticLoss",
        "softmax": "mr_ml.models.linear.losses.softmax:SoftmaxLoss",
        "squared": "mr_ml.models.linear.losses.squared:SquaredLoss",
        "poisson": "mr_ml.models.linear.losses.poisson:PoissonLoss",
        "gamma": "mr_ml.models.linear.losses.gamma:GammaLoss",
        "inverse_gaussian": "mr_ml.models.linear.losses.inverse_gaussian:InverseGaussianLoss",
        "tweedie": "mr_ml.models.linear.losses.tweedie:TweedieLoss",
        "negative_binomial": "mr_ml.models.linear.losses.negative_binomial:NegativeBinomialLoss",
        "huber": "mr_ml.models.linear.losses.huber:HuberLoss",
        "quantile": "mr_ml.models.linear.losses.quantile:QuantileLoss",
        "probit": "mr_ml.models.linear.losses.probit:ProbitLoss",
        "cloglog": "mr_ml.models.linear.losses.cloglog:CloglogLoss",
        "squared_hinge": "mr_ml.models.linear.losses.squared_hinge:SquaredHingeLoss",
    },
)

# Of the built-in losses that have some, as users write them.
PARAMETERS: Mapping[str, str] = {
    "gamma": "link=log|inverse",
    "tweedie": "power=P",
    "negative_binomial": "theta=T",
    "huber": "delta=D",
    "quantile": "width=W,level=Q",
}


def name_in(text: str) -> str:
    """Return the name of the loss that a user wrote."""
    return text.partition(":")[0]


def loss_from_text(text: str) -> Loss:
    """Return the loss that a user wrote.

    Parameters
    ----------
    text
        ``name`` or ``name:parameter=value,parameter=value``.

    Raises
    ------
    UsageError
        If there is no loss of that name, or the parameters are not those of the loss.
    """
    name, colon, rest = text.partition(":")
    kind = LOSSES.get(name)
    given: dict[str, str] = {}
    for item in rest.split(",") if colon else ():
        parameter, equals, value = (part.strip() for part in item.partition("="))
        if not (parameter and equals and value) or parameter in given:
            raise UsageError(
                f"`loss`: expected NAME or NAME:PARAMETER=VALUE,... with each parameter once, found {ascii(text)[:80]}"
            )
        given[parameter] = value
    return kind.from_text(given)


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
