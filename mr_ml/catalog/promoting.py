"""Promote and roll back for users: what the gate refused takes force and a reason, and what is damaged is not used.

As `mr_ml.promote` and `mr_ml.rollback` this is the Python API too.
"""

from __future__ import annotations

import os
from contextlib import suppress

from hdfs_layout import Root, open_root, parse_reference
from mr_ml.catalog import promotions
from mr_ml.catalog.model import load_model, read_manifest
from mr_ml.catalog.promotions import Promotion, VersionNumber, latest_promotion, promoted_version
from mr_ml.data import stored
from mr_ml.errors import BadDataError, GateRefusedError, UsageError
from mr_ml.interrupts import uninterrupted
from mr_ml.whoami import whoami

Place = Root | str | os.PathLike[str]


def promote(root: Place, model: str, *, reason: str | None = None, force: bool = False) -> Promotion:
    """Let the plain name of a model mean this version, in one atomic step that is recorded.

    Parameters
    ----------
    root
        As of `mr_ml.pack`.
    model
        ``name@version``, or a name for its latest version.
    reason
        Is recorded.
    force
        Promote a version although its gate refused it; needs a reason.

    Returns
    -------
    Promotion
        The entry of the log; the present one if this version is promoted already and there is no reason to record.

    Raises
    ------
    GateRefusedError
        If the gate refused this version, and there is no force.
    UsageError
        If there is force without a reason.
    StorageError
        If there is no such version, or the entry cannot be written.
    BadDataError
        If the version is damaged.

    Examples
    --------
    >>> mr_ml.promote(root, "iris-softmax@2", reason="seen by eye").version
    2
    """
    opened, reason = open_root(root), _checked(reason)
    if stored.chosen(bool, force, "force") and reason is None:
        raise UsageError("`force` needs a `reason`, which is recorded; found none")
    wanted = parse_reference(model, kind="model")
    name = wanted.name
    manifest, version = read_manifest(opened, name, wanted.version)
    number = version.number
    # a damaged entry is no hindrance: the one after it says what the name means
    with suppress(BadDataError):
        entry = latest_promotion(opened, name)
        if entry is not None and entry.version == number and reason is None:
            return entry
    refused = manifest.decision is not None and not manifest.decision.accepted
    if manifest.decision is not None and refused and not force:
        raise GateRefusedError(
            f"{name}@{number} was refused by its gate: {'; '.join(manifest.decision.reasons)}. Give `force` and a "
            "`reason` to promote it nonetheless"
        )
    # every byte, before anybody gets it
    load_model(opened, f"{name}@{number}")
    with uninterrupted():
        return promotions.promote(opened, name, number, by=whoami(), reason=reason, forced=refused)


def rollback(root: Place, model: str, *, to: int | None = None, reason: str | None = None) -> Promotion:
    """Let the plain name of a model mean what it meant before, in one atomic step that is recorded.

    No file of any version is touched, so the model is the same as it was, to the last bit.

    Parameters
    ----------
    root
        As of `mr_ml.pack`.
    model
        Its name.
    to
        A version that the name meant at some time; by default the one before the present one, so that one rollback
        after the other goes further back.
    reason
        Is recorded.

    Returns
    -------
    Promotion
        The entry of the log.

    Raises
    ------
    UsageError
        If there is none to go back to, or the name never meant `to`.
    StorageError
        If there is no such version, or the entry cannot be written.
    BadDataError
        If that version, or the log, is damaged.
    LockedError
        If somebody else promoted meanwhile.

    Examples
    --------
    >>> mr_ml.rollback(root, "iris-softmax").version
    1
    """
    opened, reason = open_root(root), _checked(reason)
    to = stored.chosen(VersionNumber | None, to, "to")
    wanted = parse_reference(model, kind="model")
    if wanted.version is not None or wanted.newest:
        raise UsageError(f"expected the name of a model, found {model}; the version to go back to is given by `to`")
    target = to if to is not None else promotions.version_before(opened, wanted.name)
    if target is not None and target != promoted_version(opened, wanted.name):
        # every byte, before anybody gets it
        load_model(opened, f"{wanted.name}@{target}")
    with uninterrupted():
        return promotions.rollback(opened, wanted.name, to=to, by=whoami(), reason=reason)


def _checked(reason: str | None) -> str | None:
    text: str | None = stored.chosen(str | None, reason, "reason")
    if text is not None and not text.strip():
        raise UsageError("`reason`: expected some words, found none")
    return text
