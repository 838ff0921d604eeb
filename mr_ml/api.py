"""The Python API: what the commands do, as functions. Use it as ``mr_ml.pack``, ``mr_ml.train`` and so on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from hdfs_layout import open_root
from mr_ml.catalog import dataset as datasets
from mr_ml.catalog import model as models
from mr_ml.catalog.dataset import Dataset
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.memory import Memory
from mr_ml.models.base import UNNAMED_KIND, Model
from mr_ml.progress import PassEnded, calling
from mr_ml.readers.frames import frame_of
from mr_ml.session import Session, ignore_message
from mr_ml.where import Place, TrainWhere, Where, session_of

if TYPE_CHECKING:
    from mr_ml.training.loop import Progress
    from mr_ml.training.train import TrainResult

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def pack(
    root: Place,
    inputs: Paths | Mapping[str, Paths],
    name: str,
    *,
    split: dict[str, float] | None = None,
    folds: int = 1,
    split_by: str | None = None,
    seed: int = 0,
    partitions: int | None = None,
    like: str | None = None,
    unseen_features: Literal["error", "ignore"] = "error",
    max_bad_rows: int = 0,
    format: str | None = None,
    index_base: Literal[0, 1] | None = None,
    label_weights: bool = False,
    offset_feature: int | None = None,
    hash_bits: int | None = None,
    delimiter: str = ",",
    header: bool | None = None,
    label_column: str | int | None = None,
    weight_column: str | int | None = None,
    offset_column: str | int | None = None,
    drop: Sequence[str | int] = (),
    categorical: Sequence[str | int] = (),
    numeric: Sequence[str | int] = (),
    missing_markers: Sequence[str] | None = None,
    decimal: str = ".",
    thousands: str = "",
    percent: bool = False,
    missing: str = "error",
    unseen: Literal["error", "ignore"] = "error",
    schema: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    **where: Unpack[Where],
) -> Dataset:
    """Pack text files to a new version of a dataset: parsed, shuffled, split, in blocks.

    Parameters
    ----------
    root
        Where datasets, models and runs are kept: a folder, ``hdfs://...``, or what `open_root` returned.
    inputs
        Files, folders or globs of libsvm or CSV text, plain or compressed; or these by split, whose rows it then has,
        instead of `split`: ``{"train": ["june", "july"], "test": "august"}``.
    name
        Of the dataset.
    split, folds, split_by, seed, partitions, like, unseen_features, max_bad_rows, format
        See `mr_ml.packing.choices.PackChoices`.
    index_base
        libsvm: the first feature id; None to find out.
    hash_bits
        Vowpal Wabbit's text: features are numbered by hashes of so many bits; None: by a list of their names.
    label_weights
        libsvm: whether rows have weights behind their labels, ``label:weight``.
    offset_feature
        libsvm: the id of the feature whose value is the offset of its row; 0 where it lacks.
    header
        CSV: whether the first line names the columns; None for yes, unless it looks like a row, which is an error.
    label_column, weight_column, offset_column
        CSV: names of columns; the label's is by default label, target or y.
    drop, categorical, numeric
        CSV: columns to leave out, to encode one-hot although they are numbers, and in which anything but a number is a
        bad row.
    missing_markers
        CSV: texts that mean no value; None for the default ones.
    delimiter, decimal, thousands, percent
        CSV: how fields and numbers are written.
    missing
        CSV: "error", "drop", "zero" or "value:X", of numbers that are missing.
    unseen
        CSV: "error" or "ignore", of categories that are not in the vocabulary.
    schema
        CSV: a schema file, which says what each column is: docs/schema.md.
    dry_run
        Do all but publish, and leave nothing behind: the dataset that is returned says what it would be, has version 0,
        and is nowhere.
    **where
        See `Where`.

    Returns
    -------
    Dataset
        The version that is published.

    Raises
    ------
    UsageError
        If choices contradict each other or the text.
    BadDataError
        If there are more bad rows than allowed, none at all, or rows that contradict each other.

    Examples
    --------
    >>> dataset = mr_ml.pack(root, "iris.csv", "iris", split={"train": 0.8, "test": 0.2}, seed=7)
    >>> dataset.reference, dataset.n_rows()
    ('iris@1', 150)
    """
    from mr_ml.packing.choices import PackChoices

    stored.chosen(bool | None, header, "header")
    stored.chosen(Literal[0, 1] | None, index_base, "index_base")
    stored.chosen(bool, dry_run, "dry_run")
    text = {
        "index_base": "auto" if index_base is None else str(index_base), "label_weights": label_weights,
        "offset_feature": offset_feature, "hash_bits": hash_bits, "delimiter": delimiter,
        "no_header": header is False, "header": header is True, "label_column": label_column,
        "weight_column": weight_column, "offset_column": offset_column, "drop": drop, "categorical": categorical,
        "numeric": numeric, "missing_markers": missing_markers, "decimal": decimal, "thousands": thousands,
        "percent": percent, "missing": missing, "unseen": unseen,
        "schema": schema,
    }  # fmt: skip
    by_split = {name: _paths(of) for name, of in inputs.items()} if isinstance(inputs, Mapping) else {}
    chosen = {
        "split": {"train": 1.0} if split is None else split, "split_inputs": by_split, "folds": folds,
        "split_by": split_by, "seed": seed, "partitions": partitions, "like": like, "unseen_features": unseen_features,
        "max_bad_rows": max_bad_rows, "format": format,
        "text": {name: value for name, value in stored.plain(text).items() if value != []},
    }  # fmt: skip
    choices = stored.check(PackChoices, chosen, what="a pack")
    with session_of(root, where) as session:
        paths = [] if isinstance(inputs, Mapping) else _paths(inputs)
        return session.pack(paths, name, choices, dry_run=dry_run)


def train(
    root: Place,
    dataset: str,
    model: str,
    *,
    split: str = "train",
    kind: str = UNNAMED_KIND,
    inference: bool = False,
    verify: bool = False,
    runner: str = "inline",
    workers: int | None = None,
    memory: Memory = None,
    config: str | os.PathLike[str] | None = None,
    cluster_id: str | None = None,
    master: str | None = None,
    max_hours: float | None = None,
    max_cost: float | None = None,
    engine: str | None = None,
    say: Callable[[str], None] = ignore_message,
    warn: Callable[[str], None] = ignore_message,
    watch: Callable[[Progress], None] = ignore_message,
    on_pass: Callable[[PassEnded], object] | None = None,
    **options: Any,
) -> TrainResult:
    """Fit a model to a dataset's split and publish it.

    Parameters
    ----------
    root
        As of `pack`.
    dataset
        Name, ``name@version`` or ``name@latest``.
    model
        Name to publish under.
    split
        Of the dataset.
    kind
        Of the model.
    inference
        Whether one more pass finds standard errors, which `infer` then returns; without a penalty only.
    verify
        Whether to compare the partitions with their sha256 first.
    runner, workers, memory, config, cluster_id, master, max_hours, max_cost, engine, say, warn
        See `Where`.
    watch
        Called with the `mr_ml.training.loop.Progress` of each pass.
    on_pass
        Called with the `mr_ml.progress.PassEnded` of each pass, after its checkpoint: its number, objective, largest
        gradient component, the tolerance, seconds... What it raises ends the training, which `resume` goes on with.
    **options
        Of the kind of model; of linear ones `loss` ("logistic", "tweedie:power=1.6", ...: see docs/models.md), `l1`,
        `l2`, `non_negative`, `per_feature` (a dict), `penalty_space`, `intercept`, `row_weights`, `class_weights`,
        `solver`, `tolerance` and `max_passes`; `warm_start`, a model, or `warm_start_from`, a file of coefficients or
        a dict of arrays (`coef`, `intercept`, `feature_names`, `classes`), to begin with; and `prior` and
        `prior_precision`, an earlier model that counts as well: see
        `mr_ml.models.linear.kind.spec.LinearSpec`, and docs/training.md.

    Returns
    -------
    TrainResult
        The version that is published, why training ended, and what a user of the model should know.

    Raises
    ------
    UsageError
        If options do not fit together, or not to the data.
    BadDataError
        If data is not what was packed, or no model comes of it.

    Examples
    --------
    >>> result = mr_ml.train(root, "iris", "iris-softmax", loss="softmax", l2=1e-4)
    >>> result.version, result.converged
    (1, True)
    """
    with calling(on_pass), Session.open(
        root, runner=runner, workers=workers, memory=memory, config=config, cluster_id=cluster_id, master=master,
        max_hours=max_hours, max_cost=max_cost, engine=engine, say=say, warn=warn, watch=watch,
    ) as session:  # fmt: skip
        spec = session.spec(kind, dataset, model, split, options)
        return session.train(spec, verify_bytes=verify, inference=stored.chosen(bool, inference, "inference"))


def resume(
    root: Place, run: str, *, verify: bool = False, max_passes: int | None = None, tolerance: float | None = None,
    on_pass: Callable[[PassEnded], object] | None = None, **where: Unpack[TrainWhere],
) -> TrainResult:  # fmt: skip
    """Go on with a training that was interrupted, from its last checkpoint; the model is the same to the last bit.

    Parameters
    ----------
    run
        As the message of the training, or ``mr-ml runs list``, gives it.
    max_passes, tolerance
        To go further than it was asked to: more passes, or a smaller tolerance. What comes out, in a run and a version
        of its own, has the bits of a training that was asked for these at once.
    root, verify, on_pass, **where
        As of `train`.

    Raises
    ------
    UsageError
        If there is no such run, or it cannot go further.
    BadDataError
        As of `train`, or if what was written of the run is damaged.
    """
    with calling(on_pass), session_of(root, where) as session:
        return session.resume(run, verify_bytes=verify, max_passes=max_passes, tolerance=tolerance)


def predict(
    root: Place,
    model: str | Model,
    inputs: Paths,
    to: str | os.PathLike[str],
    *,
    max_bad_rows: int = 0,
    unseen: Literal["error", "ignore"] | None = None,
    keep: Sequence[str] = (),
    output_format: str | None = None,
    unseen_features: Literal["error", "ignore"] | None = None,
    **where: Unpack[Where],
) -> dict[str, Any]:
    """Predict the rows of text files: one line of output for each line of input.

    Rows in memory are predicted by `Model.predict` and `Model.predict_proba`.

    Parameters
    ----------
    inputs
        Files, folders or globs, of the model's format; ``-`` for standard input.
    to
        Path of the output: a file for one file, else a folder; here or ``hdfs://...``; ``-`` for standard output.
    max_bad_rows, unseen, keep, output_format
        See `mr_ml.prediction.choices.PredictChoices`.
    unseen_features
        What `unseen` was called before.
    root, model, **where
        As of `evaluate`.

    Returns
    -------
    dict
        What ``mr-ml predict --json`` prints: `n_rows`, `outputs`, `labels` and so on.

    Raises
    ------
    BadDataError
        If there are more bad rows than allowed.
    UsageError
        If the output exists, or there is no such column to keep.

    Examples
    --------
    >>> done = mr_ml.predict(root, "iris-softmax", "new_rows.csv", "predictions.tsv")
    >>> done["n_rows"]
    3
    """
    from mr_ml.prediction.choices import PredictChoices

    stored.chosen(Literal["error", "ignore"] | None, unseen_features, "unseen_features")
    chosen = {
        "max_bad_rows": max_bad_rows, "unseen": unseen_features if unseen is None else unseen,
        "keep": [keep] if isinstance(keep, str) else keep, "output_format": output_format,
    }  # fmt: skip
    choices = stored.check(PredictChoices, chosen, what="a prediction")
    with session_of(root, where) as session:
        return session.predict(model, _paths(inputs), _path(to, "to"), choices)


def load_model(root: Place, reference: str) -> Model:
    """Open a published model.

    Parameters
    ----------
    root
        As of `pack`.
    reference
        Name, for the promoted version (the latest if none ever was promoted), ``name@version`` or ``name@latest``.

    Returns
    -------
    Model
        With `predict` and `predict_proba` for rows in memory, `feature_names`, `label_texts` and the `manifest`; that
        of a linear model has `coefficients` and `intercepts` by name, and the array `coef`.

    Raises
    ------
    StorageError
        If there is no such model.
    BadDataError
        If it is damaged, or written by a newer mr_ml.

    Examples
    --------
    >>> model = mr_ml.load_model(root, "iris-softmax")
    >>> model.feature_names[0], sorted(model.coefficients)
    ('sepal length (cm)', ['setosa', 'versicolor', 'virginica'])
    """
    return models.load_model(open_root(root), reference)


def load_dataset(root: Place, reference: str) -> Dataset:
    """Open a packed dataset; parameters and errors as of `load_model`."""
    return datasets.load_dataset(open_root(root), reference)


_ROWS = (
    "rows in memory are packed by `mr_ml.pack_arrays`, as arrays of numbers; or write them to a file, such as "
    "frame.to_parquet('rows.parquet'), which keeps texts too"
)


def _paths(inputs: Paths) -> list[str]:
    found = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    if not isinstance(found, Iterable) or isinstance(found, bytes):
        raise UsageError(f"`inputs`: expected a path or paths, found {stored.shown(inputs)}")
    if found is inputs and frame_of(inputs) is not None:
        # the names of its columns would be taken for paths
        raise UsageError(f"`inputs`: expected paths of files, found rows in memory ({type(inputs).__name__}); {_ROWS}")
    items = list(found)
    if any(not isinstance(item, str | os.PathLike) for item in items):
        kind = next(type(item).__name__ for item in items if not isinstance(item, str | os.PathLike))
        raise UsageError(f"`inputs`: expected paths of files, found one of type {kind}; {_ROWS}")
    paths = [_path(path, "inputs") for path in items]
    if not paths:
        raise UsageError("`inputs`: expected files, folders or globs, found none")
    return paths


def _path(path: str | os.PathLike[str], name: str) -> str:
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not text or not isinstance(text, str):
        raise UsageError(f"`{name}`: expected a path, found {stored.shown(path)}")
    return text
