"""What a training is asked for, from what a user chose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hdfs_layout import NotFoundError, Root, check_name
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.model import load_model
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.models.base import MODEL_KINDS, TrainSpec
from mr_ml.training.begin import Read, check_is_no_file, look_at
from mr_ml.training.prior import OF_TRAINING, check_prior, with_prior


def spec_of(
    root: Root, kind: str, dataset: str, model: str, split: str, options: Mapping[str, Any], *,
    say: Callable[[str], None], begins: dict[str, Read],
) -> TrainSpec:  # fmt: skip
    """Return what a training is asked for; see `mr_ml.session.Session.spec`.

    Parameters
    ----------
    begins
        Gets what reads the file that it begins with, by the file's digest.
    """
    check_name(model, kind="model")
    made, prior = _asked(root, kind, load_dataset(root, dataset).reference, model, split, options, begins)
    return with_prior(root, made, **prior, say=say)


def check_before_rows(
    root: Root, kind: str, dataset: str, model: str, split: str, options: Mapping[str, Any], *, inference: bool
) -> None:  # fmt: skip
    """Refuse what can be known to be wrong with a training before the dataset is packed on which it is to be done.

    Parameters
    ----------
    dataset
        The name that it will have.
    inference
        Whether standard errors are asked for.

    Raises
    ------
    UsageError, StorageError
        As `spec_of`.
    """
    check_name(model, kind="model")
    check_name(dataset, kind="dataset")
    made, prior = _asked(root, kind, f"{dataset}@1", model, split, options, {})
    made.check_choices()
    check_prior(root, made, **prior)
    if inference:
        from mr_ml.models.inference import check_asked

        check_asked(made.no_inference)


def _asked(
    root: Root, kind: str, reference: str, model: str, split: str, options: Mapping[str, Any], begins: dict[str, Read]
) -> tuple[TrainSpec, dict[str, Any]]:  # fmt: skip
    """Return the spec without a prior, and what is said of a prior."""
    document = {"dataset": reference, "model": model, "split": split, **options}
    prior, precision = document.pop("prior", None), document.pop("prior_precision", None)
    file, format = document.pop("warm_start_from", None), document.pop("warm_start_format", None)
    warm_start = stored.chosen(str | None, options.get("warm_start"), "warm_start")
    if file is not None and warm_start is not None:
        raise UsageError("expected `warm_start` or `warm_start_from`, found both: a search begins at one place")
    if warm_start is not None:
        document["warm_start"] = _model(root, warm_start)
    format = stored.chosen(str | None, format, "warm_start_format")
    if file is not None:
        found, read = look_at(file, format)
        document["warm_start_from"] = found
        begins[found.sha256] = read
    elif format is not None:
        raise UsageError("`warm_start_format` is for `warm_start_from`, which was not asked for")
    chosen: type[TrainSpec] = MODEL_KINDS.get(kind).spec
    made = stored.check(chosen, document, what=f"a {kind} model", besides=(*OF_TRAINING, "warm_start_format"))
    return made, {"prior": prior, "prior_precision": precision}


def _model(root: Root, reference: str) -> str:
    try:
        return load_model(root, reference).reference
    except (NotFoundError, UsageError):
        check_is_no_file(reference)
        raise
