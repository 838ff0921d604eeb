"""Files of coefficients as the programs wrote them, and the rows that they were fitted to.

liblinear 2.50 wrote its own (with `-e 1e-12`), Vowpal Wabbit 9.11.9 its own (in v.py: L-BFGS, then -t --invert_hash).
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

# What liblinear was fitted to: rows and labels; C = 1.
ROWS = "1:1 3:2", "2:1", "1:2 2:0.5", "3:1", "1:-1 2:2", "2:-1 3:-0.5"
TWO, THREE, NUMBERS = (1, -1, 1, -1, -1, 1), (3, 1, 2, 1, 3, 2), (1.5, -1, 0.25, 2, 0, -3)


def liblinear(solver: str, label: str, w: str, *, bias: int = -1, n: int = 3) -> bytes:
    n_classes = len(label.split()) or 2
    head = f"solver_type {solver}\nnr_class {n_classes}\n" + (f"label {label}\n" if label else "")
    return f"{head}nr_feature {n}\nbias {bias}\nw\n{w.replace(';', chr(10))}\n".encode()


L2R_LR = liblinear("L2R_LR", "1 -1", "0.83351150219587511 ;-0.72663810571481846 ;-0.026486329231668316 ")
# `-B 1 -R`: the bias is not penalised
L2R_LR_BIAS = liblinear(
    "L2R_LR", "1 -1",
    "0.84628421907739448 ;-0.71859385678979637 ;-0.011882481761839484 ;-0.066675129081925896 ", bias=1,
)  # fmt: skip
L2R_L2LOSS_SVC = liblinear("L2R_L2LOSS_SVC", "1 -1", "0.86033519553072624 ;-0.77094972067039103 ;-0.14525139664804471 ")
# `-s 11 -p 0`
L2R_L2LOSS_SVR = liblinear("L2R_L2LOSS_SVR", "", "0.0021710811984368386 ;0.23295701259227092 ;1.1094224924012159 ")
L2R_LR_THREE = liblinear(
    "L2R_LR", "3 1 2",
    "-0.37960813306882368 -0.37305522864483048 0.58969751726929942 ;"
    "0.38094882884683379 -0.059606492317959316 -0.64280761551457555 ;"
    "0.5500762413116993 0.063950769909969757 -0.83495533097176455 ;"
    "-0.58028010783208162 -0.3393142132123364 -0.22548661911712992 ",
    bias=1,
)  # fmt: skip

VW_HEAD = (
    "Version 9.11.9\nId \nMin label:-1\nMax label:1\nbits:18\nlda:0\n0 ngram:\n0 skip:\noptions:{options}\n"
    "Checksum: 1119895216\n"
)
VW_STATE = (
    ":1\ninitial_t 0\nnorm normalizer 205.651\nt 120\nsum_loss 30.1233\nsum_loss_since_last_dump 30.1233\n"
    "dump_interval 1\nmin_label -1\nmax_label 1\nweighted_labeled_examples 60\nweighted_labels 6\n"
    "weighted_unlabeled_examples 0\nexample_number 60\ntotal_features 300\ntotal_weight 59\n"
    "sd::oec.weighted_labeled_examples 0\ncurrent_pass 1\nl1_state {l1}\nl2_state {l2}\n"
)
VW = (
    VW_HEAD.format(options="") + VW_STATE.format(l1=0, l2=1) + "n^a:55346:0.339231 1 2\nx^c:112239:0.102085 1 2\n"
    "Constant:116060:-0.102085\nw^one:144301:0.103072\nn^b:233442:-0.34174\n"
).encode()
VW_BFGS = (VW_HEAD.format(options=" --bfgs --noconstant") + ":0\nn^a:55346:1.61693\nn^b:233442:-1.50658\n").encode()

JSON = b"""{
 "format": "mr_ml.model", "format_version": 1, "written_by": "mr_ml 1", "model": "m", "version": 1, "dataset": "d@1",
 "loss": "logistic", "response": "sigmoid", "values": "probability", "labels": ["no", "yes"],
 "n_features": 2, "index_base": 0, "features": [0, 1], "feature_names": ["a", "b"],
 "coefficients": [[0.5, -2.0]], "intercepts": [0.25], "centres": [0.0, 100.0],
 "inputs": {"columns": null, "offset": null, "missing_texts": [], "missing_number_texts": [], "ignores_unseen": false,
 "text": {"format": "csv"}}
}
"""


def npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


NPZ = npz(coef=[[0.5, -2.0]], intercept=[0.25], feature_names=["a", "b"], classes=["no", "yes"])

# Of each kind one, by name; the contract suite has more to say of a kind that is not among them.
SAMPLES: dict[str, bytes] = {"json": JSON, "npz": NPZ, "liblinear": L2R_LR_BIAS, "vw": VW}
