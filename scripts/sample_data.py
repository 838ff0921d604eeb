"""Write the sample data of scikit-learn as libsvm text: a line a row, `label id:value id:value ...`.

    python scripts/sample_data.py FOLDER

makes iris.libsvm (150 flowers, 4 measures, 3 species), digits.libsvm (1,797 images of 8 x 8 pixels, 10 digits) and, as
rows whose label nobody knows, every 30th flower without its label in new_rows.libsvm.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn.datasets import dump_svmlight_file, load_digits, load_iris


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, load in (("iris", load_iris), ("digits", load_digits)):
        features, labels = load(return_X_y=True)
        dump_svmlight_file(features, labels, str(folder / f"{name}.libsvm"), zero_based=False)
    rows = (folder / "iris.libsvm").read_text(encoding="ascii").splitlines()
    unlabelled = [row.partition(" ")[2] for row in rows[::30]]
    (folder / "new_rows.libsvm").write_text("\n".join(unlabelled) + "\n", encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
