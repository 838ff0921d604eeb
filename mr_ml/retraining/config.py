"""The settings of a retraining: `load_config` reads `retrain.yaml` to a `RetrainConfig`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from mr_ml.errors import UsageError
from mr_ml.retraining.sections import RetrainConfig
from mr_ml.settings.environment import FromEnvironment, hide
from mr_ml.settings.faults import lines_of
from mr_ml.settings.yaml_tree import read_bytes, read_tree

__all__ = ["RetrainConfig", "load_config"]


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
        If something is wrong with it: all at once, a line each, ``retrain.yaml:12: input.dayz: unknown key; ...``; or
        with the schema file that it names.
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
        raise UsageError(hide("\n".join(lines_of(name, found)), tree.texts()))
    config = _placed(validated.config, os.path.dirname(os.path.abspath(name)))
    if config.reader.schema is not None:
        from mr_ml.packing.choices import with_schema_file

        choices = with_schema_file(config.reader.pack_choices())
        if choices.split_by is not None and config.reader.split_by is None and config.split.by == "time":
            raise UsageError(
                f"{config.reader.schema}: group: keeps the rows of a group in one split, which the split by time of "
                f"{name} cannot; take split.by hash there"
            )
    return config


def _placed(config: RetrainConfig, folder: str) -> RetrainConfig:
    """Return the settings with paths that do not depend on where the command runs."""
    runner, rules, reader = config.runner, config.input, config.reader
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
        reader=reader if reader.schema is None else replace(reader, schema=_absolute(reader.schema, folder)),
        runner=runner if runner.config is None else replace(runner, config=_absolute(runner.config, folder)),
        notify=notify,
        warm_start_from=None if config.warm_start_from is None else _absolute(config.warm_start_from, folder),
        metrics_file=None if config.metrics_file is None else _absolute(config.metrics_file, folder),
    )


def _absolute(place: str, folder: str) -> str:
    if "://" in place:
        return place
    path = os.path.join(folder, os.path.expanduser(place))
    if isinstance(place, FromEnvironment) and path != place:
        return FromEnvironment(path, os.path.join(folder, place.written), place.values)
    return place if path == place else path
