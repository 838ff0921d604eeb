"""Names and classes lie in the file of the coefficients, for whoever takes that file alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import Commands
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.data.npz import from_npz, to_npz
from mr_ml.errors import BadDataError
from mr_ml.models.linear.kind.model import LinearModel, arrays_of, model_of
from mr_ml.models.linear.kind.names import MAX_BYTES, named
from mr_ml.models.linear.kind.spec import LinearSpec
from mr_ml.models.linear.shift import Shift
from mr_ml.readers.csv.stored import CsvPart
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.options import TextOptions

GOLDEN = Path(__file__).parents[2] / "golden"

NAMES = ("age", "größe", "city=Köln", "city=東京")
LABELS = ("ja", "nein", "vielleicht")
CLASSES = (0.0, 1.0, 2.0)
FEATURES = np.array([0, 1, 3], np.int32)
COEF = np.array([[0.5, -1.25, 3.0, 1e-300], [0.0, 2.0, -0.1, 7.0], [1e9, 0.0, 0.1, -3.0]])
SHIFT = Shift((1,), (180.0,))


def schema_of(names: tuple[str, ...], labels: tuple[str, ...] = LABELS) -> Schema:
    return Schema(
        format="csv", n_features=len(names), feature_names=names, labels=labels, label_kind="text",
        part=CsvPart(TextOptions(format="csv"), {}, {}),
    )  # fmt: skip


def model(data: bytes) -> LinearModel:
    return model_of(
        name="m", version=1, spec=LinearSpec(dataset="d@1", model="m", loss="softmax", l2=1.0), schema=schema_of(NAMES),
        classes=CLASSES, manifest={}, arrays=from_npz(data, where="coef.npz"), where="coef.npz",
    )  # fmt: skip


def file_of(names: tuple[str, ...] = NAMES, features: np.ndarray | None = FEATURES) -> tuple[bytes, int | None]:
    arrays, format = arrays_of(COEF, SHIFT, features, schema=schema_of(names), classes=CLASSES, name="m")
    return to_npz(arrays), format


def test_the_golden_file_is_read() -> None:
    """What is in it is written out above; a file of another format has another number in its name."""
    data = (GOLDEN / "coef-format-3.npz").read_bytes()
    with np.load(GOLDEN / "coef-format-3.npz", allow_pickle=False) as alone:
        assert alone["feature_names"].tolist() == ["age", "größe", "city=東京"]
        assert alone["classes"].tolist() == ["ja", "nein", "vielleicht"]
        assert alone["coef"].tolist() == COEF[:, :-1].tolist()
    read = model(data)
    assert (read.reading_coef.tolist(), read.shift) == (COEF.tolist(), SHIFT)
    assert read.features is not None
    assert read.features.tolist() == FEATURES.tolist()
    found, format = file_of()
    assert format == 3
    written, golden = from_npz(found, where=""), from_npz(data, where="")
    assert {name: (a.dtype, a.tolist()) for name, a in written.items()} == {
        name: (a.dtype, a.tolist()) for name, a in golden.items()
    }


@pytest.mark.parametrize("key", ["feature_names", "classes"])
def test_names_that_the_manifest_does_not_have_are_refused(key: str) -> None:
    arrays = from_npz(file_of()[0], where="")
    for wrong in (arrays[key][::-1], arrays[key][:-1], np.zeros(3)):
        with pytest.raises(BadDataError, match=f"expected the {key} of the manifest"):
            model(to_npz({**arrays, key: wrong}))
    del arrays[key]
    assert model(to_npz(arrays)).label_texts == list(LABELS)


def test_files_without_names_are_as_earlier_releases_wrote_them() -> None:
    schema = Schema(
        format="csv", n_features=3, label_kind="continuous", part=CsvPart(TextOptions(format="csv"), {}, {})
    )
    for features, expected in ((None, None), (np.arange(3, dtype=np.int32), 2)):
        arrays, format = arrays_of(COEF[:1], Shift(), features, schema=schema, classes=(), name="m")
        assert format == expected
        assert not arrays.keys() & {"feature_names", "classes"}


def test_names_that_take_too_much_are_left_out() -> None:
    most = MAX_BYTES // 4 // 2
    assert named(schema_of(("a", "b" * most)), CLASSES, None).keys() == {"feature_names", "classes"}
    assert named(schema_of(("a", "b" * (most + 1))), CLASSES, None).keys() == {"classes"}
    # as many as there are coefficients of
    assert "feature_names" in named(schema_of(("a", "b" * (most + 1))), CLASSES, np.array([1], np.int32))


@given(st.lists(st.text(), min_size=1, unique=True))
def test_any_names_come_back_or_are_left_out(names: list[str]) -> None:
    found = named(schema_of(tuple(names)), CLASSES, None)
    if any(name.endswith("\0") for name in names):
        assert "feature_names" not in found
    else:
        assert from_npz(to_npz(found), where="")["feature_names"].tolist() == names


def test_the_file_that_train_writes(tmp_path: Path) -> None:
    mr_ml = Commands(tmp_path / "root", runner=("-r", "inline"))
    (tmp_path / "rows.csv").write_text("age,city,label\n31,Köln,yes\n27,Rom,no\n40,Rom,yes\n22,Köln,no\n35,Rom,no\n")
    mr_ml("pack", tmp_path / "rows.csv", "--to", "d")
    mr_ml("train", "d", "--model", "m", "--l2", "0.1")
    (path,) = (mr_ml.root / "models/m/data").glob("*/coef.npz")
    with np.load(path, allow_pickle=False) as alone:
        coef = dict(zip(alone["feature_names"].tolist(), alone["coef"][0].tolist(), strict=True))
        assert alone["classes"].tolist() == ["no", "yes"]
    assert coef.keys() == {"age", "city=Köln", "city=Rom"}
    shown = mr_ml("models", "show", "m")["parameters"]
    assert coef == {row["feature"]: row["coef"] for row in shown if row["feature"] in coef}
