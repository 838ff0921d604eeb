"""How sure the parameters of a published model are: one pass more over the rows that it was trained on."""

from __future__ import annotations

import numpy as np

from mr_ml.models.inference import Inference, Inferring
from mr_ml.passes.base import Engine
from mr_ml.sums.blas import on_one_thread


# numbers that are not finite are left out of what is said
@np.errstate(all="ignore")
@on_one_thread
def infer(inferring: Inferring, *, engine: Engine) -> Inference:
    """Run the passes; raises as `mr_ml.models.base.Inferring.run` and `Engine.run`."""
    return inferring.run(lambda query: engine.run(query, columns=inferring.columns))
