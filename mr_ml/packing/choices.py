"""What a user can choose of a pack, and the `PackSpec` that it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Annotated, Any, Literal

from hdfs_layout.dataclass import dataclass
from hdfs_layout.limits import MAX_PARTITION
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.packing.plan import check_shares, is_split_name
from mr_ml.packing.sniff import DEFAULT, format_by_content, format_by_options
from mr_ml.packing.spec import PackSpec
from mr_ml.readers.base import format_by_names, format_named, formats_by_name, is_named_as
from mr_ml.readers.registry import FORMATS
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.text.source import expand

PartitionCount = Annotated[int, stored.at_least(1), stored.at_most(MAX_PARTITION)]


@dataclass(frozen=True, kw_only=True)
class PackChoices:
    """What a user can choose of a pack.

    Attributes
    ----------
    split
        Split name -> share of the rows; the shares sum to 1.
    split_inputs
        Split name -> files, folders or globs whose rows it has, instead of shares.
    folds
        Cut each split into so many folds of whole partitions.
    split_by
        A CSV column, or "qid": rows of one group stay in one split and fold.
    seed
        Of split, folds and shuffle.
    partitions
        Number of partition files; None for as many as the size of the data asks for.
    like
        A dataset whose schema (columns, vocabularies, labels) is used.
    unseen_features
        libsvm, with `like`: whether feature ids that it does not have are an error or ignored.
    max_bad_rows
        How many bad rows are put up with.
    format
        Name of the format; None for what the names of the files say.
    text
        What is said of text of one format: by the names of `mr_ml.readers.base.Format.parameters`.
    """

    split: Mapping[str, float] = field(default_factory=lambda: {"train": 1.0})
    split_inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    folds: PartitionCount = 1
    split_by: str | int | None = None
    seed: int = 0
    partitions: PartitionCount | None = None
    like: str | None = None
    unseen_features: Literal["error", "ignore"] = "error"
    max_bad_rows: stored.Count = 0
    format: str | None = None
    text: Mapping[str, Any] = field(default_factory=dict)


# How parameters of formats are spelled that are two for one.
_SPELLED = {"no_header": "header=False", "header": "header=True"}


def pack_spec(
    inputs: Sequence[str], name: str, choices: PackChoices, like: Schema | None, *, request: str | None = None
) -> PackSpec:
    """Return the spec of a pack.

    Parameters
    ----------
    inputs
        None of them if `PackChoices.split_inputs` names all.
    like
        Schema of the dataset `PackChoices.like`.
    request
        See `PackSpec`.

    Raises
    ------
    UsageError
        If choices contradict each other.
    """
    choices = with_schema_file(choices)
    by_input = [(split, given) for split, named in _by_split(inputs, choices).items() for given in named]
    inputs = [given for _, given in by_input] or inputs
    if choices.unseen_features == "ignore":
        if like is None or like.feature_names is not None:
            raise UsageError(
                "`unseen_features`: expected `like` with a dataset of libsvm rows, whose features are known; for CSV "
                "there is `unseen`"
            )
        like = format_named(like.format).with_unseen(like, "ignore")
    options = _options(inputs, choices) if like is None else _borrowed(inputs, choices, like.options)
    return PackSpec(
        inputs=tuple(inputs),
        name=name,
        options=options,
        shares={} if by_input else check_shares(choices.split),
        split_of_input=tuple(split for split, _ in by_input),
        folds=choices.folds,
        seed=choices.seed,
        by_group=choices.split_by is not None,
        partitions=choices.partitions,
        max_bad_rows=choices.max_bad_rows,
        like=like,
        format_is_given=choices.format is not None or like is not None,
        header_is_given=bool(choices.text.get("header")),
        request=request,
    )


def with_schema_file(choices: PackChoices) -> PackChoices:
    """Return the choices with what a schema file says, if there is one."""
    path = choices.text.get("schema")
    if path is None:
        return choices
    if choices.like is not None:
        raise UsageError("`schema`: expected no `like` beside it, which has a schema already; leave one of them out")
    unsaid = {name: value for form in map(format_named, FORMATS.built_in) for name, value in form.parameters.items()}
    said = {name: value for name, value in choices.text.items() if value != unsaid.get(name) and name != "schema"}
    if choices.split_by is not None:
        said["split_by"] = choices.split_by
    from mr_ml.settings.table_file import read_table

    text = read_table(path, said=said)
    return replace(choices, split_by=text.pop("split_by", None), text=text)


def _by_split(inputs: Sequence[str], choices: PackChoices) -> Mapping[str, Sequence[str]]:
    """Return the inputs of each split, if the split of a row is that of its file."""
    chosen = choices.split_inputs
    if not chosen and not inputs:
        raise UsageError("expected inputs: files, folders or globs of text; found none")
    if chosen and (inputs or choices.split != {"train": 1.0}):
        raise UsageError("`split_inputs` names all inputs and their splits: leave other inputs and `split` out")
    for split, named in chosen.items():
        if not is_split_name(split) or not named or not all(named):
            raise UsageError(
                "`split_inputs`: expected names of letters, digits, _ and - with files, folders or globs, found "
                f"{split!r} with {list(named)[:5]!r}"
            )
    return chosen


def _options(inputs: Sequence[str], choices: PackChoices, format: str | None = None) -> Options:
    """Return how the user says the text is to be read; what is for text of another format is refused."""
    chosen = choices.format or format
    files = [] if chosen or format_by_names(inputs) else expand(inputs)
    names = [file.path for file in files] or ([] if chosen else list(inputs))
    named = chosen or format_by_names(names)
    if named is None:
        _check_mixed(names)
    form = format_named(named or format_by_content(files) or format_by_options(choices.text) or DEFAULT)
    for another in map(format_named, FORMATS.built_in):
        for name, unsaid in another.parameters.items():
            if name in form.parameters or choices.text.get(name, unsaid) == unsaid:
                continue
            other = next((file for file in names if another.suffixes and not is_named_as(file, another)), None)
            why = "" if chosen else " by the names of the files" if named else " by how they begin"
            why = f" since {other} is not called {another.suffixes[0]}" if other else why
            raise UsageError(
                f"`{_SPELLED.get(name, name)}` is for {another.name} text, but the text is read as {form.name}{why}: "
                f"say `format` {another.name}, or leave that option out"
            )
    own = {name: value for name, value in choices.text.items() if name in form.parameters}
    options: Options = form.options({**own, "split_by": choices.split_by})
    return options


def _check_mixed(files: Sequence[str]) -> None:
    """Refuse files whose names say that they are of several formats."""
    found = formats_by_name(files)
    if len(found) > 1:
        named = ", ".join(f"{file} ({form})" for form, file in found.items())
        raise UsageError(
            f"expected files of one format, found names of {len(found)}: {named}; pack those of one format at a time, "
            "or say `format` if all are of one"
        )


def _borrowed(inputs: Sequence[str], choices: PackChoices, like: Options) -> Options:
    """Return the options of the dataset given by `like`, which nothing said beside it may contradict."""
    given, defaults, known = (
        _options(inputs, choices, like.format).to_json(),
        format_named(like.format).options({}).to_json(),
        like.to_json(),
    )
    for name, value in given.items():
        theirs = known.get(name)
        if value not in (defaults.get(name), theirs):
            raise UsageError(
                f"`like` {choices.like} was packed with {name} {theirs!r}, found {value!r}; leave that out"
            )
    return like
