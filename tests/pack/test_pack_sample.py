"""What a sample of text leads to expect: what all of it comes to, and nothing where it cannot tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mr_ml.packing import sample
from mr_ml.packing.plan import PackPlan, make_plan, stored_bytes
from mr_ml.packing.sample import Counts
from mr_ml.readers.base import format_named
from mr_ml.readers.text.source import TextFile, expand, first_line

LIBSVM, CSV = format_named("libsvm"), format_named("csv")


def written(folder: Path, *texts: str) -> list[TextFile]:
    for number, text in enumerate(texts):
        (folder / f"{number}.libsvm").write_text(text)
    return expand([f"{folder}/*.libsvm"])


def rows(n: int, *, most: int, seed: int = 0) -> str:
    rng = np.random.default_rng(seed)
    return "".join(
        f"{k % 2} {' '.join(f'{j + 1}:{x:.3f}' for j, x in enumerate(rng.random(1 + k % most)))}\n" for k in range(n)
    )


@pytest.fixture(autouse=True)
def _small_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "PLACE_BYTES", 1 << 10)


@pytest.mark.parametrize(
    "texts",
    [
        (rows(9_000, most=7),),
        (rows(5_000, most=2) + rows(2_000, most=40),),
        tuple(rows(300, most=5, seed=k) for k in range(40)),
        ("", rows(4_000, most=3), rows(4_000, most=9)),
    ],
    ids=["alike", "short, then long", "many files", "differing files"],
)
def test_what_is_expected_is_near_what_there_is(tmp_path: Path, texts: tuple[str, ...]) -> None:
    files = written(tmp_path, *texts)
    taken = sample.take(LIBSVM, LIBSVM.options({}), {"": files})
    assert taken is not None
    text = "".join(texts)
    n_rows, stored = text.count("\n"), stored_bytes(text.count("\n"), text.count(":"))
    of = taken.estimates[""]
    assert 0 < taken.total.n_rows < n_rows / 2
    assert abs(of.n_rows - n_rows) <= of.rows_spread * n_rows
    assert abs(of.stored - stored) <= of.stored_spread * stored
    schema = taken.schema(LIBSVM, LIBSVM.options({}))
    assert schema is not None
    assert schema.index_base == 1


def plan_of(counts: Counts) -> PackPlan:
    ((n_rows, nnz),) = counts.values()
    return make_plan(n_rows=n_rows, nnz=nnz, n_features=50, shares={"train": 1.0})


@pytest.mark.parametrize(("partitions", "is_sure"), [(3.5, True), (3.999, False), (4.001, False), (4.5, True)])
def test_a_plan_is_expected_where_it_is_sure(partitions: float, is_sure: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mr_ml.packing.plan.PARTITION_BYTES", 1 << 20)
    of = sample.Estimate(n_rows=100_000, stored=partitions * (1 << 20), rows_spread=0.01, stored_spread=0.01)
    taken = sample.Sample(total=None, halves=(), estimates={"": of})  # type: ignore[arg-type]
    plan = taken.plan(plan_of)
    assert (plan is not None) == is_sure
    assert plan is None or plan.n_partitions == np.ceil(partitions)


def test_nothing_is_expected_where_halves_differ(tmp_path: Path) -> None:
    """Of columns with words that come up here and there only."""
    rng = np.random.default_rng(3)
    words = [f"w{int(k)}" for k in rng.zipf(1.3, 6_000) % 5_000]
    for name, column in (("many", words), ("few", ["red", "blue"] * 3_000)):
        text = "".join(f"{k % 2},{word}\n" for k, word in enumerate(column))
        (tmp_path / f"{name}.csv").write_text(text)
        options = CSV.options({"no_header": True, "label_column": 0})
        opened = CSV.open(expand([f"{tmp_path}/{name}.csv"]), options, like=None, first_line=first_line)
        taken = sample.take(CSV, opened.options, {"": opened.files})
        assert taken is not None
        assert (taken.schema(CSV, opened.options) is not None) == (name == "few")
