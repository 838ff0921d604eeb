"""How far to go in the first steps, asked of a sample: one block, which the driver reads itself.

L-BFGS starts out along -g / diag(h), which is far too long where features go together, and the pass that finds that
out is one that nothing else needs; its first pairs tell little more. Rows are shuffled when they are packed, so the
losses of one block along a direction say where its minimum is, well enough for a step. What they say only aims: the
pass judges by all rows. The block belongs to the dataset, so the bits are the same on every runner.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hdfs_layout import Store
from mr_ml.block import BlockAddress, decode_line
from mr_ml.dataset import Dataset
from mr_ml.engine.blas import one_thread
from mr_ml.errors import BadDataError
from mr_ml.objective import Objective
from mr_ml.optimize.base import Ask

# From 2^-12 to 8, two to an octave.
_STEPS = tuple((2.0 ** (np.arange(-24, 7) / 2)).tolist())


def early_step(objective: Objective, ask: Ask, dataset: Dataset, split: str, store: Store) -> float:
    """The length, in multiples of the direction of `ask`, that is best for the first block; 1 if it cannot tell.

    Raises
    ------
    BadDataError
        If the block is not what was packed.
    """
    partition = next(p for p in dataset.of_split(split) if p.facts.blocks)
    line = store.read_range(partition.path, offset=0, length=partition.facts.line_bytes[0])
    stored = decode_line(line, where=store.uri(partition.path))
    expected = BlockAddress(partition.facts.partition, 0)
    if stored.address != expected:
        raise BadDataError(f"{store.uri(partition.path)}: expected {expected}, found {stored.address}")
    tried = replace(ask, steps=_STEPS, chosen=0, curvature=False, hessian=False)
    with one_thread():
        total = objective.query(tried).map(stored.block)
    if not float(total.sum("weight_sum")) > 0:
        return 1.0
    values = objective.values(tried, total)
    values = np.where(np.isfinite(values), values, np.inf)
    return _STEPS[int(values.argmin())] if np.isfinite(values).any() else 1.0
