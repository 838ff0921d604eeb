"""The metrics file: what came of the last retraining, in the text format that Prometheus' node exporter collects.

The file is replaced whole. Times are points in time and not ages, which would stand still when nothing runs any more.
What only the root knows, such as the last success, is taken over from the file before where the root is out of reach:
an alarm on it must not end because things got worse.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hdfs_layout import Root
from hdfs_layout.dataclass import dataclass
from mr_ml import __version__
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.model import read_manifest
from mr_ml.catalog.promotions import promoted_since, promoted_version
from mr_ml.errors import MrMlError, NotFoundError
from mr_ml.retraining.status import attempts_of
from mr_ml.retraining.zones import zone_named

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig
    from mr_ml.retraining.result import RetrainResult

PREFIX = "mr_ml_retrain"
OUTCOMES = ("published", "refused", "failed")

#: Name -> help. All of them have the labels `model` and `root`, and those that are named.
METRICS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "info": ("Version of mr_ml that ran last, and the dataset that it packed; always 1.", ("version", "dataset")),
    "last_run_timestamp_seconds": ("When the last retraining ended, whatever came of it.", ()),
    "last_run_duration_seconds": ("How long the last retraining took.", ()),
    "last_run_outcome": ("1 for what came of the last retraining, 0 for the others.", ("outcome",)),
    "last_run_exit_code": ("Exit code of the last retraining.", ()),
    "last_run_window_end_timestamp_seconds": ("End of the last day of the window of the last retraining.", ()),
    "last_run_dates": ("How many dates of that window have data, and are missing.", ("state",)),
    "last_run_rows": ("Rows that were packed, by split.", ("split",)),
    "last_run_passes": ("Passes over the data that training took.", ()),
    "last_run_checks": ("Checks of the gate that passed and failed.", ("result",)),
    "last_run_evaluation": ("Metrics of the candidate and of the published model, on the same rows.", ("of", "metric")),
    "candidate_version": ("Version of the last candidate.", ()),
    "last_success_timestamp_seconds": ("When a candidate was last promoted by a retraining; 0 if never.", ()),
    "published_version": ("Version that the name of the model means; 0 if none.", ()),
    "published_timestamp_seconds": ("When that version was promoted.", ()),
    "published_window_end_timestamp_seconds": ("End of the last day of the rows of that version.", ()),
}  # fmt: skip
# Of these the file before is asked if the root is out of reach.
_OF_ROOT = (
    "last_success_timestamp_seconds", "published_version", "published_timestamp_seconds",
    "published_window_end_timestamp_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """A number of a metric, by the values of the labels that it has beside `model` and `root`."""

    metric: str
    value: float
    labels: tuple[str, ...] = ()


def write_metrics(
    config: RetrainConfig, root: Root, result: RetrainResult, *, warn: Callable[[str], None]
) -> dict[str, Any]:
    """Replace the metrics file.

    Returns
    -------
    dict
        An event: the file, and what went wrong.
    """
    assert config.metrics_file is not None
    path, shown = config.metrics_file, config.hide(config.metrics_file)
    try:
        _write(path, _text(config, root, result))
    except (MrMlError, OSError, ImportError, ValueError) as error:
        failed = config.hide(_why(error, os.path.dirname(path)))
        warn(f"the metrics file {shown} was not written: {failed}")
        return {"file": shown, "failed": failed}
    return {"file": shown}


def _text(config: RetrainConfig, root: Root, result: RetrainResult) -> bytes:
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    common = (config.model, _label(config.hide(root.store.uri(""))))
    registry = CollectorRegistry()
    gauges = {
        name: Gauge(f"{PREFIX}_{name}", help, ("model", "root", *labels), registry=registry)
        for name, (help, labels) in METRICS.items()
    }
    samples = [*_of_run(config, result), *_of_dataset(root, result)]
    try:
        samples += _of_root(config, root, result)
    except (MrMlError, OSError):
        assert config.metrics_file is not None
        samples += _before(config.metrics_file, common)
    for sample in samples:
        gauges[sample.metric].labels(*common, *map(_label, sample.labels)).set(sample.value)
    return generate_latest(registry)


def _of_run(config: RetrainConfig, result: RetrainResult) -> Iterator[Sample]:
    yield Sample("info", 1, (__version__, result.dataset or ""))
    yield Sample("last_run_timestamp_seconds", round(time.time(), 3))
    yield Sample("last_run_duration_seconds", result.seconds)
    yield from (Sample("last_run_outcome", result.outcome == outcome, (outcome,)) for outcome in OUTCOMES)
    yield Sample("last_run_exit_code", result.exit_code)
    if result.window is not None:
        yield Sample("last_run_window_end_timestamp_seconds", _end_of(result.window, config.timezone))
    if result.days is not None:
        yield Sample("last_run_dates", result.days, ("with_data",))
        yield Sample("last_run_dates", len(result.missing_days), ("missing",))
    if result.version is not None:
        yield Sample("candidate_version", result.version)
    if isinstance(passes := result.training.get("passes"), int):
        yield Sample("last_run_passes", passes)
    decision = result.decision
    if decision is not None:
        passed = sum(check.passed for check in decision.checks)
        yield Sample("last_run_checks", passed, ("passed",))
        yield Sample("last_run_checks", len(decision.checks) - passed, ("failed",))
        for of, metrics in (("candidate", decision.metrics), ("published", decision.published_metrics)):
            for name, value in metrics.items():
                if isinstance(value, int | float):
                    yield Sample("last_run_evaluation", float(value), (of, name))


def _of_dataset(root: Root, result: RetrainResult) -> Iterator[Sample]:
    if result.dataset is not None:
        with suppress(MrMlError, OSError):
            dataset = load_dataset(root, result.dataset)
            yield from (Sample("last_run_rows", dataset.n_rows(split), (split,)) for split in dataset.splits)


def _of_root(config: RetrainConfig, root: Root, result: RetrainResult) -> list[Sample]:
    """Return what does not depend on the last retraining; raises if the root cannot be read."""
    model = config.model
    found = [Sample("last_success_timestamp_seconds", _last_success(root, result))]
    number = promoted_version(root, model)
    found.append(Sample("published_version", number or 0))
    if number is None:
        return found
    if (at := promoted_since(root, model)) is not None:
        found.append(Sample("published_timestamp_seconds", _seconds(at)))
    with suppress(NotFoundError):
        provenance = read_manifest(root, model, number)[0].provenance
        if provenance is not None:
            end = _end_of(provenance.window, provenance.timezone)
            found.append(Sample("published_window_end_timestamp_seconds", end))
    return found


def _last_success(root: Root, result: RetrainResult) -> float:
    if result.outcome == "published" and not result.repeated:
        return _seconds(result.ended)
    last = next((found for found in attempts_of(root, result.model) if found["outcome"] == "published"), None)
    return 0.0 if last is None or last["ended"] is None else _seconds(last["ended"])


def _before(path: str, common: tuple[str, str]) -> list[Sample]:
    """Return what the file before has of the root."""
    from prometheus_client.parser import text_string_to_metric_families

    names = {f"{PREFIX}_{name}": name for name in _OF_ROOT}
    with suppress(OSError, ValueError, KeyError, IndexError), open(path, encoding="utf-8") as file:
        return [
            Sample(names[sample.name], sample.value)
            for family in text_string_to_metric_families(file.read())
            for sample in family.samples
            if sample.name in names and (sample.labels.get("model"), sample.labels.get("root")) == common
        ]
    return []


def _write(path: str, text: bytes) -> None:
    """Replace a file whole; everybody may read it, whatever the umask: node exporter is another user."""
    folder, name = os.path.split(path)
    # always the same, so that a killed process leaves one at most; node exporter reads only *.prom
    staged = os.path.join(folder, f".{name}.new")
    with suppress(FileNotFoundError):
        os.unlink(staged)
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        os.replace(staged, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(staged)
        raise


def _why(error: Exception, folder: str) -> str:
    if isinstance(error, ImportError):
        return "expected the package prometheus_client, found none; pip install 'mr_ml[retrain]'"
    if isinstance(error, FileNotFoundError):
        return f"expected a folder {folder}, found none; make it"
    return f"{error.strerror}" if isinstance(error, OSError) and error.strerror else f"{error}"


def _label(text: str) -> str:
    """Return text that UTF-8 can write, on one line: names come from others."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _end_of(day: str, timezone: str) -> float:
    """Return when a day was over where it was one."""
    after = date.fromisoformat(day) + timedelta(days=1)
    return datetime(after.year, after.month, after.day, tzinfo=zone_named(timezone)).timestamp()


def _seconds(at: str) -> float:
    found = datetime.fromisoformat(at)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
