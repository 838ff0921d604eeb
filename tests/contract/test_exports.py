"""What every kind of export must do: predict as mr_ml does, row by row, or say that it cannot.

A kind joins by an entry in `export_readers.READERS`: how its file is read by the program that it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from export_models import CASES, Trained, close, train
from export_readers import READERS, Prediction, jpmml_process, spark_process

import mr_ml
from mr_ml.errors import UsageError
from mr_ml.exports import EXPORTS

# Of kinds that say in their notes that digits are lost.
TOLERANCES = {"sklearn": 1e-9}
# Models that a kind cannot carry, and what it then says: when they are written, or by what reads them.
NO_ESTIMATOR = "there is no estimator of the loss"
OFFSETS = "estimators of scikit-learn take no offsets"
REFUSED = {
    ("sklearn", "logistic, offsets"): OFFSETS,
    ("sklearn", "poisson, offsets"): OFFSETS,
    **{
        ("sklearn", name): NO_ESTIMATOR for name in ("gamma, inverse", "inverse gaussian", "huber", "probit", "cloglog")
    },
    **{
        (kind, name): "such as it has no words for"
        for kind in ("onnx", "pmml", "sql")
        for name in ("schema file, keeping rows", "schema file, refusing rows")
    },
    ("onnx", "schema file, dates"): "dates that are texts: 'when'",
    ("pmml", "schema file, dates"): "dates that are texts: 'when'",
    ("pmml", "gamma, inverse"): "PMML has no infinite mean",
    ("pmml", "inverse gaussian"): "PMML has no infinite mean",
}


@pytest.fixture(scope="module", params=CASES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(request.param, tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module", autouse=True)
def _processes_end() -> Iterator[None]:
    yield
    for process in (jpmml_process, spark_process):
        if process.cache_info().currsize:
            process().communicate()


# --- the contract -----------------------------------------------------------------------------------------------------


def test_every_kind_is_read_here() -> None:
    assert list(READERS) == list(EXPORTS)


@pytest.mark.parametrize(
    ("kind", "reader"), [(kind, reader) for kind, readers in READERS.items() for reader in readers]
)
def test_predictions_are_those_of_mr_ml(
    kind: str, reader: Callable[[Trained, Path], list[Prediction]], trained: Trained, tmp_path: Path
) -> None:
    path = tmp_path / f"model{EXPORTS.get(kind).suffix}"
    refusal = REFUSED.get((kind, trained.case))
    if refusal is not None:
        with pytest.raises(UsageError, match=refusal):
            read_back(kind, reader, trained, path)
        return
    found = read_back(kind, reader, trained, path)
    assert len(found) == len(trained.values)
    for i, (one, label, values) in enumerate(zip(found, trained.labels, trained.values, strict=True)):
        if values is None:
            assert one is None, f"row {i}: mr_ml refuses it, found {one}"
        else:
            assert one is not None, f"row {i}: expected {values}, found it refused"
            assert close(one[1], values, to=TOLERANCES.get(kind, 1e-12)), f"row {i}: expected {values}, found {one[1]}"
            assert one[0] == label, f"row {i}"


def read_back(
    kind: str, reader: Callable[[Trained, Path], list[Prediction]], trained: Trained, path: Path
) -> list[Prediction]:
    mr_ml.export(trained.root, trained.name, path, kind=kind, **trained.unseen)
    return reader(trained, path)


def test_the_rows_show_what_they_are_for(trained: Trained) -> None:
    """Both classes, and of some cases rows that are refused."""
    kept = [values for values in trained.values if values is not None]
    assert len(kept) > 60
    assert len({tuple(values) for values in kept}) > 3
    assert not any(trained.labels) or len(set(trained.labels) - {""}) > 1
