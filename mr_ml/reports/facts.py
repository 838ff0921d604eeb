"""What a report is made of: all that is kept of a run, of the model that it made, and of what this is held against.

What is not there, or damaged, is None or empty, and `faults` says of what is damaged. Reading moments and coefficients
takes as much memory as these; no pass is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, TypeVar

from hdfs_layout import Root, list_versions, parse_reference
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.attempts import Attempt
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.catalog.evaluations import find_evaluations
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.catalog.inference import find_inference
from mr_ml.catalog.model import ModelManifest, load_model, read_manifest
from mr_ml.catalog.promotions import Promotion, read_promotions
from mr_ml.catalog.run import RunDocument, find_run
from mr_ml.catalog.run_log import RunLog, published_version, read_log
from mr_ml.catalog.run_status import status_of
from mr_ml.errors import BadDataError, NotFoundError, UsageError
from mr_ml.models.base import Model, TrainSpec
from mr_ml.models.inference import Inference
from mr_ml.reports.evaluation import checked
from mr_ml.retraining.gate.drift import drift, schema_change
from mr_ml.retraining.gate.facts import Drift, SchemaChange
from mr_ml.retraining.gate.profile import Profile, profile_of, published_profile

T = TypeVar("T")


@dataclass(frozen=True, eq=False, kw_only=True)
class Moved:
    """The rows that a model was trained on, held against another model's.

    Attributes
    ----------
    against
        The other model, and whether it is the promoted one.
    rows, schema
        How far the rows have moved, None where it is not known any more what they were; and how the input has changed.
    """

    against: str
    is_promoted: bool
    rows: Drift | None
    schema: SchemaChange


@dataclass(frozen=True, eq=False, kw_only=True)
class Facts:
    """Everything that is known.

    Attributes
    ----------
    run
        The run that the report is about, or that made the model.
    document, log
        What the run was asked to do, and how it went; None where it is gone, as runs may be before their models are.
    model, manifest
        What was published; None if nothing was, or it is removed.
    version
        Of the model that the run published, if it did; also where that is gone by now.
    dataset, moments
        On which it was trained.
    inference, evaluations
        What is kept beside the model.
    promotions
        What the model's name has meant, the oldest first.
    moved
        None where there is no other version.
    faults
        What is damaged, in sentences.
    """

    run: str
    document: RunDocument | None
    log: RunLog | None
    model: Model | None = None
    manifest: ModelManifest | None = None
    version: int | None = None
    dataset: Dataset | None = None
    moments: FeatureMoments | None = None
    inference: Inference | None = None
    evaluations: Sequence[Mapping[str, Any]] = ()
    promotions: Sequence[Promotion] = ()
    moved: Moved | None = None
    faults: Sequence[str] = ()

    @property
    def spec(self) -> TrainSpec | None:
        """What was asked for; None of a retraining that has not come so far."""
        if self.manifest is not None:
            return self.manifest.spec
        return None if self.document is None else self.document.spec

    @property
    def title(self) -> str:
        """The model, or the run where there is none."""
        return f"run {self.run}" if self.model is None else self.model.reference

    @property
    def attempts(self) -> Sequence[Attempt]:
        """The processes that were at work on the run, in their order; of earlier releases none are known."""
        return () if self.log is None else self.log.attempts

    @property
    def status(self) -> str:
        """What has become of it, in the word of `mr-ml runs list`; see `mr_ml.catalog.run_status`."""
        return status_of(self.log, version=self.version)

    @property
    def why(self) -> str | None:
        """Why it ended, in a sentence; None if it has not."""
        if self.manifest is not None:
            return self.manifest.training["stop"]
        if self.log is None:
            return None
        said = self.log.retrain[-1].get("message") if self.log.retrain else None
        ended = self.log.published or self.log.failed or self.log.fitted
        if said or ended is not None:
            return str(said) if ended is None else ended["stop"]
        return self.attempts[-1].error if self.attempts else None

    @property
    def settings(self) -> Mapping[str, Any]:
        """What was asked for, by name."""
        return {} if self.spec is None else self.spec.to_json()


@dataclass
class _Reading:
    """Reads what is kept, and notes what is damaged."""

    root: Root
    faults: list[str] = field(default_factory=list)

    def attempt(self, read: Callable[[], T]) -> T | None:
        """Return what there is; None where it is gone or damaged."""
        try:
            return read()
        except NotFoundError:
            return None
        except BadDataError as error:
            self.faults.append(str(error))
            return None


def find_facts(root: Root, reference: str) -> Facts:
    """Return what is known of a run, or of a model ``name``, ``name@3`` or ``name@latest``.

    Raises
    ------
    UsageError
        If there is no such run or model, or both have this name.
    StorageError
        If something cannot be read.
    BadDataError
        If what says what it is, is damaged: the run's document, or the model's manifest.
    """
    reading = _Reading(root)
    run = _run_of(root, reference)
    if run is not None:
        return _of_run(reading, run)
    model = load_model(root, reference)
    return _of_model(reading, model)


def _run_of(root: Root, reference: str) -> str | None:
    """Return the run of this name; None if it is that of a model."""
    wanted = parse_reference(reference, kind="run or model")
    if wanted.version is not None or wanted.newest:
        return None
    name = wanted.name
    is_run = root.store.exists(root.layout.run_spec(name)) or root.store.exists(root.layout.run_log(name))
    is_model = bool(list_versions(root.store, root.layout.model(name)))
    if is_run and is_model:
        raise UsageError(f"there is a run {name}, and a model of this name; write {name}@latest for the model")
    if not is_run and not is_model:
        raise UsageError(
            f"there is no run or model {name!r} in {root.store.root}; `mr-ml runs list` and `mr-ml models list` show "
            "those that are"
        )
    return name if is_run else None


def _of_run(reading: _Reading, run: str) -> Facts:
    root = reading.root
    document = find_run(root, run)
    log = reading.attempt(lambda: read_log(root, run))
    version = None
    if log is not None and log.published is not None:
        version = log.published["version"]
    elif document is not None:
        version = published_version(root, run, document)
    if document is not None and version is not None:
        name, number = document.spec.model, version
        model = reading.attempt(lambda: load_model(root, f"{name}@{number}"))
        # the number may have come to another run since, by other means
        if model is not None and model.manifest["run"] == run:
            return _of_model(reading, model, document=document, log=log)
    wanted = None if document is None else document.spec.dataset
    if wanted is None and log is not None:
        wanted = next((str(event["dataset"]) for event in log.retrain if "dataset" in event), None)
    dataset = None if wanted is None else reading.attempt(lambda: load_dataset(root, wanted))
    return Facts(
        run=run, document=document, log=log, version=version, dataset=dataset,
        moments=_moments(reading, dataset, "train" if document is None else document.spec.split),
        faults=reading.faults,
    )  # fmt: skip


def _of_model(
    reading: _Reading, model: Model, *, document: RunDocument | None = None, log: RunLog | None = None
) -> Facts:  # fmt: skip
    root = reading.root
    manifest, _ = read_manifest(root, model.name, model.version)
    run = manifest.run
    if document is None:
        document = reading.attempt(lambda: find_run(root, run))
    if log is None and root.store.exists(root.layout.run_log(run)):
        log = reading.attempt(lambda: read_log(root, run))
    dataset = reading.attempt(lambda: load_dataset(root, manifest.dataset))
    evaluations, damaged = find_evaluations(root, model.name, run)
    promotions, faults = read_promotions(root, model.name)
    reading.faults += [*damaged, *faults]
    return Facts(
        run=run, document=document, log=log, model=model, manifest=manifest, version=model.version, dataset=dataset,
        moments=_moments(reading, dataset, manifest.spec.split),
        inference=reading.attempt(lambda: find_inference(root, model)),
        evaluations=[of for told in evaluations if (of := _evaluation(reading, model, told)) is not None],
        promotions=promotions,
        moved=reading.attempt(lambda: _moved(reading, model, dataset, promotions)),
        faults=reading.faults,
    )  # fmt: skip


def _evaluation(reading: _Reading, model: Model, told: Mapping[str, Any]) -> Mapping[str, Any] | None:
    where = f"the evaluation of {model.reference} on {told['dataset']} {told['split']}"
    return reading.attempt(lambda: checked(told, where=where))


def _moments(reading: _Reading, dataset: Dataset | None, split: str) -> FeatureMoments | None:
    if dataset is None or split not in dataset.moments:
        return None
    return reading.attempt(lambda: FeatureMoments.load(reading.root.store, dataset, split))


def _moved(
    reading: _Reading, model: Model, dataset: Dataset | None, promotions: Sequence[Promotion]
) -> Moved | None:  # fmt: skip
    """Hold a model's training rows against those of the promoted version, or else of the one before."""
    root = reading.root
    meant = promotions[-1].version if promotions else None
    is_promoted = meant is not None and meant != model.version
    number = meant if is_promoted else _before(root, model, promotions)
    if number is None:
        return None
    other = load_model(root, f"{model.name}@{number}")
    before = reading.attempt(lambda: published_profile(root, other))
    now = reading.attempt(lambda: _profile(root, model, dataset))
    if now is None:
        return None
    return Moved(
        against=other.reference,
        is_promoted=is_promoted,
        rows=None if before is None else drift(now, before, schema=model.schema, published_schema=other.schema),
        schema=schema_change(now, before, schema=model.schema, published_schema=other.schema),
    )


def _profile(root: Root, model: Model, dataset: Dataset | None) -> Profile | None:
    if dataset is None:
        return published_profile(root, model)
    return profile_of(root, dataset, model.manifest["spec"]["split"])


def _before(root: Root, model: Model, promotions: Sequence[Promotion]) -> int | None:
    """Return the version that was promoted before this one, or, where none ever was, the one that was published."""
    if promotions:
        since = next((k for k, entry in enumerate(promotions) if entry.version == model.version), len(promotions))
        meant = [entry.version for entry in promotions[:since]]
    else:
        meant = [n for n in list_versions(root.store, root.layout.model(model.name)) if n < model.version]
    return meant[-1] if meant else None
