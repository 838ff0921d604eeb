"""The Python API of standard errors: use it as ``mr_ml.infer``."""

from __future__ import annotations

from typing import Unpack

from mr_ml.api import Place, Where, session_of
from mr_ml.models.inference import Inference


def infer(root: Place, model: str, *, verify: bool = False, **where: Unpack[Where]) -> Inference:
    """Find how sure the coefficients of a published model are, in one pass over the rows that it was trained on.

    What was found is kept beside the model, and returned at once where somebody asked before.

    Parameters
    ----------
    model
        Name, ``name@version`` or ``name@latest``.
    root, verify, **where
        As of `mr_ml.train`.

    Returns
    -------
    Inference
        Standard errors, tests, intervals and covariances of the coefficients, and `statistics` of the fit.

    Raises
    ------
    UsageError
        If such a model has no standard errors: one with a penalty, or with thousands of coefficients.
    BadDataError
        If this one has none, since its training did not converge, or the data is damaged.

    Examples
    --------
    >>> found = mr_ml.infer(root, "claims-frequency")
    >>> dict(zip(found.features, found.std_errors()))["(intercept)"]
    0.0767876...
    >>> found.statistics.aic
    388.741...
    """
    with session_of(root, where) as session:
        return session.infer(model, verify_bytes=verify)
