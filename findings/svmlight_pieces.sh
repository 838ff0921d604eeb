#!/usr/bin/env bash
# Guess: read in pieces by offset and length, each piece beginning where the last ended, a libsvm file is each of its rows once,
#   wherever the cuts fall: a piece leaves out the line that it begins in, and ends with the one that it ends in.
# Happened: so it is for a file of rows only. With lines of comment or blank lines between them, load_svmlight_file goes on to the next
#   row if the piece ends in such a line, and the following piece begins with the same row: with a comment before every third row a
#   random cut doubles a row more often than not. Nothing is said. The documentation has what a piece leaves out, and that it reads no
#   new line once the position is past its end. Its tracker has no report that we found.
# Matters: this is how a large file is read by many tasks, as Hadoop does it with its splits; comments and blank lines are part of the
#   format, and rows that count twice move a model without any sign.
# Versions: scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
observe <<'PY'
import os
import sys

import numpy as np
import sklearn
from sklearn.datasets import load_svmlight_file

N_ROWS = 20


def pieces(name, *cuts):
    """Labels of the rows of all pieces, which begin and end at `cuts`."""
    ends = [0, *cuts, os.path.getsize(name)]
    parts = zip(ends, ends[1:], strict=False)
    return np.concatenate([load_svmlight_file(name, n_features=2, offset=a, length=b - a)[1] for a, b in parts])


print(f"scikit-learn {sklearn.__version__}; expected: {N_ROWS} rows, whatever the cut")
between = {
    "rows only": lambda i: "",
    "a comment before every third": lambda i: "" if i % 3 else f"# written by the job of hour {i}\n",
    "a blank line before every third": lambda i: "" if i % 3 else "\n",
}
doubled = {}
for name, before in between.items():
    with open("rows.svm", "w") as file:
        file.write("".join(f"{before(i)}{i} 1:{i}\n" for i in range(N_ROWS)))
    cuts = range(1, os.path.getsize("rows.svm"))
    found = [pieces("rows.svm", cut) for cut in cuts]
    lost = sum(len(np.unique(labels)) < N_ROWS for labels in found)
    doubled[name] = sum(len(labels) > N_ROWS for labels in found) / len(cuts)
    print(f"seen: {name}: of {len(cuts)} cuts in two, {doubled[name]:.0%} read a row twice, {lost} lose one")
    if name.startswith("a comment"):
        print("      of one of them:", next(list(map(int, labels)) for labels in found if len(labels) > N_ROWS))
sys.exit(
    None
    if doubled["rows only"] == lost == 0 and doubled["a comment before every third"] > 0.5 and list(doubled.values())[2] > 0
    else "changed: not what the first lines of this script say"
)
PY
