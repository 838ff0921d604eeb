"""The Python API of exports: ``mr_ml.export``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from hdfs_layout import LocalStore, Store, open_root, open_store, scheme_of
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.model import load_model
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.exports import EXPORTS
from mr_ml.exports.base import Subject, check_transforms
from mr_ml.models.base import Model
from mr_ml.where import Place


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """An export that was written.

    Attributes
    ----------
    model
        Name and version, ``iris@3``.
    uri
        Of the file.
    n_bytes
        Its size.
    notes
        What must be known to get the same predictions from it, a sentence each.
    """

    model: str
    uri: str
    n_bytes: int
    notes: tuple[str, ...]


def export(
    root: Place, model: str | Model, to: str | os.PathLike[str], *, kind: str,
    unseen: Literal["error", "ignore"] | None = None, **parameters: str,
) -> ExportResult:  # fmt: skip
    """Write a model for another program.

    Parameters
    ----------
    root
        Where models are kept: a folder, ``hdfs://...``, or what `open_root` returned.
    model
        Name, ``name@version``, ``name@latest``, or what `load_model` returned.
    to
        The file, of this machine or of a store, ``hdfs://...``; it appears when it is whole. One that is there is
        replaced.
    kind
        Of export: one of `mr_ml.exports.EXPORTS`, such as "json".
    unseen
        As of `predict`: whether a row with features or categories that the model does not know is refused, or these
        count for nothing; by default refused, or for categories what was said when rows were packed.
    **parameters
        Of that kind; see docs/exports.md.

    Returns
    -------
    ExportResult

    Raises
    ------
    UsageError
        If that kind of export cannot carry such a model, or parameters are not those of it.
    StorageError
        If there is no such model, or the file cannot be written.

    Examples
    --------
    >>> mr_ml.export(root, "iris-softmax", "iris.sql", kind="sql", table="flowers").model
    'iris-softmax@1'
    """
    form = EXPORTS.get(kind)
    known = form.parameters
    for name in parameters:
        if name not in known:
            others = f"; it has {', '.join(known)}" if known else ""
            raise UsageError(f"`{name}` is no parameter of the export {kind}{others}")
    stored.chosen(Literal["error", "ignore"] | None, unseen, "unseen")
    store, path = _place_of(os.fspath(to))
    opened = model if isinstance(model, Model) else load_model(open_root(root), model)
    subject, chosen = Subject.of(opened, unseen=unseen), {**known, **parameters}
    check_transforms(subject, kind, form)
    data = form.write(subject, chosen)
    store.write(path, data)
    return ExportResult(
        model=opened.reference, uri=store.uri(path), n_bytes=len(data), notes=tuple(form.notes(subject, chosen))
    )


def _place_of(to: str) -> tuple[Store, str]:
    if not scheme_of(to):
        target = Path(to).absolute()
        if not to or to.endswith("/") or target.is_dir():
            raise UsageError(f"expected as `to` the name of a file, found {to!r}")
        return LocalStore(str(target.parent)), target.name
    folder, _, name = to.rpartition("/")
    if not name or not folder.partition("://")[2]:
        raise UsageError(f"expected as `to` a file, such as hdfs:///user/me/model.json; found {to!r}")
    return open_store(folder), name
