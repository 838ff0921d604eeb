"""The Python API of measuring models: ``mr_ml.evaluate``, ``evaluate_several``, ``compare`` and ``infer``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

from mr_ml.catalog.evaluations import save_evaluation
from mr_ml.data import stored
from mr_ml.models.base import Model
from mr_ml.models.inference import Inference
from mr_ml.models.metric_choices import MetricChoices
from mr_ml.where import Place, Where, session_of


def evaluate(
    root: Place,
    model: str | Model,
    dataset: str,
    *,
    split: str = "test",
    row_weights: bool = True,
    unseen_features: Literal["error", "ignore"] = "error",
    by: str | None = None,
    threshold: Sequence[float] = (),
    at_precision: Sequence[float] = (),
    at_recall: Sequence[float] = (),
    details: bool = False,
    save: bool = False,
    verify: bool = False,
    **where: Unpack[Where],
) -> dict[str, Any]:
    """Measure a model on a dataset's split, in one pass.

    Parameters
    ----------
    model
        Name, ``name@version``, ``name@latest``, or what `load_model` returned.
    row_weights
        Whether the dataset's row weights count, if it has any.
    unseen_features
        Whether features that a model does not know are an error or ignored; then features are known by name, and those
        that the dataset lacks are 0.
    by
        A column of categories, or a feature, by which groups of rows are measured too.
    threshold, at_precision, at_recall, details
        See `mr_ml.models.metric_choices.MetricChoices`.
    save
        Whether what is found is kept beside the published model; then `details` are told too.
    root, dataset, split, verify, **where
        As of `train`.

    Returns
    -------
    dict
        Metrics by name, as ``mr-ml evaluate --json`` has them.

    Raises
    ------
    UsageError
        If what is asked for cannot be told of such models, or such a dataset.
    BadDataError
        If features or labels of the dataset are not those that a model knows, or the data is damaged.

    Examples
    --------
    >>> found = mr_ml.evaluate(root, "iris-softmax", "iris", split="test")
    >>> found["accuracy"] > 0.8
    True
    """
    return evaluate_several(
        root, [model], dataset, split=split, row_weights=row_weights, unseen_features=unseen_features, by=by,
        threshold=threshold, at_precision=at_precision, at_recall=at_recall, details=details, save=save, verify=verify,
        **where,
    )[0]  # fmt: skip


def evaluate_several(
    root: Place,
    models: Sequence[str | Model],
    dataset: str,
    *,
    split: str = "test",
    row_weights: bool = True,
    unseen_features: Literal["error", "ignore"] = "error",
    by: str | None = None,
    threshold: Sequence[float] = (),
    at_precision: Sequence[float] = (),
    at_recall: Sequence[float] = (),
    details: bool = False,
    save: bool = False,
    verify: bool = False,
    **where: Unpack[Where],
) -> list[dict[str, Any]]:
    """Measure several models on a dataset's split, side by side in one pass.

    Parameters
    ----------
    models
        Each as the `model` of `evaluate`.
    root, dataset, split, row_weights, unseen_features, by, threshold, at_precision, at_recall, details, save, verify
        As of `evaluate`.
    **where
        As of `evaluate`.

    Returns
    -------
    list of dict
        What `evaluate` returns of each.

    Raises
    ------
    UsageError, BadDataError
        As of `evaluate`.

    Examples
    --------
    >>> [found["accuracy"] > 0.8 for found in mr_ml.evaluate_several(root, ["iris-softmax", "iris-softmax@1"], "iris")]
    [True, True]
    """
    stored.chosen(bool, row_weights, "row_weights")
    stored.chosen(Literal["error", "ignore"], unseen_features, "unseen_features")
    asked = {"threshold": threshold, "at_precision": at_precision, "at_recall": at_recall, "details": details}
    # what is kept is kept whole
    asked["details"] = asked["details"] or stored.chosen(bool, save, "save")
    choices = stored.check(MetricChoices, asked, what="an evaluation")
    with session_of(root, where) as session:
        found = session.evaluate_several(
            models, dataset, split=split, row_weights=row_weights, unseen_features=unseen_features, verify_bytes=verify,
            choices=choices, by=stored.chosen(str | None, by, "by"),
        )  # fmt: skip
        if save:
            for told in found:
                save_evaluation(session.root, told)
    return found


def compare(
    root: Place,
    a: str,
    b: str,
    dataset: str,
    *,
    split: str = "test",
    row_weights: bool = True,
    unseen_features: Literal["error", "ignore"] = "error",
    confidence: float = 0.95,
    verify: bool = False,
    **where: Unpack[Where],
) -> dict[str, Any]:
    """Find how two models differ on a dataset's split, row by row, in one pass.

    Parameters
    ----------
    a, b
        Name, ``name@version`` or ``name@latest``.
    confidence
        Of the intervals.
    root, dataset, split, row_weights, unseen_features, verify, **where
        As of `evaluate`.

    Returns
    -------
    dict
        As ``mr-ml compare --json`` has it.

    Raises
    ------
    UsageError, BadDataError
        As `mr_ml.comparing.compare`.

    Examples
    --------
    >>> found = mr_ml.compare(root, "iris-softmax", "iris-softmax@1", "iris")
    >>> found["differences"]["log_loss"]["better"] in ("a", "b", None)
    True
    """
    from mr_ml.comparing import compare as compared

    stored.chosen(bool, row_weights, "row_weights")
    stored.chosen(Literal["error", "ignore"], unseen_features, "unseen_features")
    with session_of(root, where) as session:
        return compared(
            session, a, b, dataset, split=split, row_weights=row_weights, unseen_features=unseen_features,
            confidence=stored.chosen(float, confidence, "confidence"), verify_bytes=verify,
        ).to_json()  # fmt: skip


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
