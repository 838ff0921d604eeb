"""Every path below a root; no other module spells one.

A *root* is a folder, an ``hdfs://`` or an ``s3://`` URI. A *path* is what a `Store` takes: names joined by ``/``,
relative to the root, such as ``datasets/iris/v000003.json``. Manifests record paths, never absolute places, so a root
can be copied or moved as a whole.

Names of datasets, models and runs come from users and from files: they are checked here, before they become part of a
path. What the names mean on disk is drawn in README.md of this folder.
"""

from __future__ import annotations

import re

from hdfs_layout.dataclass import dataclass
from hdfs_layout.errors import BadDataError, UsageError
from hdfs_layout.limits import MAX_PARTITION, MAX_PASS, MAX_VERSION
from hdfs_layout.owners import owned

MAX_NAME_LENGTH = 100
# What stands for the number of the latest version, whatever that is.
NEWEST = "latest"

# Stores do not list names that begin with a dot (Hadoop's input formats skip them too), so what is still being written
# is never taken for data.
HIDDEN = "."
STAGED_PREFIX = ".staged-"
WRITING_PREFIX = ".writing-"
# In a folder that a store without renames is publishing, or was killed while it did.
PUBLISHING = ".publishing"

# The first character excludes what shells take for an option (-), what stores hide (.) and what Hadoop's jobs skip (_).
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
# Control characters, and halves of surrogate pairs other than those by which Python writes undecodable bytes of a name.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udc7f\udd00-\udfff]")
_VERSION_FILE = re.compile(r"v([0-9]{6})\.json", re.ASCII)
_REMOVED_FILE = re.compile(r"removed-([0-9]{6})", re.ASCII)
_TURN_FILE = re.compile(r"(?:beat|released)-([0-9]{6})", re.ASCII)
_WINDOW_FOLDER = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_PASS_FOLDER = re.compile(r"[0-9]{6}", re.ASCII)
_VERSION_NUMBER = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


def check_name(name: str, *, kind: str = "name") -> str:
    """Return `name` if it can be a path component on every store.

    Parameters
    ----------
    name : str
        1 to 100 ASCII letters, digits, ``.``, ``_`` and ``-``; begins with a letter or a digit.
    kind : str
        What the name is of (dataset, model, run...), for the message.

    Raises
    ------
    UsageError
        If it is anything else.
    """
    if not isinstance(name, str):
        shown = f"an object of type {type(name).__name__}"
    elif len(name) > MAX_NAME_LENGTH:
        shown = f"{len(name)} characters"
    elif not _NAME.fullmatch(name):
        shown = ascii(name)
    else:
        return name
    raise UsageError(
        f"expected as the name of a {kind} 1 to {MAX_NAME_LENGTH} letters, digits, '.', '_' or '-', beginning with a "
        f"letter or a digit; found {shown}. Choose another name."
    )


@dataclass(frozen=True)
class Reference:
    """A dataset or model as a user names it: ``iris``, ``iris@3`` or ``iris@latest``.

    Attributes
    ----------
    name : str
        A checked name.
    version : int or None
        1 to 999,999; None asks for the one that the name means: the latest, or that of a model which is promoted.
    newest : bool
        Whether the latest version is asked for, whatever the name means.
    """

    name: str
    version: int | None = None
    newest: bool = False

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.version is not None:
            _check_number(self.version, kind="version", lowest=1, highest=MAX_VERSION)

    def __str__(self) -> str:
        if self.newest:
            return f"{self.name}@{NEWEST}"
        return self.name if self.version is None else f"{self.name}@{self.version}"


def parse_reference(text: str, *, kind: str = "dataset or model") -> Reference:
    """Read ``name``, ``name@3`` or ``name@latest``.

    Raises
    ------
    UsageError
        If the name or the version cannot be one.
    """
    # what is no text is refused as a name
    name, at, version = text.partition("@") if isinstance(text, str) else (text, "", "")
    check_name(name, kind=kind)
    if not at:
        return Reference(name)
    if version == NEWEST:
        return Reference(name, newest=True)
    if not _VERSION_NUMBER.fullmatch(version):
        raise UsageError(
            f"expected a version number after '@', such as {name}@3, or {name}@{NEWEST}; found {text[:200]!a}. "
            f"Write one of these, or {name} alone."
        )
    return Reference(name, int(version))


def version_file(version: int) -> str:
    """File name of a version: 3 -> ``v000003.json``."""
    return f"v{_check_number(version, kind='version', lowest=1, highest=MAX_VERSION):06d}.json"


def version_of(file_name: str) -> int | None:
    """Version number of a file name, or None if it is not the manifest of a version."""
    match = _VERSION_FILE.fullmatch(file_name)
    number = int(match[1]) if match else 0
    return number or None


def removed_file(version: int) -> str:
    """File name of the note that a version was removed, and its number is taken: 3 -> ``removed-000003``."""
    return f"removed-{_check_number(version, kind='version', lowest=1, highest=MAX_VERSION):06d}"


def removed_of(file_name: str) -> int | None:
    """Version number of such a note's file name; None if it is another file."""
    match = _REMOVED_FILE.fullmatch(file_name)
    number = int(match[1]) if match else 0
    return number or None


def beat_file(turn: int) -> str:
    """File name of the last sign of life of a lock's holder number `turn`."""
    return f"beat-{_check_number(turn, kind='turn', lowest=1, highest=MAX_VERSION):06d}"


def released_file(turn: int) -> str:
    """File name of the note that a lock's holder number `turn` gave it back."""
    return f"released-{_check_number(turn, kind='turn', lowest=1, highest=MAX_VERSION):06d}"


def turn_of(file_name: str) -> int | None:
    """Which holder of a lock a file is of, by its name; None if it is of none."""
    match = _TURN_FILE.fullmatch(file_name)
    return int(match[1]) if match else version_of(file_name)


def is_window(folder_name: str) -> bool:
    """Whether a folder has the name of a window of retraining, such as 2026-11-26."""
    return _WINDOW_FOLDER.fullmatch(folder_name) is not None


def pass_of(folder_name: str) -> int | None:
    """Read the number of a pass off the name of its folder; None if it is not one."""
    return int(folder_name) if _PASS_FOLDER.fullmatch(folder_name) else None


def join(folder: str, name: str) -> str:
    """Path of `name` in `folder`; the root is the empty path."""
    return f"{folder}/{name}" if folder else name


def staged_path(folder: str) -> str:
    """Return a unique path in `folder` for a file that will be published."""
    return join(folder, owned(STAGED_PREFIX))


def writing_path(path: str) -> str:
    """Return the temporary path beside `path` under which it is written until it is whole."""
    return join(path.rpartition("/")[0], owned(WRITING_PREFIX))


def split_path(path: str) -> tuple[str, ...]:
    """Components of a store's path; the empty path is the root. Every store calls this before it touches anything.

    Paths may come from a manifest, so they are as hostile as any data: whatever could leave the root is refused.

    Raises
    ------
    BadDataError
        If the path is absolute, or has an empty, ``.`` or ``..`` component or a control character.
    """
    if not path:
        return ()
    components = tuple(path.split("/"))
    if any(part in ("", ".", "..") for part in components) or _UNPRINTABLE.search(path):
        raise BadDataError(
            f"expected a path below the root, such as datasets/iris/v000001.json, without '.', '..', empty parts or "
            f"control characters; found {path[:200]!a}. If it stands in a manifest, that manifest was changed by "
            f"hand: restore it."
        )
    return components


@dataclass(frozen=True)
class Layout:
    """The path of everything that is stored below one root.

    Methods return paths for a `Store` of the same root; they check names and numbers and touch no files.

    Attributes
    ----------
    root : str
        The root as the user gave it: a folder, ``hdfs://...`` or ``s3://...``. Only `uri` uses it.
    """

    root: str

    def uri(self, path: str) -> str:
        """Address of `path` for a tool that knows no store: the root and the path joined."""
        split_path(path)
        return f"{self.root.rstrip('/')}/{path}" if path else self.root

    @property
    def datasets(self) -> str:
        """Folder of all datasets."""
        return "datasets"

    def dataset(self, name: str) -> str:
        """Folder of a dataset: its versions' manifests and ``data/``."""
        return f"{self.datasets}/{check_name(name, kind='dataset')}"

    def dataset_version(self, name: str, version: int) -> str:
        """Manifest of one version of a dataset."""
        return f"{self.dataset(name)}/{version_file(version)}"

    def dataset_data(self, name: str, data_id: str) -> str:
        """Folder of the partitions that one pack wrote; `data_id` is unique to that pack."""
        return f"{self.dataset(name)}/data/{check_name(data_id, kind='dataset data id')}"

    def partition(self, name: str, data_id: str, index: int) -> str:
        """Partition file number `index`, 0 to 99,999."""
        number = _check_number(index, kind="partition", lowest=0, highest=MAX_PARTITION)
        return f"{self.dataset_data(name, data_id)}/part-{number:05d}"

    def moments(self, name: str, data_id: str, split: str) -> str:
        """Feature moments of one split, an ``.npz``."""
        return f"{self.dataset_data(name, data_id)}/moments-{check_name(split, kind='split')}.npz"

    def spill(self, name: str, data_id: str) -> str:
        """Folder of what a pack writes between its map and reduce tasks; gone when it is done."""
        return f"{self.dataset_data(name, data_id)}/{HIDDEN}spill"

    @property
    def models(self) -> str:
        """Folder of all models."""
        return "models"

    def model(self, name: str) -> str:
        """Folder of a model: its versions' manifests and ``data/``."""
        return f"{self.models}/{check_name(name, kind='model')}"

    def model_data(self, name: str, run: str) -> str:
        """Folder of the files that one run made for a model."""
        return f"{self.model(name)}/data/{check_name(run, kind='run')}"

    def promotions(self, name: str) -> str:
        """Folder of the log of a model's promotions: versions, of which the latest says what the model's name means."""
        return f"{self.model(name)}/promotions"

    def coef(self, name: str, run: str) -> str:
        """Coefficients that one run made, an ``.npz``."""
        return f"{self.model_data(name, run)}/coef.npz"

    def inference(self, name: str, run: str) -> str:
        """File of how sure the coefficients are that one run made."""
        return f"{self.model_data(name, run)}/inference"

    def evaluations(self, name: str, run: str) -> str:
        """Folder of what was kept of how well the model predicts that one run made."""
        return f"{self.model_data(name, run)}/evaluations"

    def evaluation(self, name: str, run: str, dataset: str, split: str) -> str:
        """File of how well it predicts the rows of a split of a dataset's version, ``rows@3``."""
        of, _, version = dataset.partition("@")
        rows = f"{check_name(of, kind='dataset')}@{int(version)}"
        return f"{self.evaluations(name, run)}/{rows}.{check_name(split, kind='split')}.json"

    def profile(self, name: str, run: str) -> str:
        """File of what the rows were like that one run trained a model on: a gate compares others with them."""
        return f"{self.model_data(name, run)}/profile"

    @property
    def runs(self) -> str:
        """Folder of all runs."""
        return "runs"

    def run(self, run: str) -> str:
        """Folder of a run."""
        return f"{self.runs}/{check_name(run, kind='run')}"

    def run_spec(self, run: str) -> str:
        """Path of what the run was asked to do."""
        return f"{self.run(run)}/spec.json"

    def run_warm_start(self, run: str) -> str:
        """Path of the file of coefficients that the run begins with, as it was when it began."""
        return f"{self.run(run)}/warm_start"

    def run_log(self, run: str) -> str:
        """Events of the run, a JSON object a line."""
        return f"{self.run(run)}/log.jsonl"

    def run_report(self, run: str) -> str:
        """Page of HTML on the run, if one was written there."""
        return f"{self.run(run)}/report.html"

    def retrain(self, model: str, window: str) -> str:
        """Folder of the journals of a model's retraining for a window: versions, of which the latest counts."""
        return f"{self.retrains(model)}/{check_name(window, kind='window')}"

    def journal(self, model: str, window: str, number: int) -> str:
        """Path of the journal that one process writes."""
        return f"{self.retrain(model, window)}/{version_file(number)}"

    def retrains(self, model: str) -> str:
        """Folder of the retrainings of a model, by window."""
        return f"{self.all_retrains}/{check_name(model, kind='model')}"

    @property
    def all_retrains(self) -> str:
        """Folder of the retrainings of all models."""
        return "retrains"

    def lock(self, name: str) -> str:
        """Folder of the lock of a model: held by whoever retrains it or removes versions of it."""
        return f"locks/{check_name(name, kind='model')}"

    @property
    def cleaning(self) -> str:
        """Folder of the lock that is held by whoever removes what is not kept; no name of a model is like it."""
        return f"locks/{HIDDEN}clean"

    @property
    def uses(self) -> str:
        """Folder of notes that say which versions running commands read."""
        return "uses"

    def code(self, hash: str) -> str:
        """Path of the code that tasks on a cluster run, named by its content."""
        return f"{self.environments}/code-{check_name(hash, kind='hash')}.zip"

    def native_code(self, hash: str) -> str:
        """Path of the compiled part of that code."""
        return f"{self.environments}/native-{check_name(hash, kind='hash')}.so"

    @property
    def environments(self) -> str:
        """Folder of what nodes are given, and of the versions of its description."""
        return "env"

    def environment(self, hash: str) -> str:
        """Python packages for the nodes, named by their content."""
        return f"{self.environments}/python-{check_name(hash, kind='hash')}.tar.gz"

    @property
    def jobs(self) -> str:
        """Folder of what jobs on a cluster read or leave."""
        return "tmp"

    def job(self, name: str) -> str:
        """Folder of what the jobs of one run, or of one process, read or leave; gone when none runs."""
        return f"{self.jobs}/{check_name(name, kind='job')}"

    def passes(self, run: str) -> str:
        """Folder of the run's passes."""
        return f"{self.run(run)}/passes"

    def run_pass(self, run: str, number: int) -> str:
        """Folder of pass `number`, 0 to 999,999."""
        return f"{self.passes(run)}/{_check_number(number, kind='pass', lowest=0, highest=MAX_PASS):06d}"

    def kept_pass(self, run: str, name: str) -> str:
        """Path of what a pass of the gate came to, which is run after those of training."""
        return f"{self.passes(run)}/kept-{check_name(name, kind='pass')}"

    def pass_state(self, run: str, number: int) -> str:
        """Optimizer's state after pass `number`: the checkpoint."""
        return f"{self.run_pass(run, number)}/state"

    def pass_pairs(self, run: str, number: int) -> str:
        """Path of what the optimizer's memory gained since the state before, if it is too large to repeat."""
        return f"{self.run_pass(run, number)}/pairs"


def _check_number(number: int, *, kind: str, lowest: int, highest: int) -> int:
    if not lowest <= number <= highest:
        raise UsageError(f"expected a {kind} number from {lowest} to {highest}; found {number}.")
    return number
