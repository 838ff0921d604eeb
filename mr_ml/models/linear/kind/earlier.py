"""What a search begins with: a published model, or a file of coefficients, as the problem of a dataset sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.coefficients.base import Coefficients
from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.linear.kind.by_name import columns_of
from mr_ml.models.linear.kind.model import LinearModel
from mr_ml.readers.labels import label_texts
from mr_ml.readers.schema import Schema

if TYPE_CHECKING:
    from mr_ml.models.linear.kind.problem import LinearProblem

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Earlier:
    """Coefficients that somebody fitted before: margins are weights . (x - centres) + intercepts.

    Attributes
    ----------
    title
        What it is called in messages.
    asked_by
        The parameter that asked for it.
    weights, intercepts, centres
        (n_outputs, n), (n_outputs,) and (n,).
    columns
        (n,), which feature of the dataset each coefficient is of, -1 for none.
    name_of
        What users call the feature of a coefficient.
    labels
        The classes as users write them; of one output the second one is where margins are positive.
    remedy
        What to do where labels are others, for messages.
    """

    title: str
    asked_by: str
    weights: Floats
    intercepts: Floats
    centres: Floats
    columns: NDArray[np.int64]
    name_of: Callable[[int], str]
    labels: tuple[str, ...]
    remedy: str = ""

    @classmethod
    def of_model(cls, model: LinearModel, problem: LinearProblem) -> Earlier:
        """Return a published model as the problem sees it; raises as `mr_ml.models.problem.Problem.warm_start`."""
        rows = problem.objective.rows
        if model.loss != rows.loss:
            raise UsageError(
                f"`warm_start`: expected a model of the {rows.loss.name} loss, which is to be trained, found "
                f"{model.reference}, which is of the {model.loss.name} loss"
            )
        centres = np.zeros(model.reading_coef.shape[1] - 1)
        centres[list(model.shift.ids)] = model.shift.by
        return cls(
            title=model.reference, asked_by="warm_start", weights=model.reading_coef[:, :-1],
            intercepts=model.reading_coef[:, -1] + model.shift.target, centres=centres,
            columns=columns_of(model, problem.dataset), name_of=lambda k: model.schema.name_of(model.feature(k)),
            labels=tuple(model.label_texts),
        )  # fmt: skip

    @classmethod
    def of_file(cls, found: Coefficients, title: str, problem: LinearProblem) -> Earlier:
        """Return the coefficients of a file as the problem sees them; raises as `Problem.begin_from`."""
        rows, dataset = problem.objective.rows, problem.dataset
        if found.losses and rows.loss.name not in found.losses and str(rows.loss) not in found.losses:
            raise UsageError(
                f"`warm_start_from`: expected coefficients of the {rows.loss.name} loss, which is to be trained, found "
                f"{title}, which are of the {' or '.join(found.losses)} loss"
            )
        columns = found.columns(dataset.schema)
        if columns is None:
            numbered = "names" if dataset.schema.feature_names is not None else "numbers that are hashes"
            raise BadDataError(
                f"`warm_start_from`: expected {title} to say the names of its features, as those of "
                f"{dataset.reference} have {numbered}, found {'numbers' if found.names is None else 'names'} only: "
                "nothing says which are the same"
            )
        labels = () if found.may_be_numbers and not rows.classes else found.labels
        weights, intercepts = _of_outputs(found, len(labels), rows.n_outputs)
        return cls(
            title=title, asked_by="warm_start_from", weights=weights, intercepts=intercepts,
            centres=np.zeros(found.n_features) if found.centres is None else found.centres, columns=columns,
            name_of=found.name_of, labels=tuple(_as_written(label, dataset.schema) for label in labels),
            remedy="" if labels or not rows.classes else ": save them beside the coefficients, as `classes`",
        )  # fmt: skip


def _of_outputs(found: Coefficients, n_labels: int, n_outputs: int) -> tuple[Floats, Floats]:
    """Return weights and intercepts; those of two classes as one margin or as two, as the loss has them."""
    weights, intercepts = found.weights, found.intercepts
    if n_labels == 2 and len(weights) == 2 and n_outputs == 1:
        return weights[1:] - weights[:1], intercepts[1:] - intercepts[:1]
    if n_labels == 2 and len(weights) == 1 and n_outputs == 2:
        # half of it on either side is the least for every penalty
        return np.concatenate([-weights, weights]) / 2, np.concatenate([-intercepts, intercepts]) / 2
    return weights, intercepts


def _as_written(label: str, schema: Schema) -> str:
    """Return a label as users of a dataset write that value: 1, 1.0 and 1e0 are one number."""
    if schema.label_kind == "text":
        return label
    try:
        return label_texts(schema, (float(label),))[0]
    except ValueError:
        return label
