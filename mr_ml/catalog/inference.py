"""What is known of how sure the parameters of a published model are, beside its coefficients."""

from __future__ import annotations

from hdfs_layout import NotFoundError, Root
from mr_ml.errors import BadDataError
from mr_ml.models.base import Model
from mr_ml.models.inference import Inference


def save_inference(root: Root, model: Model, inference: Inference) -> None:
    """Write what is known of a published model.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    root.store.write(root.layout.inference(model.name, model.manifest["run"]), inference.encode())


def find_inference(root: Root, model: Model) -> Inference | None:
    """Return what is known of a published model; None if nobody asked.

    Raises
    ------
    BadDataError
        If it is damaged, of a newer mr_ml, or of another model.
    """
    path = root.layout.inference(model.name, model.manifest["run"])
    try:
        data = root.store.read(path)
    except NotFoundError:
        return None
    where = root.store.uri(path)
    found = Inference.decode(data, where=where)
    if (found.model, found.dataset) != (model.reference, model.manifest["dataset"]):
        raise BadDataError(
            f"{where}: expected standard errors of {model.reference} on {model.manifest['dataset']}, found those of "
            f"{found.model} on {found.dataset}; remove it, and ask again"
        )
    return found
