"""How well published models predicted, where somebody had it kept: beside their coefficients, with which it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hdfs_layout import NotFoundError, Root
from hdfs_layout.document import decode_document, encode_document
from hdfs_layout.run_log import finite
from mr_ml.catalog.model import read_manifest
from mr_ml.errors import BadDataError, UsageError

_REMEDY = "evaluate again with `save`"
# Of what is kept: 2 has `curves`. Files of earlier releases do not say.
_FORMAT = 2


def save_evaluation(root: Root, told: Mapping[str, Any]) -> str:
    """Keep what `Session.evaluate` told of a model, in place of what was kept of the same rows; return its path.

    Raises
    ------
    UsageError
        If the model is not published.
    StorageError
        If it cannot be written.
    """
    name, _, version = told["model"].partition("@")
    if not version:
        raise UsageError(f"`save`: expected a published model, found {told['model']}")
    manifest, _ = read_manifest(root, name, int(version))
    path = root.layout.evaluation(name, manifest.run, told["dataset"], told["split"])
    document = {**told, "evaluation_format": _FORMAT}
    if "groups" in told:
        # of a hundred groups the points of curves would be millions of bytes
        document["groups"] = [{name: value for name, value in of.items() if name != "curves"} for of in told["groups"]]
    root.store.write(path, encode_document(finite(document, instead=lambda _: None)))
    return path


def find_evaluations(root: Root, name: str, run: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what is kept of the model that a run made, by dataset and split, and what is said of damaged files."""
    folder = root.layout.evaluations(name, run)
    found, damaged = [], []
    try:
        files = sorted(root.store.list(folder))
    except NotFoundError:
        return [], []
    for file in files:
        path = f"{folder}/{file}"
        try:
            document = decode_document(root.store.read(path), where=root.store.uri(path), remedy=_REMEDY)
            number = document.pop("evaluation_format", 1)
            if number not in range(1, _FORMAT + 1):
                raise BadDataError(
                    f"{root.store.uri(path)}: expected an evaluation of format {_FORMAT}, found {str(number)[:20]}; "
                    "upgrade mr_ml"
                )
            if path != root.layout.evaluation(name, run, document["dataset"], document["split"]):
                raise BadDataError(f"{root.store.uri(path)}: expected what its name says, found another evaluation")
            found.append(document)
        except (BadDataError, KeyError, UsageError, AttributeError, TypeError, ValueError) as error:
            damaged.append(f"{error}" if isinstance(error, BadDataError) else f"{root.store.uri(path)}: no evaluation")
    return found, damaged
