"""What is published of packed rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hdfs_layout import Root
from mr_ml.catalog.dataset import Dataset, Partition
from mr_ml.data.partition_file import PartitionFacts
from mr_ml.packing.plan import PackPlan
from mr_ml.packing.spec import PackSpec
from mr_ml.packing.totals import feature_moments, label_counts, row_weights
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import Summary
from mr_ml.sums.moments import MomentSums


def partitions_of(
    name: str, data_id: str, root: Root, plan: PackPlan, facts: Mapping[int, PartitionFacts]
) -> list[Partition]:
    """Return the partitions of a plan, with facts of those that have rows."""
    return [
        Partition(
            root.layout.partition(name, data_id, number), segment.split, segment.fold,
            facts.get(number) or PartitionFacts.of_nothing(number),
        )
        for segment in plan.segments
        for number in range(segment.first_partition, segment.first_partition + segment.n_partitions)
    ]  # fmt: skip


def described(
    spec: PackSpec, data_id: str, root: Root, schema: Schema, plan: PackPlan, partitions: Sequence[Partition],
    totals: Mapping[str, MomentSums], summary: Summary, missing: Mapping[str, Mapping[str, Any]],
) -> Dataset:  # fmt: skip
    """Write the moments of each split beside the partitions, and return what the manifest says; its version is 0.

    Parameters
    ----------
    missing
        Key -> counts of missing values, for those keys of the manifest of which there are some.

    Raises
    ------
    StorageError
        If the moments cannot be written.
    """
    moments = {
        split: feature_moments(total, schema).save(root.store, root.layout.moments(spec.name, data_id, split))
        for split, total in totals.items()
    }
    left_out = {"segments"} if spec.shares else {"segments", "shares", "by_file"}
    packing = {
        **{key: value for key, value in plan.to_json().items() if key not in left_out},
        **({"inputs": list(spec.inputs)} if spec.shares else {"split_inputs": spec.inputs_of_splits()}),
        "bad_rows": summary.bad_counts,
        "dropped_rows": summary.n_dropped,
        "unseen_values": summary.n_unseen,
        **{key: counts for key, counts in missing.items() if any(counts.values())},
    }
    nnz = sum(p.facts.nnz for p in partitions)
    counts = {split: label_counts(total, schema) for split, total in totals.items()}
    weights = row_weights(totals, schema)
    return Dataset(
        spec.name, 0, data_id, schema, tuple(partitions), moments, counts, nnz, packing, weights, spec.request
    )
