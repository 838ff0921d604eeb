"""mr-ml pack: text files to a new version of a dataset.

    scan job -> schema and plan -> pack job -> partition files -> manifest -> publish

Nothing is visible before the manifest is published; what a failed pack wrote is removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hdfs_layout import Layout, Store, check_name, publish_version
from mr_ml.dataset import Dataset, Partition, StoredFile
from mr_ml.engine.jobs import JobRunner
from mr_ml.errors import BadDataError, InternalError, UsageError
from mr_ml.names import unique_id
from mr_ml.pack.plan import PackPlan, make_plan
from mr_ml.pack.tasks import REPORT, PackRequest, ScanRequest, facts_of, report_of, shifted
from mr_ml.pack.totals import feature_moments, label_counts, split_totals, with_labels_of
from mr_ml.partition_file import PartitionFacts
from mr_ml.readers import formats
from mr_ml.readers.rows import BAD_KINDS
from mr_ml.readers.schema import Schema, Summary, TextOptions
from mr_ml.readers.source import TextFile, TextRange, expand, first_line, ranges
from mr_ml.statistic import Statistic

Say = Callable[[str], None]


@dataclass(frozen=True)
class PackSpec:
    """What the user asked for.

    Attributes
    ----------
    shares
        Split name -> share.
    like
        Schema of an existing dataset to use instead of what this text suggests.
    """

    inputs: tuple[str, ...]
    name: str
    options: TextOptions
    shares: Mapping[str, float]
    folds: int = 1
    seed: int = 0
    by_group: bool = False
    partitions: int | None = None
    max_bad_rows: int = 0
    like: Schema | None = None


# moments of enormous numbers are infinite; the warning would name no feature
@np.errstate(all="ignore")
def pack(spec: PackSpec, *, store: Store, layout: Layout, runner: JobRunner, say: Say) -> Dataset:
    """Pack and publish.

    Raises
    ------
    BadDataError
        If there are more bad rows than allowed, no rows, or rows that contradict each other.
    """
    check_name(spec.name, kind="dataset")
    found = expand(spec.inputs)
    stamps = {file.path: _stamp(file) for file in found}
    files = [_with_header(file, spec.options) for file in found]
    options = replace(spec.options, **_columns(files, spec.options)) if spec.options.format == "csv" else spec.options
    like = None if spec.like is None else _bound(spec.like, files[0])
    tasks = ranges(files, n_tasks=runner.n_tasks)
    scanned = _scan(options, tasks, runner)
    summary = sum(scanned.values(), Summary())
    if spec.like is None:
        _judge(summary, spec, say)
    schema = formats.resolve(options, summary) if like is None else like
    if spec.by_group and not schema.has_groups:
        raise UsageError(
            "--split-by: expected rows with groups, found none; libsvm rows need a qid:N, CSV rows a column"
        )
    plan = make_plan(
        n_rows=summary.n_rows, nnz=summary.nnz, n_features=schema.n_features, shares=spec.shares, folds=spec.folds,
        seed=spec.seed, by_group=spec.by_group, partitions=spec.partitions,
    )  # fmt: skip
    data_id = unique_id()
    folder, spill = layout.dataset_data(spec.name, data_id), layout.spill(spec.name, data_id)
    try:
        store.make_folder(spill)
        paths = [layout.partition(spec.name, data_id, number) for number in range(plan.n_partitions)]
        request = PackRequest(schema, plan, tuple(_local(store, path) for path in paths), _local(store, spill))
        answers, reports = _shuffle(request, tasks, runner)
        for number in set(range(plan.n_partitions)) - set(answers):
            store.write(paths[number], b"")
        partitions = _partitions(plan, paths, {number: facts for number, (facts, _) in answers.items()})
        totals = split_totals(partitions, {number: moments for number, (_, moments) in answers.items()})
        packed = sum(_numbered(reports, scanned, options).values(), Summary())
        _check_rest(files, stamps)
        _check_rows(partitions, packed, summary, borrowed=spec.like is not None)
        if spec.like is not None:
            # the scan judged the rows by themselves; a borrowed schema also refuses what it does not know
            _judge(packed, spec, say)
            schema = with_labels_of(schema, totals)
        moments = {
            split: feature_moments(total).save(store, layout.moments(spec.name, data_id, split))
            for split, total in totals.items()
        }
        dataset = _manifest(spec, data_id, schema, plan, partitions, totals, packed, moments)
        store.remove_tree(spill)
    except BaseException:
        store.remove_tree(folder)
        raise
    # from here on the version may be visible whatever is raised, so its data stays
    version = publish_version(store, layout.dataset(spec.name), dataset.to_json())
    return replace(dataset, version=version)


def _with_header(file: TextFile, options: TextOptions) -> TextFile:
    has_header = options.format == "csv" and options.header
    return replace(file, header_bytes=len(first_line(file))) if has_header else file


def _columns(files: Sequence[TextFile], options: TextOptions) -> dict[str, Any]:
    """Column names of the files, which must agree."""
    first = files[0]
    header = first_line(first)
    columns = formats.split_header(header, options)
    for file in files[1:] if options.header else ():
        found = formats.split_header(first_line(file), options)
        if found != columns:
            raise BadDataError(
                f"{file.path}: expected the columns of {first.path}, {list(columns)}, found {list(found)}"
            )
    return {"columns": columns}


def _bound(like: Schema, file: TextFile) -> Schema:
    """The borrowed schema for the columns of these files."""
    try:
        return formats.bind(like, first_line(file))
    except BadDataError as error:
        raise BadDataError(f"{file.path}: {error}") from error


Ranges = dict[tuple[str, int], Summary]


def _scan(options: TextOptions, tasks: Sequence[Sequence[TextRange]], runner: JobRunner) -> Ranges:
    """The summary of each range of text, by file and first byte; line numbers count from the start of the file."""
    from mr_ml_jobs.scan_job import MRScan

    found: Ranges = {}
    request = ScanRequest(options).encode()
    for key, value in runner.run(MRScan, request=request, tasks=[TextRange.listing(task) for task in tasks]):
        file, start = json.loads(key)
        found[file, start] = Summary.from_json(json.loads(value))
    _check_ranges(tasks, found, doing="scanning")
    return _numbered(found, found, options)


def _numbered(found: Ranges, scanned: Ranges, options: TextOptions) -> Ranges:
    """Count the line numbers of each range from the start of its file."""
    numbered: Ranges = {}
    lines = dict.fromkeys((file for file, _ in scanned), int(_has_header(options)))
    for (file, start), summary in sorted(scanned.items(), key=lambda item: item[0]):
        if (file, start) in found:
            numbered[file, start] = shifted(found[file, start], by=lines[file])
        lines[file] += summary.n_lines
    return numbered


def _judge(total: Summary, spec: PackSpec, say: Say) -> None:
    """Report bad rows; too many, or no good ones, are the end."""
    if total.n_bad:
        report = _bad_rows(total)
        if total.n_bad > spec.max_bad_rows:
            raise BadDataError(
                f"{report}\nNothing was packed. Mend the rows, or allow them with --max-bad-rows {total.n_bad}"
            )
        say(report)
    if not total.n_rows:
        raise BadDataError(f"expected rows, found none in {', '.join(spec.inputs)[:500]}")


def _has_header(options: TextOptions) -> bool:
    return options.format == "csv" and options.header


def _bad_rows(summary: Summary) -> str:
    lines = [f"{summary.n_bad} bad rows beside {summary.n_rows} good ones:"]
    for kind, count in sorted(summary.bad_counts.items()):
        lines.append(f"  {kind} ({count}): {BAD_KINDS[kind]}")
        examples = [(file, row) for file, row in summary.examples if row.kind == kind][:3]
        lines += [f"    {file}:{row.line + 1}: {row.excerpt}" for file, row in examples]
    return "\n".join(lines)


def _local(store: Store, path: str) -> str:
    found = store.local_path(path)
    if found is None:
        raise UsageError(f"{store.uri(path)} cannot be written by tasks on this machine; use a folder as --root")
    return found


def _shuffle(
    request: PackRequest, tasks: Sequence[Sequence[TextRange]], runner: JobRunner
) -> tuple[dict[int, tuple[PartitionFacts, Statistic]], Ranges]:
    """Run the pack job: facts and feature moments of each partition that has rows, and the reports of all ranges.

    Raises
    ------
    InternalError
        If a report is missing or came twice.
    """
    from mr_ml_jobs.pack_job import MRPack

    answers: dict[int, tuple[PartitionFacts, Statistic]] = {}
    reports: Ranges = {}
    lines = [TextRange.listing(task) for task in tasks]
    for key, value in runner.run(MRPack, request=request.encode(), tasks=lines, n_reducers=runner.n_tasks):
        if key == REPORT:
            place, summary = report_of(value)
            if place in reports:
                raise InternalError(f"{place[0]} from byte {place[1]} was packed twice in one pass; run it again")
            reports[place] = summary
        else:
            answers[int(key)] = facts_of(value)
    _check_ranges(tasks, reports, doing="packing")
    return answers, reports


def _check_ranges(tasks: Sequence[Sequence[TextRange]], found: Ranges, *, doing: str) -> None:
    lost = sorted({(text.file, text.start) for task in tasks for text in task} - set(found))
    if lost:
        raise InternalError(f"{doing} {lost[0][0]} from byte {lost[0][1]} brought no answer; run it again")


def _partitions(plan: PackPlan, paths: Sequence[str], facts: Mapping[int, PartitionFacts]) -> list[Partition]:
    return [
        Partition(paths[number], segment.split, segment.fold, facts.get(number) or PartitionFacts.of_nothing(number))
        for segment in plan.segments
        for number in range(segment.first_partition, segment.first_partition + segment.n_partitions)
    ]


def _stamp(file: TextFile) -> tuple[int, ...] | None:
    """What changes when a file does; None if it is gone."""
    try:
        status = os.stat(file.path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _check_rest(files: Sequence[TextFile], stamps: Mapping[str, tuple[int, ...] | None]) -> None:
    """The files must be those that the scan saw, since it fixed labels, vocabularies and the number of features."""
    for file in files:
        if _stamp(file) != stamps[file.path]:
            raise BadDataError(f"{file.path} changed while it was packed; pack again when it is at rest")


def _check_rows(partitions: Sequence[Partition], packed: Summary, scanned: Summary, *, borrowed: bool) -> None:
    """What was scanned must have gone into the shuffle, and what went in must have come out."""
    # a borrowed schema refuses rows that the scan found good
    before, after = ((s.n_lines, s.n_rows + (s.n_bad + s.n_dropped if borrowed else 0)) for s in (scanned, packed))
    if before != after:
        raise BadDataError(
            f"the input changed while it was packed: expected the {before[1]} rows in {before[0]} lines that the scan "
            f"saw, found {after[1]} in {after[0]}; pack again when the files are at rest"
        )
    rows = sum(p.facts.rows for p in partitions)
    if rows != packed.n_rows:
        raise InternalError(
            f"the shuffle was not complete: {packed.n_rows} rows went in, {rows} came out; run it again"
        )


def _manifest(
    spec: PackSpec, data_id: str, schema: Schema, plan: PackPlan, partitions: Sequence[Partition],
    totals: Mapping[str, Statistic], summary: Summary, moments: Mapping[str, StoredFile],
) -> Dataset:  # fmt: skip
    packing = {
        **{key: value for key, value in plan.to_json().items() if key != "segments"},
        "inputs": list(spec.inputs),
        "bad_rows": summary.bad_counts,
    }
    nnz = sum(p.facts.nnz for p in partitions)
    counts = {split: label_counts(total, schema) for split, total in totals.items()}
    return Dataset(spec.name, 0, data_id, schema, tuple(partitions), moments, counts, nnz, packing)
