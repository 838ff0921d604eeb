"""The settings of a retraining: `load_config` reads `retrain.yaml` to a `RetrainConfig`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from mr_ml.errors import UsageError
from mr_ml.retraining.environment import FromEnvironment, hide
from mr_ml.retraining.sections import RetrainConfig
from mr_ml.retraining.yaml_tree import Fault, read_bytes, read_tree

__all__ = ["RetrainConfig", "load_config"]

_MOST_FAULTS = 50


def load_config(path: str | os.PathLike[str], *, environment: Mapping[str, str] | None = None) -> RetrainConfig:
    """Read the settings of a retraining.

    Parameters
    ----------
    path
        Of the file. Relative paths in it are relative to its folder, since schedulers start commands anywhere.
    environment
        What ``${NAME}`` stands for; by default the process's.

    Returns
    -------
    RetrainConfig
        With paths of this machine made absolute.

    Raises
    ------
    UsageError
        If something is wrong with it: all at once, a line each, ``retrain.yaml:12: input.dayz: unknown key; ...``.
    StorageError
        If it cannot be read.
    UnavailableError
        If pydantic is not installed.
    """
    name = os.fspath(path)
    tree, faults = read_tree(read_bytes(name), os.environ if environment is None else environment)
    # what checks the file is loaded by those only who have one
    from mr_ml.retraining.agreement import disagreements
    from mr_ml.retraining.validate import validate

    validated = validate(tree, faults)
    found = [*validated.faults, *disagreements(validated, tree)]
    if found:
        # of what libraries say of values, which they may show
        raise UsageError(hide("\n".join(_lines(name, found)), tree.texts()))
    return _placed(validated.config, os.path.dirname(os.path.abspath(name)))


def _lines(name: str, faults: list[Fault]) -> list[str]:
    ordered = sorted(set(faults), key=lambda fault: (fault.line, str(fault.place), fault.text))
    # in backquotes the command line has its options, not the keys of a file
    said = [(fault, fault.text.replace("`", '"')) for fault in ordered[:_MOST_FAULTS]]
    lines = [f"{name}:{fault.line}: {spelled_place(fault.place)}{text}" for fault, text in said]
    more = len(ordered) - len(lines)
    return [*lines, f"{name}: and {more} more"] if more else lines


def spelled_place(place: tuple[str | int, ...]) -> str:
    """Return keys and indices as a message begins with them: ``notify[0].on: ``."""
    text = ""
    for key in place:
        text += f"[{key}]" if isinstance(key, int) else f".{ascii(key)[1:-1][:60]}"
    return f"{text.removeprefix('.')}: " if text else ""


def _placed(config: RetrainConfig, folder: str) -> RetrainConfig:
    """Return the settings with paths that do not depend on where the command runs."""
    runner, rules = config.runner, config.input
    location = _absolute(rules.location, folder)
    if location != rules.location and (found := set(folder) & set("*?[]{}")):
        raise UsageError(
            f"input.location is relative to {folder!a}, whose {' '.join(sorted(found))} would be read as a pattern: "
            "write the whole path, or move the file"
        )
    notify = tuple(
        entry
        if entry.command is None or "/" not in entry.command[0]
        else replace(entry, command=(_absolute(entry.command[0], folder), *entry.command[1:]))
        for entry in config.notify
    )
    return replace(
        config,
        root=None if config.root is None else _absolute(config.root, folder),
        input=replace(rules, location=location),
        runner=runner if runner.config is None else replace(runner, config=_absolute(runner.config, folder)),
        notify=notify,
        metrics_file=None if config.metrics_file is None else _absolute(config.metrics_file, folder),
    )


def _absolute(place: str, folder: str) -> str:
    if "://" in place:
        return place
    path = os.path.join(folder, os.path.expanduser(place))
    if isinstance(place, FromEnvironment) and path != place:
        return FromEnvironment(path, os.path.join(folder, place.written), place.values)
    return place if path == place else path
