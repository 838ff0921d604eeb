"""The registry of query kinds, and any query as JSON and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hdfs_layout.registry import Registry
from mr_ml.errors import BadDataError, UsageError

if TYPE_CHECKING:
    # the command line asks for names alone, without numpy
    from mr_ml.sums.query import Array, Query

QUERIES: Registry[type[Query]] = Registry(
    "kind of query",
    group="mr_ml.queries",
    built_in={
        "fold_counts": "mr_ml.models.linear.fold_counts:FoldCountsQuery",
        "rows_by_group": "mr_ml.models.groups:GroupsQuery",
        "histogram": "mr_ml.sums.histogram:HistogramQuery",
        "inference": "mr_ml.models.linear.inference_query:InferenceQuery",
        "line": "mr_ml.models.linear.line_query:LineQuery",
        "metrics": "mr_ml.models.linear.metrics:MetricsQuery",
        "moments": "mr_ml.sums.moments:MomentsQuery",
        "null": "mr_ml.models.linear.inference_query:NullQuery",
        "paired": "mr_ml.models.paired:PairedQuery",
        "several": "mr_ml.sums.several:SeveralQueries",
        "sides": "mr_ml.models.linear.sides:SidesQuery",
    },
)


def query_parts(query: Query) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return JSON and arrays of any query, its kind included."""
    meta, arrays = query.to_parts()
    return {"kind": query.kind, **meta}, arrays


def query_from(meta: Mapping[str, Any], arrays: Mapping[str, Array], *, where: str) -> Query:
    """Undo `query_parts`.

    Raises
    ------
    BadDataError
        If the kind is not known here, or it is not a query of its kind.
    """
    kind = meta.get("kind")
    if not isinstance(kind, str) or kind not in QUERIES:
        raise BadDataError(f"{where}: query of kind {kind!r}, this mr_ml knows {sorted(QUERIES)}")
    try:
        return QUERIES.get(kind).from_parts(meta, arrays)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise BadDataError(f"{where}: not a query of kind {kind!r}: {error!r}") from error
    except (BadDataError, UsageError) as error:
        raise BadDataError(f"{where}: not a query of kind {kind!r}: {error}") from error
