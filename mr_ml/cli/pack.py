"""mr-ml pack."""

from __future__ import annotations

import argparse

from mr_ml.catalog.dataset import load_dataset
from mr_ml.cli.common import free_memory, job_runner, narrator, print_result, root_of
from mr_ml.cli.describe import summary, summary_text
from mr_ml.cli.memory import longest_line, rows_budget
from mr_ml.errors import UsageError
from mr_ml.pack.driver import PackSpec, pack
from mr_ml.pack.exchange import PackMemory
from mr_ml.pack.plan import parse_shares
from mr_ml.readers.base import format_by_names, format_named, is_named_as
from mr_ml.readers.registry import FORMATS
from mr_ml.readers.schema import Options
from mr_ml.readers.text.source import expand

# of files whose names say nothing
DEFAULT = "libsvm"


def run(options: argparse.Namespace) -> None:
    root = root_of(options)
    like = None if options.like is None else load_dataset(root, options.like).schema
    if options.unseen_features == "ignore":
        if like is None or like.feature_names is not None:
            raise UsageError(
                "--unseen-features: expected --like with a dataset of libsvm rows, whose features are known; for CSV "
                "there is --unseen"
            )
        like = format_named(like.format).with_unseen(like, "ignore")
    text = text_options(options) if like is None else _borrowed(options, like.options)
    spec = PackSpec(
        inputs=tuple(options.inputs),
        name=options.to,
        options=text,
        shares=parse_shares(options.split),
        folds=options.folds,
        seed=options.seed,
        by_group=options.split_by is not None,
        partitions=options.partitions,
        max_bad_rows=options.max_bad_rows,
        like=like,
        format_is_said=options.format is not None,
        header_is_said=options.header,
    )
    runner = job_runner(options, root)
    rows_bytes = rows_budget(options, runner)
    memory = PackMemory(
        rows_bytes=rows_bytes,
        longest_line=longest_line(options, rows_bytes),
        spill_bytes=0 if options.memory is not None else free_memory() // 4,
    )
    say, warnings = narrator(options), list[str]()

    def warn(text: str) -> None:
        warnings.append(text)
        say(f"warning: {text}")

    dataset = pack(spec, root=root, runner=runner, say=say, warn=warn, memory=memory)
    print_result(options, {**summary(dataset), "warnings": warnings}, summary_text(dataset))


def text_options(options: argparse.Namespace) -> Options:
    """How the user says the text is to be read.

    Raises
    ------
    UsageError
        There is no such format, or an option is for text of another one.
    """
    names = [] if options.format else _names(options.inputs)
    form = format_named(options.format or format_by_names(names) or DEFAULT)
    for another in map(format_named, FORMATS.built_in):
        for name, unsaid in another.parameters.items():
            if name in form.parameters or getattr(options, name) == unsaid:
                continue
            other = next((file for file in names if another.suffixes and not is_named_as(file, another)), None)
            why = "" if options.format else " by the names of the files"
            why = f" since {other} is not called {another.suffixes[0]}" if other else why
            raise UsageError(
                f"--{name.replace('_', '-')} is for {another.name} text, but the text is read as {form.name}{why}: say "
                f"--format {another.name}, or leave that option out"
            )
    said = {name: getattr(options, name) for name in form.parameters if hasattr(options, name)}
    asked: Options = form.options({**said, "split_by": options.split_by})
    return asked


def _borrowed(options: argparse.Namespace, like: Options) -> Options:
    """The options of the dataset given by --like, which nothing said beside it may contradict."""
    options.format = options.format or like.format
    asked, unasked, known = (
        text_options(options).to_json(),
        format_named(like.format).options({}).to_json(),
        like.to_json(),
    )
    for name, said in asked.items():
        theirs = known.get(name)
        if said not in (unasked.get(name), theirs):
            raise UsageError(f"--like {options.like} was packed with {name} {theirs!r}, found {said!r}; leave that out")
    return like


def _names(inputs: list[str]) -> list[str]:
    """The names that say the format: of the inputs, if all are of one format, else of the files in them."""
    if format_by_names(inputs) is not None:
        return inputs
    here = [name for name in inputs if "://" not in name]
    return [*(file.path for file in (expand(here) if here else ())), *(name for name in inputs if "://" in name)]
