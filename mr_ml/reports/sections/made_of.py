"""What was trained, on which rows, and by whom."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from mr_ml.catalog.dataset import Dataset
from mr_ml.reports.base import Section
from mr_ml.reports.blocks import Block, Paragraph, Table, Terms
from mr_ml.reports.facts import Facts
from mr_ml.reports.words import count, percent, seconds, some
from mr_ml.sizes import size_text
from mr_ml.whoami import described

_MOST_LABELS = 20
_MOST_HOSTS = 5


def _blocks(facts: Facts) -> Iterator[Block]:
    yield Terms(pairs=list(_pairs(facts)))
    dataset = facts.dataset
    if dataset is None:
        yield Paragraph(text="The dataset is not there any more, so nothing is said of its splits and labels.")
    elif any(dataset.label_counts.values()):
        yield _labels(dataset)


def _pairs(facts: Facts) -> Iterator[tuple[str, str]]:
    spec, manifest, dataset = facts.spec, facts.manifest, facts.dataset
    if facts.model is not None:
        yield "Model", f"{facts.model.reference}: {facts.model.summary()}"
    elif spec is not None:
        yield "Model", f"{spec.model}: {spec.title}"
    if spec is not None:
        yield "Rows", f"{spec.dataset}, split {spec.split}"
        if spec.began_with is not None:
            yield "Began with", spec.began_with
    if dataset is not None:
        splits = ", ".join(f"{split} {count(dataset.n_rows(split))}" for split in dataset.splits)
        yield "Dataset", f"{dataset.reference}: {count(dataset.n_rows())} rows ({splits})"
        yield "Features", f"{count(dataset.schema.n_features)}, {count(dataset.nnz)} values that are not 0"
        n_bytes = sum(partition.facts.n_bytes for partition in dataset.partitions)
        yield "Size", f"{size_text(n_bytes)} in {len(dataset.partitions)} partitions, format {dataset.schema.format}"
    elif manifest is not None:
        yield "Dataset", f"{manifest.dataset}: {count(manifest.n_rows)} rows of {manifest.spec.split}"
        yield "Features", count(manifest.schema.n_features)
    yield "Run", facts.run
    if manifest is not None:
        yield "Solver", manifest.training["solver"]
        yield "Coefficients", f"{manifest.coef['uri']}, sha256 {manifest.coef['sha256'][:16]}…"
    yield from _at_work(facts)
    provenance = None if manifest is None else manifest.provenance
    if provenance is None:
        return
    yield "Days", f"{provenance.first_day} to {provenance.window} ({provenance.timezone})"
    if provenance.missing_days:
        yield "Days without data", ", ".join(provenance.missing_days)
    files = provenance.inputs
    yield "Text", f"{count(len(files))} files, {size_text(sum(file.size for file in files))}"
    yield "Made by", described(provenance.by)
    code = ", ".join(f"{name} {value}" for name, value in provenance.code.items())
    packages = ", ".join(f"{name} {version}" for name, version in provenance.packages.items())
    yield "Versions", f"{code}; Python {provenance.python}; {packages}"


def _at_work(facts: Facts) -> Iterator[tuple[str, str]]:
    attempts = facts.attempts
    if not attempts:
        yield "Made by", "not kept of this run"
        return
    began = datetime.fromtimestamp(attempts[0].begun, UTC)
    took = seconds(sum(attempt.seconds for attempt in attempts))
    times = "" if len(attempts) == 1 else f", by {count(len(attempts))} processes one after the other"
    yield "Began", f"{began:%Y-%m-%d %H:%M:%S} UTC, {took} at work{times}"
    hosts = dict.fromkeys(f"{attempt.host} (process {attempt.pid})" for attempt in attempts)
    yield "Hosts", ", ".join(some(list(hosts), _MOST_HOSTS))


def _labels(dataset: Dataset) -> Table:
    totals: dict[str, int] = {}
    for counts in dataset.label_counts.values():
        for label, n in counts.items():
            totals[label] = totals.get(label, 0) + n
    shown = sorted(totals, key=lambda label: -totals[label])[:_MOST_LABELS]
    splits = [split for split in dataset.splits if dataset.label_counts.get(split)]
    rows = [[label, *(_cell(dataset, split, label) for split in splits)] for label in shown]
    more = len(totals) - len(shown)
    return Table(
        caption="Labels by split"
        + (f": the {_MOST_LABELS} most frequent, {count(more)} more are left out" if more else ""),
        header=["label", *splits],
        rows=rows,
    )


def _cell(dataset: Dataset, split: str, label: str) -> str:
    counts = dataset.label_counts[split]
    n = counts.get(label, 0)
    return f"{count(n)} ({percent(n / max(sum(counts.values()), 1))})"


MADE_OF = Section(title="What was trained on what", make=_blocks)
