"""The parameters of a published model, with what is kept of the rows that it was trained on and how sure they are."""

from __future__ import annotations

from hdfs_layout import Root
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.catalog.inference import find_inference
from mr_ml.catalog.model import ModelManifest
from mr_ml.errors import BadDataError, NotFoundError
from mr_ml.models.base import Model
from mr_ml.models.parameters import Parameters


def read_parameters(root: Root, model: Model, manifest: ModelManifest) -> tuple[Parameters, list[str]]:
    """Return the parameters with all that is kept of them, and what is said of files that are damaged.

    Raises
    ------
    StorageError
        If what is kept cannot be read.
    """
    moments, inference, damaged = None, None, list[str]()
    try:
        moments = FeatureMoments.load(root.store, load_dataset(root, manifest.dataset), manifest.spec.split)
    except NotFoundError:
        # deleted since
        pass
    except BadDataError as error:
        damaged.append(str(error))
    try:
        inference = find_inference(root, model)
    except BadDataError as error:
        damaged.append(str(error))
    return model.parameters(moments, inference), damaged
