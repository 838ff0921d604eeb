"""mr-ml pack: text files to a new version of a dataset.

    scan job -> schema and plan -> pack job -> partition files -> manifest -> publish

On a cluster, text that is small is packed without a job, see `mr_ml.packing.in_driver`. Other text is scanned by the
tasks of the pack job, where a sample of it leads to one schema and plan, see `mr_ml.packing.sample`: what all of the
text leads to is held against these before anything is published, and if it is something else, one more job packs it.
Nothing is visible before the manifest is published; what a failed pack wrote is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from hdfs_layout import Root, check_name
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset, Partition, load_dataset
from mr_ml.catalog.leftovers import UnfinishedPack
from mr_ml.errors import BadDataError, InternalError, MrMlError, UsageError
from mr_ml.ids import unique_id
from mr_ml.packing import chance, sample
from mr_ml.packing.exchange import (
    Exchange,
    NoRoomError,
    PackMemory,
    Ranges,
    Shuffled,
    Target,
    bring,
    exchange_of,
    scan,
)
from mr_ml.packing.in_driver import in_driver, is_small
from mr_ml.packing.manifest import described, partitions_of
from mr_ml.packing.plan import PackPlan, make_plan, shares_of
from mr_ml.packing.spec import PackSpec
from mr_ml.packing.totals import with_labels_of
from mr_ml.readers.base import Format, Opened, format_by_names, format_named
from mr_ml.readers.labels import label_texts
from mr_ml.readers.rows import BAD_KINDS, listed
from mr_ml.readers.schema import Options, Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.source import TextFile
from mr_ml.runners.base import Runner, TextSource

Say = Callable[[str], None]
_SHOWN_REASONS = 20
# By the name of whose rows what is learnt of values is learnt, where the split goes by file.
TRAIN = "train"


# moments of enormous numbers are infinite; the warning would name no feature
@np.errstate(all="ignore")
def pack(
    spec: PackSpec, *, root: Root, runner: Runner, say: Say, warn: Say, memory: PackMemory, dry_run: bool = False
) -> Dataset:
    """Pack and publish.

    Parameters
    ----------
    dry_run
        Do all but publish, and remove what was written: the dataset that is returned has version 0, and is nowhere.
    say, warn
        Called with what the user should know, and with what may be wrong with a dataset that is published nonetheless.

    Raises
    ------
    BadDataError
        If there are more bad rows than allowed, no rows, or rows that contradict each other.
    """
    check_name(spec.name, kind="dataset")

    def packed(text: TextSource, runner: Runner) -> Dataset:
        with exchange_of(runner, root, memory) as exchange:
            return _pack(spec, text, exchange, root=root, runner=runner, say=say, warn=warn, dry_run=dry_run)

    with runner.text(spec.inputs, longest_line=memory.longest_line) as text:
        if not is_small(text.files, spec.options.format, runner):
            return packed(text, runner)
        say(
            f"packing in this process: text of up to {runner.tasks.pack_bytes >> 20} MB takes it less time than a job "
            "takes to start (pack_in_driver_mb in `config`)"
        )
        try:
            return packed(*in_driver(text, longest_line=memory.longest_line))
        except NoRoomError:
            say("this process has too little memory for it: packing by jobs")
            return packed(text, runner)


def _pack(
    spec: PackSpec, text: TextSource, exchange: Exchange, *, root: Root, runner: Runner, say: Say, warn: Say,
    dry_run: bool,
) -> Dataset:  # fmt: skip
    form = format_named(spec.options.format)
    if not spec.format_is_given:
        _check_names(form, text.files)
    opened = form.open(text.files, spec.options, like=spec.like, first_line=text.first_line)
    if spec.like is not None and opened.like is not None:
        unknown = form.unknown_columns(spec.like, opened.like)
        if unknown:
            say(f"left out, for `like` does not know them: the columns {listed(unknown)}")
    return _Packing(spec, form, text, opened, exchange, root, runner, say, warn, dry_run).run()


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What a scan of all of the text found, and what follows from it.

    Attributes
    ----------
    ranges
        Line numbers count from the start of the file.
    """

    ranges: Ranges
    total: Summary
    schema: Schema
    plan: PackPlan


@dataclass(frozen=True)
class _Packing:
    """One pack, and what it needs."""

    spec: PackSpec
    form: Format
    text: TextSource
    opened: Opened
    exchange: Exchange
    root: Root
    runner: Runner
    say: Say
    warn: Say
    dry_run: bool

    def run(self) -> Dataset:
        """Pack and publish: as is expected of the text, if anything is, and all of it then turns out to be so."""
        found = None
        expected = self._expected()
        if expected is not None:
            schema, plan = expected
            with UnfinishedPack(self.root, self.spec.name, unique_id()) as unfinished:
                target = self._target(schema, plan, unfinished.data_id, scan=self.opened.options)
                with bring(self.exchange, self.text, self.opened.files, target) as brought:
                    found = self._scanned(brought.scanned)
                    is_so = found.plan.deals_as(plan) and found.schema.reads_as(schema)
                    shuffled = brought.shuffled(found.schema) if is_so else None
                if shuffled is not None:
                    return self._published(unfinished, found, brought.reports, shuffled)
                self.root.store.remove_tree(self.root.layout.dataset_data(self.spec.name, unfinished.data_id))
            self.say("the text is not what a sample of it led to expect: packing it once more")
        found = found or self._scanned()
        with UnfinishedPack(self.root, self.spec.name, unique_id()) as unfinished:
            target = self._target(found.schema, found.plan, unfinished.data_id, total=found.total)
            with bring(self.exchange, self.text, self.opened.files, target) as brought:
                shuffled = brought.shuffled(found.schema)
            return self._published(unfinished, found, brought.reports, shuffled)

    def _expected(self) -> tuple[Schema, PackPlan] | None:
        """Return the schema and the plan to which a sample of the text leads, where a job is spared by knowing them."""
        spec, options = self.spec, self.opened.options
        if not (self.exchange.may_scan and self.form.has_lines):
            return None
        by_split: dict[str, list[TextFile]] = {split: [] for split in spec.split_of_input or ("",)}
        for file in self.opened.files:
            by_split[spec.split_of(file) if spec.split_of_input else ""].append(file)
        try:
            taken = sample.take(self.form, options, by_split)
            schema = None if taken is None else self.opened.like or taken.schema(self.form, options)
        except MrMlError:
            # whoever reads all of the text finds the same, and says more
            return None
        plan = None if taken is None or schema is None else taken.plan(partial(self._plan, schema))
        if schema is None or plan is None:
            return None
        # a schema that was given refuses what it does not know
        return schema if self.opened.like is not None else schema.open_ended(), plan

    def _scanned(self, ranges: Ranges | None = None) -> _Found:
        """Scan the text, unless that is done, and once more where the options should have said what all of it says."""
        wanted, reasons = self.opened.options, list[str]()
        while True:
            if ranges is None:
                ranges = scan(self.runner, self.exchange, self.text, wanted, self.opened.files)
            if self.opened.like is not None:
                return self._found(ranges)
            summary = sum(self._numbered(ranges, ranges).values(), Summary())
            more, why = self.form.declared(wanted, summary)
            if more == wanted:
                return self._found(ranges, reasons)
            wanted, reasons, ranges = more, [*reasons, *why], None

    def _found(self, ranges: Ranges, reasons: Sequence[str] = ()) -> _Found:
        """Judge what a scan found, unless a borrowed schema is to judge it; decide on schema and plan."""
        spec, form, opened = self.spec, self.form, self.opened
        scanned = self._numbered(ranges, ranges)
        total = sum(scanned.values(), Summary())
        if opened.like is None:
            _judge(total, spec, self.say, reasons)
            train = _by_split(spec, opened.files, scanned).get(TRAIN)
            schema = form.resolve(opened.options, total if train is None else total.learning_from(train))
            if not spec.header_is_given:
                form.check_header(opened, schema)
            for doubt in form.doubts(opened.options, total)[:_SHOWN_REASONS]:
                self.warn(doubt)
        else:
            schema = opened.like
        if spec.by_group and not schema.has_groups:
            raise UsageError(
                "`split_by`: expected rows with groups, found none; libsvm rows need a qid:N, CSV rows a column"
            )
        by_split = _by_split(spec, opened.files, scanned) or {"": total}
        plan = self._plan(schema, {split: (of.n_rows, of.nnz) for split, of in by_split.items()})
        return _Found(ranges=scanned, total=total, schema=schema, plan=plan)

    def _plan(self, schema: Schema, rows: Mapping[str, tuple[int, int]]) -> PackPlan:
        """Make the plan of rows and stored features, by split if that goes by file."""
        spec, n_features = self.spec, schema.n_features
        stored = {split: (n_rows, min(nnz, n_rows * n_features)) for split, (n_rows, nnz) in rows.items()}
        n_rows, nnz = (sum(counts) for counts in zip(*rows.values(), strict=True))
        return make_plan(
            n_rows=n_rows, nnz=nnz, n_features=n_features, shares=spec.shares or shares_of(stored),
            folds=spec.folds, seed=spec.seed, by_group=spec.by_group, by_file=bool(spec.split_of_input),
            partitions=spec.partitions,
        )  # fmt: skip

    def _target(
        self, schema: Schema, plan: PackPlan, data_id: str, *, total: Summary | None = None, scan: Options | None = None
    ) -> Target:
        spec = self.spec
        n_columns = schema.n_features if total is None else total.n_columns(schema.n_features)
        splits = splits_known_as(spec, self.text, self.opened.files) if spec.split_of_input else {}
        return Target(
            schema=schema, plan=plan, name=spec.name, data_id=data_id, n_columns=n_columns, splits=splits, scan=scan
        )

    def _numbered(self, in_scan: Ranges, scanned: Ranges) -> Ranges:
        return _numbered(in_scan, scanned, first_line=self.form.header_lines(self.opened.options))

    def _published(self, unfinished: UnfinishedPack, found: _Found, reports: Ranges, shuffled: Shuffled) -> Dataset:
        """Prove that what was found is what was packed, and publish."""
        spec, root, plan, schema = self.spec, self.root, found.plan, found.schema
        data_id = unfinished.data_id = shuffled.data_id
        partitions, totals = partitions_of(spec.name, data_id, root, plan, shuffled.facts), shuffled.moments
        reports = self._numbered(reports, found.ranges)
        packed = sum(reports.values(), Summary())
        self.text.check_rest(self.opened.files)
        _check_rows(partitions, packed, found.total, borrowed=spec.like is not None)
        if spec.like is not None:
            # the scan judged the rows by themselves; a borrowed schema also refuses what it does not know
            _judge(packed, spec, self.say, _labels_there_are(schema) if "unseen_label" in packed.bad_counts else [])
            schema = with_labels_of(schema, totals)
        if packed.n_unseen:
            self.say(
                f"{packed.n_unseen} unseen values were ignored: of {self.form.unseen[0]} that the dataset of `like` "
                "does not have"
            )
        missing_by_split = _by_split(spec, self.opened.files, reports)
        missing: dict[str, Mapping[str, Any]] = {
            "missing": packed.missing,
            "missing_by_split": {split: of.missing for split, of in missing_by_split.items()},
        }
        dataset = described(spec, data_id, root, schema, plan, partitions, totals, packed, missing)
        if not spec.split_of_input:
            for warning in chance.warnings(plan, {s: dataset.n_rows(s) for s in dataset.splits}, dataset.label_counts):
                self.warn(warning)
        if not schema.n_features:
            self.warn("no column is a feature: a model of this dataset has an intercept and nothing else")
        if self.dry_run:
            return dataset
        version = unfinished.publish(dataset.to_json())
        # which may be of another process with the same request
        return (
            replace(dataset, version=version) if spec.request is None else load_dataset(root, f"{spec.name}@{version}")
        )


def _by_split(spec: PackSpec, files: Sequence[TextFile], ranges: Ranges) -> dict[str, Summary]:
    """Add up what was found in ranges of the files by split, if that goes by file; else nothing.

    Raises
    ------
    BadDataError
        If there are no rows for a split.
    """
    splits = {file.path: spec.split_of(file) for file in files} if spec.split_of_input else {}
    found: dict[str, Summary] = {split: Summary() for split in spec.split_of_input}
    for (file, _), summary in ranges.items() if splits else ():
        found[splits[file]] += summary
    for split, summary in found.items():
        if not summary.n_rows:
            named = ", ".join(spec.inputs_of_splits()[split])
            raise BadDataError(f"expected rows of the split {split}, found none in {named[:500]}")
    return found


def splits_known_as(spec: PackSpec, text: TextSource, files: Sequence[TextFile]) -> dict[str, str]:
    """Return the split of each file, by the path by which tasks know it.

    Raises
    ------
    UsageError
        If these cannot tell files of different splits apart: they have the same path in two stores.
    """
    splits: dict[str, str] = {}
    for file in files:
        path, split = text.known_as(file, spec.options.format), spec.split_of(file)
        if splits.setdefault(path, split) != split:
            raise UsageError(
                f"`split_inputs`: found {path} in two stores, for the splits {splits[path]} and {split}; copy one of "
                "these files to another path"
            )
    return splits


def _check_names(form: Format, files: Sequence[TextFile]) -> None:
    """Refuse files that all are called by the names of another format, which the user should choose then."""
    other = format_by_names([file.path for file in files])
    if other is not None and other != form.name:
        raise UsageError(
            f"expected {form.name} text, found {files[0].path} and other {other} files; say `format` {other}"
        )


def _numbered(in_scan: Ranges, scanned: Ranges, *, first_line: int) -> Ranges:
    """Count the line numbers of each range from the start of its file, whose first row is in line `first_line`."""
    numbered: Ranges = {}
    lines = dict.fromkeys((file for file, _ in scanned), first_line)
    for (file, start), summary in sorted(scanned.items(), key=lambda item: item[0]):
        if (file, start) in in_scan:
            numbered[file, start] = in_scan[file, start].shifted(by=lines[file])
        lines[file] += summary.n_lines
    return numbered


def _labels_there_are(schema: Schema) -> list[str]:
    """Say which labels a borrowed schema has, of many the first."""
    return [f"The labels of `like` are {listed(label_texts(schema, schema.codes))}"] if schema.labels else []


def _judge(total: Summary, spec: PackSpec, say: Say, reasons: Sequence[str]) -> None:
    """Report bad rows; too many, or no good ones, are the end."""
    if total.n_bad:
        form = format_named(spec.options.format)
        hints = [] if total.n_rows else form.hints(spec.options, total, is_said=spec.format_is_given)
        report = "\n".join([_bad_rows(total), *reasons[:_SHOWN_REASONS], *hints])
        if total.n_bad > spec.max_bad_rows:
            # without them no row would be left
            allow = f", or allow them with `max_bad_rows` {total.n_bad}" if total.n_rows else ""
            raise BadDataError(f"{report}\nNothing was packed. Fix the rows{allow}")
        say(report)
    if not total.n_rows:
        raise BadDataError(f"expected rows, found none in {', '.join(spec.inputs)[:500]}")


def _bad_rows(summary: Summary) -> str:
    lines = [f"{summary.n_bad} bad rows beside {summary.n_rows} good ones:"]
    for kind, count in sorted(summary.bad_counts.items()):
        lines.append(f"  {kind} ({count}): {BAD_KINDS[kind]}")
        examples = [(file, row) for file, row in summary.examples if row.kind == kind][:3]
        lines += [f"    {file}:{row.line + 1}: {row.excerpt}" for file, row in examples]
    return "\n".join(lines)


def _check_rows(partitions: Sequence[Partition], packed: Summary, scanned: Summary, *, borrowed: bool) -> None:
    """Refuse a pack whose rows differ in number between the scan, the shuffle and the partitions."""
    # a borrowed schema refuses rows that the scan found good
    before, after = ((s.n_lines, s.n_rows + (s.n_bad + s.n_dropped if borrowed else 0)) for s in (scanned, packed))
    if before != after:
        raise BadDataError(
            f"the input changed while it was packed: expected the {before[1]} rows in {before[0]} lines that the scan "
            f"saw, found {after[1]} in {after[0]}; pack again when nothing writes to the files"
        )
    rows = sum(p.facts.rows for p in partitions)
    if rows != packed.n_rows:
        raise InternalError(
            f"the shuffle was not complete: {packed.n_rows} rows went in, {rows} came out; run it again"
        )
