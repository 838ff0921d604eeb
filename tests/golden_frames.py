"""What the golden files of binary formats hold: one file in golden/ for every format version that was ever written.

    PYTHONPATH=.. python -m golden_frames        run in tests/

writes the files of the current version anew. Do that only when a format's version number goes up, under a new file
name: files of older versions stay, and what they hold stays readable. All numbers are written out here, none is
computed, so the bytes do not depend on a mathematical library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mr_ml.data import frame
from mr_ml.data.block import Block, BlockAddress, encode_line
from mr_ml.data.features import DenseFeatures, SparseFeatures
from mr_ml.models.contrasts import Contrast, Contrasts
from mr_ml.models.inference import FitStatistics, Inference
from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.shift import Shift
from mr_ml.optimize.base import Separation, Stop, stacked
from mr_ml.optimize.lbfgs import Lbfgs
from mr_ml.optimize.line_state import LineState
from mr_ml.passes.request import PassRequest
from mr_ml.retraining.gate.profile import Profile, Ranges
from mr_ml.sums.parts import Keyed, Minimum, Moments, Sum
from mr_ml.sums.statistic import Receipts, Statistic
from mr_ml.sums.tree import Node, PartitionPlan, SumTree

FOLDER = Path(__file__).parent / "golden"

SPARSE_BLOCK = Block(
    SparseFeatures(np.array([0, 2, 2, 3], np.int32), np.array([1, 70_000, 4], np.int32), np.array([0.5, -3.0, 1e-300])),
    labels=np.array([1.0, -1.0, 1.0]),
    weights=np.array([0.1, 1.0, 2.0]),
    offsets=np.array([0.0, 300.0, -5.0]),
)
DENSE_BLOCK = Block(DenseFeatures(np.array([[1.0, -2.0], [0.0, 127.0]])), labels=np.array([0.25, np.inf]))

STATISTIC = Statistic(
    {
        "loss_sums": Sum(np.array([0.1, 2.5])),
        "weight_sum": Sum(np.array(3.0)),
        "lows": Minimum(np.array([-1.0, np.inf])),
        "moments": Moments(np.float64(3), np.array([0.5, 1e9]), np.array([0.25, 0.0])),  # type: ignore[arg-type]
        "table": Keyed(np.array([-5, 7]), np.array([[1.0, 0.0], [2.0, 0.1]]), limit=1024, shift=1),
    },
    Receipts(np.array([[3, 4, 6, 150]]), np.array([2**64 - 1], np.uint64)),
)
NODE = Node(1, 26)

QUERY = LineQuery(
    rows=RowSpec(
        loss_from_json("logistic"),
        2,
        classes=(-1.0, 1.0),
        class_weights=(1.0, 0.1),
        row_weights=False,
        shift=Shift((1,), (0.1,), 2.5),
    ),
    coef=np.array([[0.1, -2.0, 0.0]]),
    direction=np.array([[1.0, 1e-300, 3.0]]),
    steps=(1.0, 0.5),
    chosen=0,
    curvature=False,
    cross=True,
    leads=True,
)
REQUEST = PassRequest(
    QUERY, SumTree((PartitionPlan(0, 3), PartitionPlan(2, 1))), dataset="20261123T052811-0badcafe", cache_bytes=1 << 30
)

STATE = LineState(
    point=np.array([0.1, -0.0]),
    gradient=np.array([1e-9, 2.0]),
    curvature=np.array([0.25, 0.0]),
    direction=np.array([-1.0, 5e-324]),
    pairs_s=[np.array([1.0, 2.0])],
    pairs_y=[np.array([3.0, 0.3])],
    value=np.inf,
    curvature_value=0.1,
    steps=(1.0, 4.0, 2.0**-12),
    chosen=1,
    shrinks=2,
    step=0.1,
    n_passes=12,
    n_iterations=11,
    stop=Stop.PASSES,
    unit=np.array([0.25]),
    fit_unit=0.5,
    start_unit=2.0,
    distance=np.inf,
    stalls=1,
    suspicions=2,
    separation=Separation(-0.5, -3.0, 1e-3, -np.inf),
)

PROFILE = Profile(
    n_rows=1000,
    labels={"no": 900, "yes\u00df": 100},
    label_mean=None,
    label_deviation=0.25,
    missing={"age": 3},
    features=np.array([0, 2, 70_000], np.int32),
    mean=np.array([0.1, -2.0, 1e300]),
    deviation=np.array([0.5, 0.0, np.inf]),
    nonzero=np.array([1000.0, 1.0, 7.0]),
    ranges=Ranges(
        features=np.array([2], np.int32),
        edges=np.array([[-4.0, -3, -2, -1, 0, 1, 2, 3, 4.5]]),
        counts=np.array([[100.0] * 9 + [100]]),
    ),
)


INFERENCE = Inference(
    model="ctr@3",
    dataset="clicks@12",
    split="train",
    outputs=("no", "yes\u00df"),
    features=("age", "(intercept)"),
    estimates=np.array([0.1, -2.0, 1e300, 0.0]),
    covariance=np.full((4, 4), np.nan),
    robust_covariance=np.arange(16.0).reshape(4, 4),
    statistics=FitStatistics(
        n_rows=7, rank=3, df_residual=4, df_null=6, dispersion=0.5, is_dispersion_estimated=True, pearson=2.0,
        deviance=1.5, null_deviance=None, log_likelihood=-3.25, aic=14.5, bic=14.28, distance=1e-12,
    ),
    notes=("a note",),
)  # fmt: skip
# with a base; that which has none is still written as earlier
CONTRASTED = replace(
    INFERENCE,
    features=("city=\u00e5", "(intercept)"),
    contrasts=Contrasts(
        columns=(Contrast(column="city", features=("city=b", "city=\u00e5"), base="city=b"),), at_bases=(1,)
    ),
)


def block_lines() -> bytes:
    return encode_line(SPARSE_BLOCK, BlockAddress(3, 0)) + encode_line(DENSE_BLOCK, BlockAddress(3, 1))


def state_frame() -> bytes:
    meta, arrays = Lbfgs().encode(STATE)
    # the golden file is of a state whose pairs were arrays, which were written before the units; no search had such
    first = ("point", "gradient", "curvature", "direction", "pairs_s", "pairs_y")
    found = stacked(arrays, size=2)
    return frame.encode("state", meta, {name: found[name] for name in dict.fromkeys((*first, *found))})


GOLDEN: dict[str, Callable[[], bytes]] = {
    "block-format-2.txt": block_lines,
    "statistic-format-1.frame": lambda: STATISTIC.encode(NODE),
    "pass-format-3.frame": REQUEST.encode,
    "state-format-3.frame": state_frame,
    "profile-format-1.frame": PROFILE.encode,
    "inference-format-1.frame": INFERENCE.encode,
    "inference-format-2.frame": CONTRASTED.encode,
}


def golden(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


if __name__ == "__main__":
    for name, make in GOLDEN.items():
        (FOLDER / name).write_bytes(make())
