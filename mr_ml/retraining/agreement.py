"""What the sections of the settings of a retraining must agree on, and what only registries of kinds know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from urllib.parse import urlsplit

from hdfs_layout.open import STORES, scheme_of
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.models.base import MODEL_KINDS, TrainSpec
from mr_ml.readers.base import format_named
from mr_ml.readers.registry import FORMATS
from mr_ml.retraining.sections import RetrainConfig, variables_of
from mr_ml.retraining.validate import Validated, blamed
from mr_ml.retraining.zones import zone_named
from mr_ml.runners.base import RUNNERS
from mr_ml.settings.faults import suggestion
from mr_ml.settings.yaml_tree import Fault, Node
from mr_ml.sizes import parse_size

Found = Iterator[Fault]

# Of these nothing is kept, in manifests or names of files.
_MAY_BE_SECRET = ("root", "runner", "notify", "metrics_file")


def disagreements(validated: Validated, tree: Node) -> Iterator[Fault]:
    """Find what does not go together, of the sections that can be used."""
    for sections, check in _CHECKS:
        if not validated.unusable & set(sections):
            yield from check(validated.config, tree)


def _secrets(config: RetrainConfig, tree: Node) -> Found:
    for item in fields(config):
        if item.name not in _MAY_BE_SECRET and variables_of(getattr(config, item.name)):
            yield Fault(
                tree.line_of((item.name,)), (item.name,),
                "expected no ${NAME}: it is for secrets, and this is kept in manifests for all to read; write it out",
            )  # fmt: skip


def _commands(config: RetrainConfig, tree: Node) -> Found:
    for k, entry in enumerate(config.notify):
        if entry.command is not None and entry.variables:
            yield Fault(
                tree.line_of(("notify", k, "command")), ("notify", k, "command"),
                "expected no ${NAME}: `ps` shows everybody the words of a command. It has the environment: let it read "
                "the variable there",
            )  # fmt: skip


def _root(config: RetrainConfig, tree: Node) -> Found:
    scheme = scheme_of(config.root or "")
    if scheme and scheme not in STORES:
        yield blamed(tree, (), f"`root`: expected a folder or one of {', '.join(f'{name}://' for name in STORES)}")
    if config.root == "":
        yield blamed(tree, (), "`root`: expected a folder or a URI, found nothing; leave the key out for MR_ML_ROOT")


def _warm_start_from(config: RetrainConfig, tree: Node) -> Found:
    if config.warm_start_from == "":
        yield blamed(tree, (), "`warm_start_from`: expected a file, found nothing; leave the key out for none")


def _timezone(config: RetrainConfig, tree: Node) -> Found:
    try:
        zone_named(config.timezone)
    except UsageError as error:
        yield blamed(tree, (), str(error))


def _days(config: RetrainConfig, tree: Node) -> Found:
    split, rules = config.split, config.input
    if split.by == "time":
        least = rules.days if rules.min_days is None else rules.min_days
        name = "days" if rules.min_days is None else "min_days"
        if split.test_days >= least:
            yield blamed(
                tree, ("split",),
                f"`test_days`: expected fewer than input.{name}, {least}, so that there are days to train on; found "
                f"{split.test_days}",
            )  # fmt: skip


def _split(config: RetrainConfig, tree: Node) -> Found:
    for by, keys in config.split.only_for.items():
        for key in keys if by != config.split.by else ():
            if tree.at(("split", key)) is not None:
                yield blamed(tree, ("split",), f"`{key}`: is for a split by {by}, but this one is by {config.split.by}")


def _groups(config: RetrainConfig, tree: Node) -> Found:
    if config.split.by == "time" and config.reader.split_by is not None:
        yield blamed(
            tree, ("reader",),
            "`split_by`: keeps the rows of a group in one split, which a split by time cannot; take split.by hash",
        )  # fmt: skip


def _formats_of(given: Sequence[str]) -> list[str]:
    """Return the formats that it takes for all of these keys: the first of which has most, and those for the others."""
    left, names = {key for form in FORMATS.built_in for key in _parameters(form) if key in given}, list[str]()
    while left:
        name = max(FORMATS.built_in, key=lambda form: len(left & set(_parameters(form))))
        names, left = [*names, name], left - set(_parameters(name))
    return sorted(names, key=FORMATS.built_in.index)


def _reader(config: RetrainConfig, tree: Node) -> Found:
    reader = config.reader
    if reader.format is not None and reader.format not in FORMATS:
        yield blamed(tree, ("reader",), f"`format`: {suggestion(reader.format, list(FORMATS))}")
        return
    said = {name: value for name, value in reader.text.items() if value not in (False, "")}
    given = [name for name in reader.text if tree.at(("reader", name.removeprefix("no_"))) is not None]
    names = [reader.format] if reader.format else _formats_of(given)
    if len(names) > 1:
        yield blamed(
            tree, ("reader",), f"expected keys of one format, found some of {' and '.join(names)}: say `format`"
        )
    for name in names:
        own = _parameters(name)
        for key in given:
            if key not in own:
                other = next((form for form in FORMATS.built_in if key in _parameters(form)), "another format")
                spelled = key.removeprefix("no_")
                if len(names) == 1:
                    yield blamed(tree, ("reader",), f"`{spelled}`: is for {other}, but the format is {name}")
        try:
            chosen = {key: value for key, value in said.items() if key in own}
            format_named(name).options({**chosen, "split_by": reader.split_by})
        except UsageError as error:
            yield blamed(tree, ("reader",), str(error))
    if reader.unseen_features == "ignore" and reader.like is None:
        yield blamed(tree, ("reader",), "`unseen_features`: expected `like` beside it, which says what is known")


def _parameters(format: str) -> list[str]:
    return list(format_named(format).parameters)


def _train(config: RetrainConfig, tree: Node) -> Found:
    if config.kind not in MODEL_KINDS:
        yield blamed(tree, ("train",), f"`kind`: {suggestion(config.kind, list(MODEL_KINDS))}")
        return
    spec: type[TrainSpec] = MODEL_KINDS.get(config.kind).spec
    elsewhere = {item.name for item in fields(TrainSpec)} | {"warm_start"}
    known = [item.name for item in fields(spec) if item.name not in elsewhere]
    base = {"dataset": "dataset@1", "model": "model"}
    right = {}
    for name, value in config.train_options.items():
        try:
            if name in elsewhere:
                raise UsageError("is not said here: it is a key of the whole file, or follows from it")
            if name not in known:
                raise UsageError(f"unknown key; {suggestion(name, known)}")
            stored.check(spec, {**base, name: value}, what=f"a {config.kind} model")
        except UsageError as error:
            yield Fault(tree.line_of(("train", name)), ("train", name), str(error).removeprefix(f"`{name}`: "))
        else:
            right[name] = value
    try:
        stored.check(spec, {**base, **right}, what=f"a {config.kind} model").check_choices()
    except UsageError as error:
        yield blamed(tree, ("train",), str(error))


def _runner(config: RetrainConfig, tree: Node) -> Found:
    rules = config.runner
    if rules.memory is not None and not isinstance(rules.memory, int):
        try:
            parse_size(rules.memory)
        except UsageError as error:
            yield blamed(tree, ("runner",), f"`memory`: {error}")
    try:
        RUNNERS.get(rules.name).check(config.root, rules.options)
    except UsageError as error:
        fault = blamed(tree, ("runner",), str(error))
        yield fault if fault.place != ("runner",) else blamed(tree, ("runner",), f"`name`: {error}")


def _notify(config: RetrainConfig, tree: Node) -> Found:
    for k, entry in enumerate(config.notify):
        if entry.webhook is None:
            continue
        try:
            url = urlsplit(entry.webhook)
            is_url = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
        except ValueError:
            is_url = False
        if not is_url or not entry.webhook.isprintable() or " " in entry.webhook:
            yield blamed(tree, ("notify", k), "`webhook`: expected a URL, https://..., found something else")


def _metrics_file(config: RetrainConfig, tree: Node) -> Found:
    path = config.metrics_file
    if path is not None and ("://" in path or not path.endswith(".prom")):
        yield blamed(
            tree, (), "`metrics_file`: expected a path of this machine that ends in .prom, as node exporter wants it"
        )


_CHECKS: tuple[tuple[tuple[str, ...], Callable[[RetrainConfig, Node], Found]], ...] = (
    ((), _secrets),
    (("notify",), _commands),
    (("root",), _root),
    (("warm_start_from",), _warm_start_from),
    (("timezone",), _timezone),
    (("input", "split"), _days),
    (("split",), _split),
    (("split", "reader"), _groups),
    (("reader",), _reader),
    (("train",), _train),
    (("runner", "root"), _runner),
    (("notify",), _notify),
    (("metrics_file",), _metrics_file),
)
"""The sections that a check looks at, and the check."""
