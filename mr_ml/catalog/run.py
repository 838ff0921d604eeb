"""What a run was asked to do, written before its first pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from hdfs_layout import NotFoundError, Root, decode_document, encode_document, latest_version
from hdfs_layout.dataclass import dataclass
from hdfs_layout.limits import MAX_VERSION
from mr_ml.catalog.tuning import TuningPlan
from mr_ml.data import stored
from mr_ml.errors import BadDataError, StorageError, UsageError
from mr_ml.models.base import TrainSpec
from mr_ml.optimize.choose import Choice


@dataclass(frozen=True, kw_only=True)
class RunDocument:
    """The document of a run, written before its first pass.

    Attributes
    ----------
    run
        Its name; None in those of releases that did not write it.
    after
        The model's last version when the run began: what the run publishes comes after it.
    tuning
        What it tunes, if it does: `spec` is then what all candidates share.
    part_of
        The tuning whose best model this run trains.
    continues
        The run from whose state this one goes on, with more passes or a smaller tolerance.
    solver
        Which it goes by, and why; None in those of releases that did not write it, and of tunings.
    publishes
        Whether a model is to come of it; not of an estimator's fit, whose coefficients are its program's.
    """

    kind: Literal["train"] = "train"
    run: stored.Name | None = None
    after: Annotated[int, stored.at_least(0), stored.at_most(MAX_VERSION)] = 0
    spec: TrainSpec
    tuning: TuningPlan | None = None
    part_of: stored.Name | None = None
    continues: stored.Name | None = None
    solver: Choice | None = None
    publishes: bool = True

    may_lack: ClassVar[frozenset[str]] = frozenset(
        {"run", "after", "tuning", "part_of", "continues", "solver", "publishes"}
    )

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        seldom = {
            "tuning": None if self.tuning is None else self.tuning.to_json(),
            "part_of": self.part_of,
            "continues": self.continues,
            "solver": None if self.solver is None else vars(self.solver),
            "publishes": None if self.publishes else False,
        }
        plain = {**vars(self), "spec": self.spec.to_json(), **seldom}
        return {name: value for name, value in plain.items() if name not in seldom or value is not None}


def start_run(root: Root, run: str, document: RunDocument, *, warm_start: bytes | None = None) -> None:
    """Write down what the run is to do, and after which version; everything after this can be resumed.

    Parameters
    ----------
    warm_start
        The file of coefficients that it begins with, if with one, of which a copy is kept.

    Raises
    ------
    StorageError
        If it cannot be written, or the model could not be published at the end.
    """
    folder = root.layout.model(document.spec.model)
    after = latest_version(root.store, folder) or 0
    if after >= MAX_VERSION:
        where = root.store.uri(folder)
        raise StorageError(f"{where}: version {after} is the last that can be; train under another name")
    begun = replace(document, run=run, after=after)
    if warm_start is not None:
        root.store.write(root.layout.run_warm_start(run), warm_start)
    root.store.write(root.layout.run_spec(run), encode_document(begun.to_json()))


def read_run(root: Root, run: str) -> RunDocument:
    """Return what a run was asked to do.

    Raises
    ------
    UsageError
        If there is no such run.
    BadDataError
        If what is written of it is damaged, of another run, or of a newer mr_ml.
    """
    found = find_run(root, run)
    if found is None:
        raise UsageError(f"there is no run {run!r} in {root.store.root}; `mr-ml runs list` shows those that are")
    return found


def find_run(root: Root, run: str) -> RunDocument | None:
    """Return what a run was asked to do, None if there is no such run; raises as `read_run`."""
    path = root.layout.run_spec(run)
    try:
        data = root.store.read(path)
    except NotFoundError:
        return None
    where = root.store.uri(path)
    document = stored.read(RunDocument, decode_document(data, where=where), where=where)
    if document.run not in (None, run):
        raise BadDataError(
            f"{where}: expected what run {run} was asked to do, found that of run {document.run}: is its folder a "
            f"copy? Then remove it, and resume {document.run}"
        )
    return document
