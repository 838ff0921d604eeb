"""What the steps of a retraining ask for, made of its settings."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from hdfs_layout import Root
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.packing.choices import PackChoices
from mr_ml.retraining.hiding import hidden
from mr_ml.retraining.window import TEST, TRAIN, Window
from mr_ml.runners.roots import use_config
from mr_ml.settings.yaml_tree import read_bytes

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig

# On which neither a model nor the decision about it depends.
_NO_MATTER = ("root", "runner", "retention", "on_unfinished", "lock", "notify", "metrics_file", "report")
# Of these null says nothing: earlier releases did not write them.
_LATER = (("warm_start_from",), ("reader", "offset_feature"))
# On which what is packed depends, beside the files.
_PACK = ("dataset", "reader", "split")
_ID_DIGITS = 16


def root_of(config: RetrainConfig, otherwise: str | os.PathLike[str] | Root | None) -> Root:
    """Open the root that the settings name, or else another one.

    Raises
    ------
    UsageError
        If there is none, or it cannot be a root.
    """
    place = otherwise if config.root is None else config.root
    if place is None:
        raise UsageError("expected `root` in the settings of a retraining, or beside them; found neither")
    with hidden(config):
        return use_config(place, config.runner.name, config.runner.config)


def day_of(day: date | str | None, name: str) -> date | None:
    """Read a day such as 2026-11-26; raises UsageError, which names the parameter, if it is none."""
    # a datetime is a date to Python, and equal to none
    if day is None or (isinstance(day, date) and not isinstance(day, datetime)):
        return day
    with suppress(ValueError, TypeError):
        return date.fromisoformat(day)  # type: ignore[arg-type]
    raise UsageError(f"`{name}`: expected a day such as 2026-11-26, found {stored.shown(day)}")


def reason_of(force: str | None) -> str | None:
    """Return why a candidate is promoted in spite of the gate; raises UsageError if that says nothing."""
    if force is not None and not stored.chosen(str, force, "force").strip():
        raise UsageError("`force`: expected a reason, found nothing: it is recorded beside the promotion")
    return force


def settings_digest(config: RetrainConfig) -> str:
    """Return a sha256 of the settings on which a model, or the decision about it, depends."""
    matters = {name: value for name, value in _said(config).items() if name not in _NO_MATTER}
    return _digest({**matters, **_files(config)})


def _said(config: RetrainConfig) -> dict[str, Any]:
    """Return the settings as a release that did not know some keys would have them, where these say nothing."""
    said = config.to_json()
    for *sections, name in _LATER:
        within = said
        for section in sections:
            within = within[section]
        if within[name] is None:
            del within[name]
    return said


def _files(config: RetrainConfig) -> dict[str, str]:
    """Return checksums of the files that settings name and that decide what is packed."""
    path = config.reader.schema
    return {} if path is None else {"schema file": hashlib.sha256(read_bytes(path)).hexdigest()}


def pack_request(config: RetrainConfig, window: Window) -> str:
    """Return a name for what is packed: the same for the same files and the same settings of packing."""
    settings = _said(config)
    digest = _digest([window.fingerprint, *(settings[name] for name in _PACK), *_files(config).values()])
    return f"{window.label}-{digest[:_ID_DIGITS]}"


def pack_choices(config: RetrainConfig, window: Window) -> tuple[Sequence[str], PackChoices]:
    """Return the inputs and choices of the pack; no inputs if the choices name them by split.

    Raises
    ------
    BadDataError
        If there are too few days for a split by time.
    """
    choices, split = config.reader.pack_choices(), config.split
    if split.by == "time":
        named = {name: tuple(paths) for name, paths in window.by_time(test_days=split.test_days).items()}
        return (), replace(choices, split_inputs=named)
    shares = {TRAIN: 1 - split.test_share, TEST: split.test_share}
    return [file.path for file in window.files], replace(choices, split=shares)


def _digest(value: Mapping[str, Any] | Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
