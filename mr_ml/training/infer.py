"""How sure the parameters of a published model are: one pass more over the rows that it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import numpy as np

from hdfs_layout import Root
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.catalog.inference import find_inference, save_inference
from mr_ml.catalog.model import read_manifest
from mr_ml.catalog.uses import using
from mr_ml.catalog.verify import verify
from mr_ml.models.base import Model
from mr_ml.models.inference import Inference, Inferring
from mr_ml.models.needs import Needs
from mr_ml.passes.base import Engine
from mr_ml.progress import stage
from mr_ml.sums.blas import on_one_thread


def kept_or_found(
    model: Model, root: Root, *, engine_over: Callable[[Dataset, str, Needs], Engine], verify_bytes: bool
) -> Inference:
    """Return what is kept beside the model, else what a pass finds, which is kept then.

    Parameters
    ----------
    engine_over
        Opens the engine for passes over a split.
    verify_bytes
        Whether to compare the partitions with their sha256 first.

    Raises
    ------
    UsageError, NoModelError, BadDataError
        As `mr_ml.session.Session.infer`.
    """
    known = find_inference(root, model)
    if known is not None:
        return known
    manifest, _ = read_manifest(root, model.name, model.version)
    spec, dataset = manifest.spec, load_dataset(root, manifest.dataset)
    with using(root, dataset):
        inferring = model.inferring(spec, dataset, FeatureMoments.load(root.store, dataset, spec.split))
        if verify_bytes:
            verify(root.store, dataset.of_split(spec.split))
        with closing(engine_over(dataset, spec.split, inferring.needs())) as engine:
            found = infer(inferring, engine=engine)
    save_inference(root, model, found)
    return found


# numbers that are not finite are left out of what is said
@np.errstate(all="ignore")
@on_one_thread
def infer(inferring: Inferring, *, engine: Engine) -> Inference:
    """Run the passes; raises as `mr_ml.models.base.Inferring.run` and `Engine.run`."""
    with stage("finding standard errors", unit="passes"):
        return inferring.run(lambda query: engine.run(query, columns=inferring.columns))
