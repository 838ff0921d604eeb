"""Feature ids up to 2147483647 of which few occur: the model of the same rows with small ids, at its price."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands

N = 40
IDS = (1, 5, 300_000, 16_777_215, 2_147_483_647)


def write(path: Path, ids: tuple[int, ...], *, seed: int, n_classes: int = 2, extra: str = "") -> Path:
    """Rows that have some of the features."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, len(ids))).round(3) * (rng.random((N, len(ids))) < 0.6)
    y = rng.integers(0, n_classes, N)
    lines = [
        f"{label}" + "".join(f" {i}:{value!r}" for i, value in zip(ids, row, strict=True) if value) + extra
        for label, row in zip(y.tolist(), x.tolist(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def limited() -> None:
    """As much address space as 2^31 features would fill with less than an eighth of their coefficients."""
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Commands, Path]:
    """Models of rows with large and with small ids."""
    folder = tmp_path_factory.mktemp("large")
    mr_ml = Commands(folder / "root", runner=("-r", "inline"))
    for name, ids in (("large", IDS), ("small", (1, 2, 3, 4, 5))):
        for loss, n_classes in (("logistic", 2), ("softmax", 3)):
            text = write(folder / f"{name}-{loss}", ids, seed=n_classes, n_classes=n_classes)
            for command in (
                ("pack", text, "--to", f"{name}-{loss}"),
                ("train", f"{name}-{loss}", "--model", f"{name}-{loss}", "--loss", loss, "--l2", "0.01"),
            ):
                if name == "small":
                    mr_ml(*command)
                    continue
                found = mr_ml.process(*command, "--memory", "600M", preexec_fn=limited)
                assert found.code == 0, found.err
    return mr_ml, folder


@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_the_model_is_that_of_small_ids(trained: tuple[Commands, Path], loss: str) -> None:
    mr_ml, folder = trained
    large, small = (mr_ml("models", "show", f"{name}-{loss}") for name in ("large", "small"))
    assert (large["n_features"], small["n_features"]) == (2**31 - 1, 5)
    with np.load(large["coef_uri"]) as found, np.load(small["coef_uri"]) as expected:
        assert sorted(expected.files) == ["classes", "coef", "intercept"]
        assert (found["features"] + 1).tolist() == list(IDS)
        np.testing.assert_allclose(found["coef"], expected["coef"], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(found["intercept"], expected["intercept"], rtol=1e-7, atol=1e-9)
    metrics = [
        mr_ml("evaluate", f"{name}-{loss}", f"{name}-{loss}", "--split", "train", "--memory", "600M")
        for name in ("large", "small")
    ]
    assert metrics[0]["log_loss"] == pytest.approx(metrics[1]["log_loss"], rel=1e-9)
    assert metrics[0]["confusion"] == metrics[1]["confusion"]
    lines = []
    for name in ("large", "small"):
        to = folder / f"{name}-{loss}-predictions"
        mr_ml("predict", f"{name}-{loss}", folder / f"{name}-{loss}", "--to", to, "--memory", "600M")
        lines.append([line.split("\t") for line in to.read_text().splitlines()])
    np.testing.assert_allclose(np.array(lines[0], float), np.array(lines[1], float), rtol=1e-7)


def test_nothing_is_as_large_as_the_largest_id(trained: tuple[Commands, Path]) -> None:
    mr_ml, _ = trained
    sizes = {path: path.stat().st_size for path in mr_ml.root.rglob("*") if path.is_file()}
    assert max(sizes.values()) < 50_000, sizes
    described = mr_ml.process("describe", "large-logistic", preexec_fn=limited)
    assert f"{2**31 - 1 - len(IDS)} others are zero in all rows" in described.out
    features = mr_ml("describe", "large-logistic")["features"]["train"]
    assert [feature["feature"] for feature in features] == list(IDS)
    expected = mr_ml("describe", "small-logistic")["features"]["train"]
    for found, small in zip(features, expected, strict=True):
        assert {**found, "feature": 0} == pytest.approx({**small, "feature": 0})
    shown = mr_ml.process("models", "show", "large-softmax", preexec_fn=limited).out
    assert "2147483647" in shown


def test_features_that_training_did_not_see(trained: tuple[Commands, Path], tmp_path: Path) -> None:
    """Within the ids of the dataset they count nothing, as coefficients of 0 would."""
    mr_ml, _ = trained
    plain, more = tmp_path / "plain", tmp_path / "more"
    write(plain, IDS[:3], seed=7)
    write(more, IDS[:3], seed=7, extra=" 300001:5 1234567890:2")
    for text in (plain, more):
        mr_ml("predict", "large-logistic", text, "--to", f"{text}.out")
    assert Path(f"{plain}.out").read_bytes() == Path(f"{more}.out").read_bytes()
    # and so in a dataset to evaluate
    for text in (plain, more):
        mr_ml("pack", text, "--to", text.name, "--like", "large-logistic")
    metrics = [mr_ml("evaluate", "large-logistic", text.name, "--split", "train") for text in (plain, more)]
    # columns that count from another id
    mr_ml("pack", plain, "--to", "from-0", "--index-base", "0")
    metrics.append(mr_ml("evaluate", "large-logistic", "from-0", "--split", "train"))
    assert [found["log_loss"] for found in metrics] == pytest.approx([metrics[0]["log_loss"]] * 3, rel=1e-12)


def test_any_runner_and_number_of_workers(trained: tuple[Commands, Path]) -> None:
    mr_ml, _ = trained
    expected = mr_ml.coef("large-logistic").sha256
    local = Commands(mr_ml.root)
    local("train", "large-logistic", "--model", "again", "--l2", "0.01")
    assert local.coef("again").sha256 == expected


def test_coefficients_of_a_later_format_are_refused(trained: tuple[Commands, Path]) -> None:
    from hdfs_layout import decode_document, encode_document

    mr_ml, _ = trained
    path = mr_ml.root / "models/large-softmax/v000001.json"
    document: dict[str, Any] = decode_document(path.read_bytes(), where="")
    assert document["coef"]["format"] == 3
    document["coef"]["format"] = 4
    later = mr_ml.root / "models/large-softmax/v000002.json"
    later.write_bytes(encode_document(document))
    found = mr_ml.run("models", "show", "large-softmax@2")
    later.unlink()
    assert found.code == 65
    assert "upgrade" in found.err
