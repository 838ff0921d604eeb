"""Write the sample data of scikit-learn as text.

    python scripts/sample_data.py FOLDER

makes iris.libsvm (150 flowers, 4 measures, 3 species), digits.libsvm (1,797 images of 8 x 8 pixels, 10 digits), a line
a row, `label id:value id:value ...`; and, as rows whose label nobody knows, every 30th flower without its label in
new_rows.libsvm.

For retraining it makes days/dt=2026-11-01/rows.csv to days/dt=2026-11-08/rows.csv: 569 tumours, 30 measures, benign or
malignant, dealt to eight days. The last day is spoilt as by a join that went wrong: every row has the label of another.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from sklearn.datasets import dump_svmlight_file, load_breast_cancer, load_digits, load_iris

N_DAYS = 8


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, load in (("iris", load_iris), ("digits", load_digits)):
        features, labels = load(return_X_y=True)
        dump_svmlight_file(features, labels, str(folder / f"{name}.libsvm"), zero_based=False)
    rows = (folder / "iris.libsvm").read_text(encoding="ascii").splitlines()
    unlabelled = [row.partition(" ")[2] for row in rows[::30]]
    (folder / "new_rows.libsvm").write_text("\n".join(unlabelled) + "\n", encoding="ascii")
    write_days(folder / "days")


def write_days(folder: Path) -> None:
    tumours = load_breast_cancer()
    header = ",".join(["diagnosis", *(name.replace(" ", "_") for name in tumours.feature_names)])
    rows = list(zip(tumours.target_names[tumours.target], tumours.data.tolist(), strict=True))
    random.Random(0).shuffle(rows)
    for number in range(1, N_DAYS + 1):
        of_day = rows[number - 1 :: N_DAYS]
        labels = [label for label, _ in of_day]
        if number == N_DAYS:
            labels = labels[-1:] + labels[:-1]
        lines = [",".join([label, *map(repr, measures)]) for label, (_, measures) in zip(labels, of_day, strict=True)]
        place = folder / f"dt=2026-11-{number:02d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "rows.csv").write_text("\n".join([header, *lines]) + "\n", encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
