"""mr-ml pack."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from mr_ml.catalog.dataset import load_dataset
from mr_ml.cli.common import free_memory, job_runner, narrator, print_result, root_of
from mr_ml.cli.describe import summary, summary_text
from mr_ml.cli.memory import longest_line, rows_budget
from mr_ml.errors import UsageError
from mr_ml.pack.driver import PackSpec, pack
from mr_ml.pack.movers import PackMemory
from mr_ml.pack.plan import parse_shares
from mr_ml.readers.schema import Format, TextOptions, with_unseen_features
from mr_ml.readers.text.source import expand, is_csv

#: What is said of text of one format only, and what stands there if it was not said.
_OPTIONS_OF: dict[Format, dict[str, Any]] = {
    "libsvm": {"index_base": "auto"},
    "csv": {
        "delimiter": ",", "no_header": False, "header": False, "label_column": None, "weight_column": None,
        "offset_column": None, "drop": "", "categorical": "", "numeric": "", "missing_markers": None, "decimal": ".",
        "thousands": "", "percent": False, "missing": "error", "unseen": "error",
    },
}  # fmt: skip


def run(options: argparse.Namespace) -> None:
    root = root_of(options)
    like = None if options.like is None else load_dataset(root, options.like).schema
    if options.unseen_features == "ignore":
        if like is None or like.format != "libsvm":
            raise UsageError(
                "--unseen-features: expected --like with a dataset of libsvm rows, whose features are known; for CSV "
                "there is --unseen"
            )
        like = with_unseen_features(like, "ignore")
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


def text_options(options: argparse.Namespace) -> TextOptions:
    """How the user says the text is to be read.

    Raises
    ------
    UsageError
        An option is for text of another format.
    """
    other = None if options.format else _not_called_csv(options.inputs)
    form: Format = options.format or ("csv" if other is None else "libsvm")
    another: Format = "libsvm" if form == "csv" else "csv"
    for name, unsaid in _OPTIONS_OF[another].items():
        if getattr(options, name) != unsaid:
            why = " by the names of the files" if options.format is None else ""
            why = f" since {other} is not called .csv" if other else why
            raise UsageError(
                f"--{name.replace('_', '-')} is for {another} text, but the text is read as {form}{why}: say "
                f"--format {another}, or leave that option out"
            )
    if form == "libsvm" and options.split_by not in (None, "qid"):
        raise UsageError(f"--split-by: libsvm rows have no column {options.split_by!r}, only qid")
    base = None if options.index_base == "auto" else int(options.index_base)
    asked = options.missing_markers
    markers = TextOptions.missing_markers if asked is None else _columns(asked)
    return TextOptions(
        format=form,
        index_base=base,  # type: ignore[arg-type]
        delimiter="\t" if options.delimiter in ("tab", "\\t") else options.delimiter,
        header=not options.no_header,
        label_column=options.label_column,
        weight_column=options.weight_column,
        offset_column=options.offset_column,
        group_column=options.split_by if form == "csv" else None,
        drop_columns=_columns(options.drop),
        categorical_columns=_columns(options.categorical),
        numeric_columns=_columns(options.numeric),
        missing_markers=markers,
        number_markers=TextOptions.number_markers if asked is None else (),
        decimal=options.decimal,
        thousands=options.thousands,
        percent=options.percent,
        missing=options.missing,
        unseen=options.unseen,
    )


def _borrowed(options: argparse.Namespace, like: TextOptions) -> TextOptions:
    """The options of the dataset given by --like, which nothing said beside it may contradict."""
    options.format = options.format or like.format
    asked, unasked = text_options(options), TextOptions(format=like.format)
    for name in (field.name for field in fields(TextOptions)):
        said, theirs = getattr(asked, name), getattr(like, name)
        if said not in (getattr(unasked, name), theirs):
            raise UsageError(f"--like {options.like} was packed with {name} {theirs!r}, found {said!r}; leave that out")
    return like


def _not_called_csv(inputs: list[str]) -> str | None:
    """The first of the files on this machine, or of the inputs elsewhere, whose name does not say that it is CSV."""
    here = [name for name in inputs if "://" not in name]
    names = [name for name in inputs if "://" in name]
    if not all(map(is_csv, here)):
        here = [file.path for file in expand(here)]
    return next((name for name in [*here, *names] if not is_csv(name)), None)


def _columns(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())
