"""Where the searches of a tuning begin that know an earlier model, or coefficients in a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import Root
from mr_ml.catalog.dataset import Dataset
from mr_ml.models.base import TrainSpec
from mr_ml.models.problem import Problem
from mr_ml.models.warm_start import WarmStart
from mr_ml.session import Session
from mr_ml.training.begin import begin_data
from mr_ml.training.train import warm_start

Floats = NDArray[np.float64]


def file_of(session: Session, spec: TrainSpec, run: str, *, is_begun: bool) -> bytes | None:
    """Return the file of coefficients that all candidates begin with, None if with none; raises as `begin_data`."""
    return begin_data(session.root, spec, run if is_begun else None, session.begins)


def guesses(
    problems: Sequence[Problem], specs: Sequence[TrainSpec], dataset: Dataset, root: Root, data: bytes | None
) -> tuple[list[Floats | None], WarmStart | None]:
    """Return where the search of each candidate begins, (size,), and what is to be said of it.

    Candidates are of one kind of model and begin with the same coefficients: what is known of these here is so for all.

    Parameters
    ----------
    data
        As `file_of` gives it.

    Raises
    ------
    UsageError, StorageError, BadDataError
        As `mr_ml.training.train.warm_start`, if some candidate cannot begin so.
    """
    points, told = list[Floats | None](), None
    for problem, spec in zip(problems, specs, strict=True):
        start = warm_start(problem, spec, dataset, root, data=data)
        if start is None:
            points.append(None)
            continue
        told = told or start
        # most are the same, and may be wide
        same = next((p for p in points[-1:] if p is not None and np.array_equal(p, start.point)), start.point)
        points.append(same)
    return points, told
