"""A training with an earlier model as prior."""

from __future__ import annotations

from collections.abc import Callable

from hdfs_layout import Root
from mr_ml.catalog.dataset import load_dataset
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.models.base import UNNAMED_KIND, Model, TrainSpec

# What can be chosen of a training besides its spec.
OF_TRAINING = ("prior", "prior_precision", "inference")


def with_prior(
    root: Root, spec: TrainSpec, *, prior: str | None, prior_precision: float | None, say: Callable[[str], None]
) -> TrainSpec:
    """Return the spec with what a published model knows; the same if there is to be no prior.

    Raises
    ------
    UsageError
        If that model is none that can be a prior of this training, or a precision is said of nothing.
    """
    model = check_prior(root, spec, prior=prior, prior_precision=prior_precision)
    if model is None:
        return spec
    from mr_ml.catalog.inference import find_inference
    from mr_ml.models.prior import Prior

    precision = prior_precision
    inference = find_inference(root, model) if precision is None else None
    asked = Prior(model=model, inference=inference, precision=precision, dataset=load_dataset(root, spec.dataset))
    found = spec.with_prior(asked)
    say(f"prior: {model.reference}")
    return found


def check_prior(root: Root, spec: TrainSpec, *, prior: str | None, prior_precision: float | None) -> Model | None:
    """Return the model that is asked for as prior; None if there is to be none. Raises as `with_prior`."""
    reference = stored.chosen(str | None, prior, "prior")
    precision = stored.chosen(stored.NotNegative | None, prior_precision, "prior_precision")
    if reference is None:
        if precision is not None:
            raise UsageError("`prior_precision` is for `prior`, which was not asked for")
        return None
    from mr_ml.catalog.model import load_model

    model = load_model(root, reference)
    kind = model.manifest["spec"].get("kind", UNNAMED_KIND)
    if kind != spec.kind:
        raise UsageError(f"`prior`: expected a {spec.kind} model, found {model.reference}, a {kind} one")
    return model
