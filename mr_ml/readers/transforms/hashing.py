"""Hashes to numbers of features: the same on every machine and in every version."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from mr_ml.data import stored
from mr_ml.readers.text.fields import I64, U64, hash_fields, mixed

#: Names of all features are stored, so that there should not be too many.
MAX_BITS = 20
Bits = Annotated[int, stored.at_least(1), stored.at_most(MAX_BITS)]
Seed = Annotated[int, stored.at_least(0)]

#: The hash of no text: what a missing value is hashed as, which no field with a value is.
NOTHING: U64 = hash_fields(np.zeros(0, np.uint8), np.zeros(1, np.int64), np.zeros(1, np.int64))


def buckets(keys: U64, *, bits: int, seed: int) -> I64:
    """Return the highest `bits` of hashes, mixed with a seed.

    bucket = mix(key xor mix(seed)) >> (64 - bits), where mix is the finaliser of SplitMix64, as in
    `mr_ml.readers.text.fields.hash_fields`, of which the keys are.
    """
    seeds = mixed(np.array([seed], np.uint64))
    return (mixed(keys ^ seeds) >> np.uint64(64 - bits)).astype(np.int64)


def bucket_names(column: str, bits: int) -> list[str]:
    """Return the names of features that are hashes: ``agent#0``, ``agent#1``, ..."""
    return [f"{column}#{k}" for k in range(1 << bits)]
