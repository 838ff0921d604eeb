"""What `retrain.yaml` can say: a frozen dataclass a section, and `RetrainConfig`, which has them all.

Sections that only one part of retraining reads are defined beside that part; here are the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, fields, is_dataclass
from typing import Annotated, Any, ClassVar, Literal

from hdfs_layout.dataclass import dataclass
from hdfs_layout.limits import MAX_PARTITION
from mr_ml.catalog.retention_rules import RetentionRules
from mr_ml.data import stored
from mr_ml.models.base import UNNAMED_KIND
from mr_ml.packing.choices import PackChoices
from mr_ml.passes.engines import ENGINES
from mr_ml.retraining.gate.rules import GateRules
from mr_ml.retraining.window import InputRules
from mr_ml.runners.base import RUNNERS, RunnerOptions
from mr_ml.settings.environment import FromEnvironment, hide

Column = str | int
Columns = str | tuple[Column, ...]
Share = Annotated[float, stored.Rule("a number between 0 and 1", lambda share: 0 < share < 1)]
Event = Literal["success", "refusal", "failure", "superseded"]


@dataclass(frozen=True, kw_only=True)
class ReaderRules:
    """The section `reader:`: how the text is read and packed, by the names that `mr_ml.pack` gives its parameters.

    Attributes
    ----------
    format
        csv, libsvm, or a format of an installed package; None for what the names of the files say.
    like
        A dataset whose schema (columns, vocabularies, labels) is used.
    split_by
        A column, or "qid": rows of one group stay in one split.
    seed
        Of the shuffle, and of a split by hash.
    partitions
        Number of partition files; None for as many as the size of the data asks for.
    max_bad_rows
        How many bad rows are put up with.
    unseen_features
        libsvm, with `like`: whether features that it does not have are an error or ignored.
    index_base
        libsvm: the first feature id, 0 or 1; None to find out.
    label_weights
        libsvm: whether rows have weights behind their labels, label:weight.
    offset_feature
        libsvm: the id of the feature whose value is the offset of its row, 0 where it lacks; null for none.
    hash_bits
        Vowpal Wabbit's text: features are numbered by hashes of so many bits; None for a list of their names.
    delimiter
        CSV: one character, or "tab".
    header
        CSV: whether the first line names the columns; None for yes, unless it looks like a row, which is an error.
    label_column
        CSV: the column of the label; None for the one called label, target or y.
    weight_column
        CSV: the column of row weights.
    offset_column
        CSV: the column of a known part of the margin.
    drop
        CSV: columns to leave out.
    categorical
        CSV: columns to encode one-hot although they are numbers.
    numeric
        CSV: columns in which anything but a number is a bad row.
    missing_markers
        CSV: texts that mean no value; None for the default ones.
    decimal
        CSV: decimal mark.
    thousands
        CSV: what separates groups of three digits.
    percent
        CSV: whether numbers may end with %, and are then hundredths.
    missing
        CSV: "error", "drop", "zero" or "value:X", of numbers that are missing.
    unseen
        CSV: whether categories that are not in the vocabulary are an error or ignored.
    schema
        CSV: a schema file (docs/schema.md), which says what each column is, and nothing that other keys here say too.
    """

    format: str | None = None
    like: str | None = None
    split_by: Column | None = None
    seed: int = 0
    partitions: Annotated[int, stored.at_least(1), stored.at_most(MAX_PARTITION)] | None = None
    max_bad_rows: stored.Count = 0
    unseen_features: Literal["error", "ignore"] = "error"
    index_base: Literal[0, 1] | None = None
    label_weights: bool = False
    offset_feature: Annotated[int, stored.at_least(0), stored.at_most(2**31 - 1)] | None = None
    hash_bits: Annotated[int, stored.at_least(1), stored.at_most(30)] | None = None
    delimiter: str = ","
    header: bool | None = None
    label_column: Column | None = None
    weight_column: Column | None = None
    offset_column: Column | None = None
    drop: Columns = ()
    categorical: Columns = ()
    numeric: Columns = ()
    missing_markers: Columns | None = None
    decimal: str = "."
    thousands: str = ""
    percent: bool = False
    missing: str = "error"
    unseen: Literal["error", "ignore"] = "error"
    schema: str | None = None

    @property
    def text(self) -> dict[str, Any]:
        """What is said of text of one format: `mr_ml.packing.choices.PackChoices.text`."""
        known = {item.name for item in fields(PackChoices)}
        said = {name: value for name, value in vars(self).items() if name not in known and value not in (None, ())}
        header, base = said.pop("header", None), said.pop("index_base", None)
        said |= {"no_header": header is False, "header": header is True}
        return said | ({} if base is None else {"index_base": str(base)})

    def pack_choices(self) -> PackChoices:
        """Return what a pack is asked for, but its splits."""
        known = {item.name for item in fields(PackChoices)}
        return PackChoices(**{name: value for name, value in vars(self).items() if name in known}, text=self.text)


@dataclass(frozen=True, kw_only=True)
class SplitRules:
    """The section `split:`: which rows the candidate is measured on.

    Attributes
    ----------
    by
        "time": trained on the past, tested on the newest days; "hash": dealt by the rows' content.
    test_days
        By time: how many of the newest days that have data are tested on.
    test_share
        By hash: the share of the rows that is tested on; `reader.seed` deals them.
    """

    by: Literal["time", "hash"] = "time"
    test_days: stored.Positive = 1
    test_share: Share = 0.1

    only_for: ClassVar[Mapping[str, tuple[str, ...]]] = {"time": ("test_days",), "hash": ("test_share",)}


@dataclass(frozen=True, kw_only=True)
class RunnerRules:
    """The section `runner:`: where jobs run.

    Attributes
    ----------
    name
        inline, local, hadoop, emr, spark, or a runner of an installed package.
    workers
        Worker processes of runner local; None for as many as there are processors.
    memory
        Of all processes on this machine together, such as 4G; None for half of what is free.
    config
        File with the settings of a cluster.
    cluster_id
        Of a cluster on EMR that runs; None for one of its own, for this retraining only.
    master
        Of Spark, such as "yarn".
    engine
        resident: with runner hadoop one job whose tasks stay for all passes of a retraining; mapreduce: a job for each
        pass; auto: resident where that can be, else mapreduce. None for auto.
    """

    name: Annotated[str, stored.registered(RUNNERS)] = "local"
    workers: Annotated[int, stored.at_least(1), stored.at_most(1024)] | None = None
    memory: str | int | None = None
    config: str | None = None
    cluster_id: str | None = None
    master: str | None = None
    engine: Annotated[str, stored.registered(ENGINES)] | None = None

    @property
    def options(self) -> RunnerOptions:
        """As a kind of runner takes them."""
        memory = None if self.memory is None else str(self.memory)
        return RunnerOptions(
            workers=self.workers, memory=memory, config=self.config, cluster_id=self.cluster_id, master=self.master
        )


@dataclass(frozen=True, kw_only=True)
class LockRules:
    """The section `lock:`.

    Attributes
    ----------
    lease_seconds
        On a cluster: so long after its last sign of life the owner of a lock counts as dead.
    """

    lease_seconds: Annotated[float, stored.at_least(1)] = 60.0


@dataclass(frozen=True, kw_only=True)
class NotifyRules:
    """An entry of the list `notify:`: who is told what; either `command` or `webhook`.

    Attributes
    ----------
    on
        failure: it ended with an error; refusal: the gate refused the candidate; success: a version was promoted;
        superseded: an unfinished older window was given up for a newer one.
    command
        A program and its arguments, a word each; no shell reads them.
    webhook
        A URL that is sent JSON.
    """

    on: tuple[Event, ...]
    command: tuple[str, ...] | None = None
    webhook: str | None = None

    def check_stored(self) -> None:
        """Raise ValueError if there is not one way to tell, or nothing to tell."""
        if not self.on:
            raise ValueError("`on`: expected at least one of failure, refusal, success, superseded, found none")
        if len(set(self.on)) < len(self.on):
            raise ValueError(f"`on`: expected every event once, found {', '.join(self.on)}")
        if (self.command is None) == (self.webhook is None):
            found = "neither" if self.command is None else "both"
            raise ValueError(f"expected either `command` or `webhook`, found {found}")
        if self.command is not None and not (self.command and self.command[0]):
            raise ValueError("`command`: expected a program and its arguments, found no program")
        if any("\0" in word for word in self.command or ()):
            raise ValueError("`command`: expected words, found one with a null character")

    @property
    def variables(self) -> list[str]:
        """Names of the environment variables that it names."""
        return variables_of(self)


@dataclass(frozen=True, kw_only=True)
class RetrainConfig:
    """All that `retrain.yaml` says.

    Attributes
    ----------
    model
        Name of the model.
    input
        Where the rows are, and of which days.
    root
        Where datasets, models and runs are kept: a folder or a URI. None for what the command line or MR_ML_ROOT says.
    dataset
        Name of the dataset that is packed; None for the model's name.
    timezone
        Whose days the window has, such as Europe/Berlin.
    reader
        How the text is read and packed.
    split
        Which rows the candidate is measured on.
    train
        What is fitted: `kind`, by default linear, and the options of that kind of model.
    warm_start
        Whether training starts from the published model.
    warm_start_from
        A file of coefficients, here or at a URI, from which training starts where it does not start from the published
        model: on the first night, and with `warm_start: false` on every one.
    runner
        Where jobs run.
    gate
        What a candidate must be like to be promoted.
    retention
        What is kept.
    on_unfinished
        What becomes of an older window whose retraining was interrupted: "resume" finishes it first, "supersede" gives
        it up for the newest one.
    lock
        How long a lock outlives its owner.
    notify
        Who is told what.
    metrics_file
        A file that is rewritten after every retraining, for the textfile collector of Prometheus' node exporter.
    report
        Whether a page of HTML tells of every retraining: report.html in the folder of its run.
    """

    # read by pydantic, which need not be installed for it; sections have the same, being inside of this one
    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}

    model: stored.Name
    input: InputRules
    root: str | None = None
    dataset: stored.Name | None = None
    timezone: str = "UTC"
    reader: ReaderRules = field(default_factory=ReaderRules)
    split: SplitRules = field(default_factory=SplitRules)
    train: Mapping[str, Any] = field(default_factory=dict)
    warm_start: bool = True
    warm_start_from: str | None = None
    runner: RunnerRules = field(default_factory=RunnerRules)
    gate: GateRules = field(default_factory=GateRules)
    retention: RetentionRules = field(default_factory=RetentionRules)
    on_unfinished: Literal["resume", "supersede"] = "resume"
    lock: LockRules = field(default_factory=LockRules)
    notify: tuple[NotifyRules, ...] = ()
    metrics_file: str | None = None
    report: bool = False

    @property
    def dataset_name(self) -> str:
        """Name of the dataset that is packed."""
        return self.model if self.dataset is None else self.dataset

    @property
    def kind(self) -> str:
        """Kind of the model."""
        return str(self.train.get("kind", UNNAMED_KIND))

    @property
    def train_options(self) -> dict[str, Any]:
        """Options of the kind of model, by the names of the fields of its spec."""
        return {name: value for name, value in self.train.items() if name != "kind"}

    @property
    def variables(self) -> list[str]:
        """Names of the environment variables that the file names."""
        return variables_of(self)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; what came from the environment is as the file has it, ``${NAME}``."""
        document: dict[str, Any] = _written(self)
        return document

    def hide(self, text: str) -> str:
        """Return a text in which what came from the environment is as the file has it."""
        return hide(text, _texts(self))


def variables_of(value: Any) -> list[str]:
    """Return the names of the environment variables that a value of the settings, or a part of it, names."""
    return sorted({name for text in _texts(value) for name in text.values})


def _written(value: Any) -> Any:
    if isinstance(value, FromEnvironment):
        return value.written
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _written(item) for name, item in vars(value).items()}
    if isinstance(value, Mapping):
        return {name: _written(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_written(item) for item in value]
    return value


def _texts(value: Any) -> Iterator[FromEnvironment]:
    if isinstance(value, FromEnvironment):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _texts(vars(value))
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
