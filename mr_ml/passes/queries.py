"""All kinds of query, for tasks that are handed one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from mr_ml.errors import BadDataError
from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.sides import SidesQuery
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.query import Query

QUERIES: dict[str, type[Query]] = {query.kind: query for query in (LineQuery, MetricsQuery, MomentsQuery, SidesQuery)}

Array = NDArray[Any]


def query_parts(query: Query) -> tuple[dict[str, Any], dict[str, Array]]:
    """JSON and arrays of any query, its kind included."""
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
        return QUERIES[kind].from_parts(meta, arrays)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise BadDataError(f"{where}: not a query of kind {kind!r}: {error!r}") from error
