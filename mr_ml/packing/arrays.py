"""Rows in memory to a new version of a dataset: the same bytes as if they had been packed from a CSV text.

The text would have a column of that name for each feature, for the label, and for weight and offset where rows have
some. So a model of such a dataset predicts CSV files with these columns.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import Root, check_name, open_root
from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.leftovers import UnfinishedPack
from mr_ml.data.partition_file import PartitionFacts
from mr_ml.errors import UsageError
from mr_ml.ids import unique_id
from mr_ml.models.sparse_rows import sparse_rows
from mr_ml.packing.manifest import described, partitions_of
from mr_ml.packing.miniblock import joined, ranked, split_rows
from mr_ml.packing.plan import make_plan
from mr_ml.packing.spec import PackSpec
from mr_ml.packing.split_moments import SplitMoments
from mr_ml.packing.tasks import PackRequest, write_partition
from mr_ml.readers.csv.stored import ColumnUse, CsvPart
from mr_ml.readers.rows import Rows
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import MAX_LABELS, Summary
from mr_ml.readers.text.options import TextOptions
from mr_ml.sums.blas import one_thread

Floats = NDArray[np.float64]

# of the column of these, with as many underscores as it takes to be no feature's
_LABEL, _WEIGHT, _OFFSET = "label", "weight", "offset"


def pack_arrays(
    root: Root | str | os.PathLike[str],
    x: Any,
    labels: Any,
    name: str,
    *,
    weights: Any = None,
    offsets: Any = None,
    feature_names: Sequence[str] | None = None,
    seed: int = 0,
) -> Dataset:
    """Pack rows that are in memory to a new version of a dataset, all of them for training.

    What is packed is what a CSV text of these rows would be, so that its models predict CSV files with columns of these
    names.

    Parameters
    ----------
    root
        A folder, ``hdfs://...`` or ``s3://...``, or what `hdfs_layout.open_root` returned.
    x
        (n_rows, n_features) numbers: an array, a scipy sparse matrix or a data frame.
    labels, weights, offsets
        (n_rows,) numbers; weights >= 0 and offsets may be None.
    name
        Of the dataset.
    feature_names
        By default the columns of a data frame, else x0, x1, ...
    seed
        Of the shuffle.

    Returns
    -------
    Dataset
        The version that is published.

    Raises
    ------
    UsageError
        If these are not such rows.

    Examples
    --------
    >>> mr_ml.pack_arrays(root, frame, labels, "flowers").n_rows()
    150
    """
    if feature_names is None:
        columns = getattr(x, "columns", None)
        feature_names = [f"x{k}" for k in range(np.shape(x)[-1])] if columns is None else [str(c) for c in columns]
    rows = rows_of(x, labels, weights=weights, offsets=offsets)
    schema = schema_of(rows, feature_names, n_features=np.shape(x)[1])
    return pack_rows(rows, schema, root=open_root(root), name=name, seed=seed)


def rows_of(x: Any, labels: Any, *, weights: Any = None, offsets: Any = None) -> Rows:
    """Return rows in memory as a reader would, zeros left out.

    Parameters
    ----------
    x
        (n_rows, n_features), an array or a scipy sparse matrix.
    labels, weights, offsets
        (n_rows,) numbers; weights and offsets may be None.

    Raises
    ------
    UsageError
        If these are not finite numbers, so many of each, and weights >= 0.
    """
    shape = np.shape(x)
    if len(shape) != 2:
        raise UsageError(f"expected rows of features, (n_rows, n_features); found shape {shape}")
    features = sparse_rows(x, shape[1])
    if not np.isfinite(features.values).all():
        raise UsageError("expected finite features, found NaN or infinity among them; impute or drop these rows")
    columns = {
        name: None if column is None else _column(column, name, len(features.indptr) - 1)
        for name, column in (("labels", labels), ("weights", weights), ("offsets", offsets))
    }
    if columns["labels"] is None:
        raise UsageError("expected labels of the rows, found None")
    if columns["weights"] is not None and (columns["weights"] < 0).any():
        raise UsageError(f"expected weights >= 0, found {columns['weights'].min():g}")
    return Rows(
        labels=columns["labels"],
        indptr=features.indptr.astype(np.int64),
        indices=features.indices,
        values=features.values,
        lines=np.arange(len(columns["labels"])),
        weights=columns["weights"],
        offsets=columns["offsets"],
    )


def _column(values: Any, name: str, n_rows: int) -> Floats:
    try:
        column = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"expected {name} that are numbers; {error}") from None
    if column.shape != (n_rows,):
        raise UsageError(f"expected {name} of {n_rows} rows; found shape {column.shape}")
    if not np.isfinite(column).all():
        raise UsageError(f"expected finite {name}, found NaN or infinity among them")
    # as text of -0 is read
    return column + 0.0


def schema_of(rows: Rows, names: Sequence[str], *, n_features: int) -> Schema:
    """Return the schema of the CSV text that these rows would be, with features of these names.

    Raises
    ------
    UsageError
        If these are not so many different names, none of them empty.
    """
    if len(names) != n_features:
        raise UsageError(f"expected names of {n_features} features, found {len(names)}")
    if len(set(names)) != len(names) or not all(names):
        raise UsageError("expected features of different names, none of them empty; rename a column")
    free = {
        kind: name
        for kind, name, column in (
            ("label", _LABEL, rows.labels), ("weight", _WEIGHT, rows.weights), ("offset", _OFFSET, rows.offsets)
        )
        if column is not None
        for name in (_free(name, names),)
    }  # fmt: skip
    found = np.unique(rows.labels)
    columns: dict[str, ColumnUse] = {
        name: {"kind": "numeric", "detected": False, "first": k} for k, name in enumerate(names)
    }
    columns |= {name: {"kind": kind, "detected": False, "first": None} for kind, name in free.items()}  # type: ignore[typeddict-item]
    options = TextOptions(
        format="csv", columns=tuple(columns), label_column=free["label"], weight_column=free.get("weight"),
        offset_column=free.get("offset"), numeric_columns=tuple(names),
    )  # fmt: skip
    few = len(found) <= MAX_LABELS
    return Schema(
        format="csv",
        n_features=len(names),
        feature_names=tuple(names),
        labels=tuple(found.tolist()) if few else (),
        label_kind="numeric" if few else "continuous",
        part=CsvPart(options, {}, columns),
    )


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name


@np.errstate(all="ignore")
def pack_rows(rows: Rows, schema: Schema, *, root: Root, name: str, seed: int = 0) -> Dataset:
    """Pack and publish rows that are in memory, all of them for training.

    Raises
    ------
    UsageError
        If there are none.
    StorageError
        If they cannot be written.
    """
    check_name(name, kind="dataset")
    if not rows.n_rows:
        raise UsageError("expected rows, found none")
    plan = make_plan(
        n_rows=rows.n_rows, nnz=len(rows.indices), n_features=schema.n_features, shares={"train": 1.0}, seed=seed
    )
    spec = PackSpec(inputs=(), name=name, options=schema.options, shares={"train": 1.0}, seed=seed)
    parts: dict[int, list[bytes]] = {}
    for partition, data in split_rows(rows, plan):
        parts.setdefault(partition, []).append(data)
    with UnfinishedPack(root, name, unique_id()) as unfinished:
        data_id, store, layout = unfinished.data_id, root.store, root.layout
        store.make_folder(layout.dataset_data(name, data_id))
        paths = [layout.partition(name, data_id, number) for number in range(plan.n_partitions)]
        here = tuple(path for path in map(store.local_path, paths) if path is not None)
        moments, facts = SplitMoments(plan, filled=parts.keys()), dict[int, PartitionFacts]()
        with tempfile.TemporaryDirectory(prefix="mr_ml-rows-") as scratch:
            request = PackRequest(schema, plan, here or tuple(paths), scratch, root="" if here else store.root)
            with request.shelf() as shelf, one_thread():
                for partition, sent in sorted(parts.items()):
                    source = joined(sent, where=f"partition {partition}")
                    facts[partition], sums = write_partition(request, partition, source, ranked(source).rows, shelf)
                    moments.add(partition, sums)
        for number in set(range(plan.n_partitions)) - parts.keys():
            store.write(paths[number], b"")
        dataset = described(
            spec, data_id, root, schema, plan, partitions_of(name, data_id, root, plan, facts), moments.totals(),
            Summary(n_rows=rows.n_rows, n_lines=rows.n_rows), {},
        )  # fmt: skip
        return replace(dataset, version=unfinished.publish(dataset.to_json()))
