"""Row offsets in libsvm text: the value of a feature that stands for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chunks
import numpy as np
import pytest
from builders import scan

import mr_ml
from mr_ml.errors import UsageError
from mr_ml.readers.rows import Rows
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.options import TextOptions

pytestmark = pytest.mark.usefixtures("each_implementation")

# (label, offset or None, features by the id that they have where ids count from 1)
ROWS: list[tuple[float, float | None, dict[int, float]]] = [
    (1, -0.5, {1: 2, 3: -1}), (0, None, {2: 4}), (2, 1e-3, {}), (0, 0.0, {3: 0.0}), (1, 7, {1: 1, 2: 2, 3: 3}),
]  # fmt: skip


def options(feature: int | None, **more: Any) -> TextOptions:
    return TextOptions(format="libsvm", offset_feature=feature, **more)


def written(feature: int, *, base: int = 1, behind: str = "", zeros: str = "") -> bytes:
    """Rows whose offset is a feature in its place among the others, as a user writes them."""
    lines = []
    for label, offset, features in ROWS:
        ids = {k - 1 + base: value for k, value in features.items()}
        assert feature not in ids
        if offset is not None:
            ids[feature] = offset
        tokens = [f"{zeros if k == feature else ''}{k}:{ids[k]!r}" for k in sorted(ids)]
        lines.append(" ".join([f"{label}{behind}", *tokens]) + " # 9:9\n")
    return "".join(lines).encode()


def parsed(text: bytes, given: TextOptions) -> tuple[Rows, Schema]:
    summary = scan(text, given, file="rows")
    schema = chunks.resolve(given, summary)
    found = chunks.parse(text, schema, labels="required")
    assert summary.bad_counts == found.bad_counts == {}
    return found.rows, schema


@pytest.mark.parametrize("base", [None, 1])
@pytest.mark.parametrize(("feature", "zeros"), [(0, ""), (4, ""), (2**31 - 1, ""), (4, "00")])
def test_a_feature_is_the_offset_and_no_feature(feature: int, zeros: str, base: Any) -> None:
    rows, schema = parsed(written(feature, zeros=zeros), options(feature, index_base=base))
    assert rows.offsets is not None
    assert rows.offsets.tolist() == [-0.5, 0, 1e-3, 0, 7]
    assert (schema.has_offsets, schema.index_base, schema.n_features) == (True, 1, 3)
    assert rows.indptr.tolist() == [0, 2, 3, 3, 4, 7]
    assert rows.indices.tolist() == [0, 2, 1, 2, 0, 1, 2]
    assert rows.values.tolist() == [2, -1, 4, 0, 1, 2, 3]
    assert Schema.from_json(schema.to_json()) == schema


def test_ids_may_count_from_0_and_weights_stand_beside_it() -> None:
    rows, schema = parsed(written(3, base=0, behind=":0.5"), options(3, label_weights=True))
    assert rows.offsets is not None
    assert rows.weights is not None
    assert (rows.offsets.tolist(), rows.weights.tolist()) == ([-0.5, 0, 1e-3, 0, 7], [0.5] * 5)
    assert (schema.index_base, schema.n_features, rows.indices.tolist()) == (0, 3, [0, 2, 1, 2, 0, 1, 2])


def test_without_the_option_it_is_a_feature() -> None:
    rows, schema = parsed(written(4), options(None))
    assert (rows.offsets, schema.has_offsets, schema.n_features) == (None, False, 4)


@pytest.mark.parametrize("feature", [0, 9])
def test_what_is_wrong_with_it_is_as_with_other_features(feature: int) -> None:
    given = options(feature)
    schema = parsed(written(feature), given)[1]
    for row, kind in (
        (f"1 {feature}:nan", "not_finite"), (f"1 {feature}:x", "bad_value"), (f"1 {feature}:", "ragged_token"),
        (f"1 {feature}:1 {feature}:2", "duplicate_id"), (f"{feature}:1 1:1", "no_label"),
    ):  # fmt: skip
        text = f"1 1:1\n{row}\n".encode()
        found = chunks.parse(text, schema, labels="required")
        assert found.bad_counts == scan(text, given, file="rows").bad_counts == {kind: 1}, row


@pytest.mark.parametrize("feature", [0, 2, 9])
@pytest.mark.parametrize("unseen", ["error", "ignore"])
def test_features_that_are_not_known_are_told_from_it(feature: int, unseen: Any) -> None:
    text = f"1 {feature}:0.5 1:1 3:1\n0 1:1\n".encode() if feature == 0 else f"1 1:1 {feature}:0.5\n0 3:1\n".encode()
    schema = parsed(text, options(feature, unseen=unseen))[1]
    assert schema.n_features == 3
    tokens = sorted([(feature, "0.25"), (1, "1"), (4, "1"), (7, "2")])
    rows = f"1 {' '.join(f'{k}:{value}' for k, value in tokens)}\n0 3:1\n{feature}:2\n".encode()
    found = chunks.parse(rows, schema, labels="optional")
    if unseen == "ignore":
        assert (found.bad_counts, found.n_unseen) == ({}, 2)
        assert found.rows.offsets is not None
        assert (found.rows.offsets.tolist(), found.rows.indices.tolist()) == ([0.25, 0, 2], [0, 2])
    else:
        assert found.bad_counts == {"unseen_feature": 1}
        assert [(bad.line, bad.kind) for bad in found.bad] == [(0, "unseen_feature")]
        assert "4:1" in found.bad[0].excerpt
        assert found.rows.offsets is not None
        assert (found.rows.offsets.tolist(), found.rows.lines.tolist()) == ([0, 2], [1, 2])


def test_a_model_is_the_one_of_the_same_rows_in_csv_on_every_way(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, exposure = rng.normal(size=(400, 2)).round(3), rng.integers(1, 9, 400) / 4
    y, weights = rng.poisson(exposure * np.exp(x[:, 0] / 2)), rng.integers(1, 5, 400) / 2
    rows = list(zip(y.tolist(), weights.tolist(), np.log(exposure).tolist(), x.tolist(), strict=True))
    (tmp_path / "rows.txt").write_text("".join(f"{y}:{w} 1:{a} 2:{b} 7:{o}\n" for y, w, o, (a, b) in rows))
    head = "label,w,o,a,b\n"
    (tmp_path / "rows.csv").write_text(head + "".join(f"{y},{w},{o},{a},{b}\n" for y, w, o, (a, b) in rows))
    root = tmp_path / "root"
    words: dict[str, Any] = {"label_weights": True, "offset_feature": 7}
    mr_ml.pack(root, tmp_path / "rows.txt", "libsvm", runner="inline", **words)
    mr_ml.pack(root, tmp_path / "rows.csv", "csv", runner="inline", weight_column="w", offset_column="o")
    predicted = []
    for name, file, n_head in (("libsvm", "rows.txt", 0), ("csv", "rows.csv", 1)):
        mr_ml.train(root, name, name, loss="poisson", l2=0.1, runner="inline")
        mr_ml.predict(root, name, tmp_path / file, tmp_path / name, runner="inline")
        predicted.append(np.loadtxt(tmp_path / name, skiprows=n_head, usecols=-1))
    one, other = (mr_ml.load_model(root, name) for name in ("libsvm", "csv"))
    np.testing.assert_allclose(one.coef, other.coef, rtol=1e-7)  # type: ignore[attr-defined]
    np.testing.assert_allclose(predicted[0], predicted[1], rtol=1e-6)
    with pytest.raises(UsageError, match="libsvm text with offsets, which no export has a place for"):
        mr_ml.export(root, "libsvm", tmp_path / "m.json", kind="json")
    # by tasks, each of which reads a part of the text
    lines = (tmp_path / "rows.txt").read_text().splitlines(keepends=True)
    (tmp_path / "parts").mkdir()
    for part in range(2):
        (tmp_path / "parts" / f"{part}.txt").write_text("".join(lines[200 * part : 200 * (part + 1)]))
    found = [mr_ml.pack(tmp_path / name, tmp_path / "parts", "d", runner=name, **words) for name in ("inline", "local")]
    files = [[partition.facts.sha256 for partition in one.of_split("train")] for one in found]
    assert files[0] == files[1]


def test_it_is_for_libsvm_text_alone(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("label,a\n1,2\n0,3\n")
    with pytest.raises(UsageError, match="`offset_feature`"):
        mr_ml.pack(tmp_path / "root", tmp_path / "rows.csv", "x", offset_feature=3)
    for wrong in (-1, 2**31, "7"):
        with pytest.raises(UsageError, match="`offset_feature`"):
            mr_ml.pack(tmp_path / "root", tmp_path / "rows.csv", "x", format="libsvm", offset_feature=wrong)  # type: ignore[arg-type]
