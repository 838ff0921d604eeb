"""All versions of one dataset or model at one time: when they were published, and what their manifests name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Annotated, Any, Literal, TypedDict

from hdfs_layout import Entry, NotFoundError, Root, read_version
from hdfs_layout.dataclass import dataclass
from hdfs_layout.paths import version_of
from mr_ml.catalog.tree import Folder
from mr_ml.data import stored
from mr_ml.errors import BadDataError

Kind = Literal["dataset", "model"]


class _File(TypedDict):
    uri: stored.Path


class _DatasetManifest(TypedDict):
    partitions: tuple[Annotated[_File, stored.MORE], ...]
    moments: Mapping[str, Annotated[_File, stored.MORE]]


class _ModelManifest(TypedDict):
    run: stored.Name
    dataset: stored.Versioned
    coef: Annotated[_File, stored.MORE]


_MANIFESTS: dict[Kind, Any] = {
    "dataset": Annotated[_DatasetManifest, stored.MORE],
    "model": Annotated[_ModelManifest, stored.MORE],
}


@dataclass(frozen=True)
class History:
    """The versions of one dataset or model.

    Attributes
    ----------
    versions
        Manifests by number, as the folder lists them.
    data
        By number: the folders in which the files lie that the manifest names.
    runs, datasets
        By number, of a model: the run that made it, and the dataset version that it was trained on.
    damaged
        Numbers of the versions whose manifests cannot be read.
    """

    kind: Kind
    name: str
    folder: Folder
    versions: dict[int, Entry] = field(default_factory=dict)
    data: dict[int, frozenset[str]] = field(default_factory=dict)
    runs: dict[int, str] = field(default_factory=dict)
    datasets: dict[int, str] = field(default_factory=dict)
    damaged: set[int] = field(default_factory=set)

    @property
    def latest(self) -> int:
        """Highest number; 0 if there is no version."""
        return max(self.versions, default=0)

    def reference(self, number: int) -> str:
        """Name and version, ``iris@3``."""
        return f"{self.name}@{number}"


def read_history(root: Root, kind: Kind, name: str, folder: Folder, say: Callable[[str], None]) -> History:
    """Read all manifests of a dataset or model.

    Parameters
    ----------
    folder
        As it was found.
    say
        Called with a sentence for each manifest that cannot be read.
    """
    history = History(kind, name, folder)
    for number, entry in sorted((n, entry) for file, entry in folder.files.items() if (n := version_of(file))):
        try:
            version = read_version(root.store, folder.path, number)
            manifest = stored.read(_MANIFESTS[kind], version.document, where=root.store.uri(version.path))
        except NotFoundError:
            continue
        except BadDataError as error:
            history.damaged.add(number)
            say(f"{history.reference(number)} stays, and data of {name} that nothing names: {error}")
        else:
            _note(history, number, manifest)
        history.versions[number] = entry
    return history


def _note(history: History, number: int, manifest: Mapping[str, Any]) -> None:
    if history.kind == "model":
        history.runs[number], history.datasets[number] = manifest["run"], manifest["dataset"]
        files = [manifest["coef"]]
    else:
        files = [*manifest["partitions"], *manifest["moments"].values()]
    history.data[number] = frozenset(file["uri"].rpartition("/")[0] for file in files)
