"""The candidate's training rows held against the published model's."""

from __future__ import annotations

from collections.abc import Collection

from mr_ml.readers.schema import Schema
from mr_ml.retraining.gate.facts import Drift, SchemaChange
from mr_ml.retraining.gate.profile import Profile


def drift(
    now: Profile, before: Profile, *, schema: Schema, published_schema: Schema, unwatched: Collection[str] = ()
) -> Drift:
    """Return how far the rows have moved."""
    raise NotImplementedError


def schema_change(now: Profile, before: Profile | None, *, schema: Schema, published_schema: Schema) -> SchemaChange:
    """Return how the input has changed."""
    raise NotImplementedError
