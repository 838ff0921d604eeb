"""What tests of reports share."""

from __future__ import annotations

from pathlib import Path

import pages
import pytest
from commands import Commands
from daily import Daily

INLINE = ("-r", "inline")


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """A root with a model of each sort of loss, and runs of every fate. Tests only read it."""
    folder = tmp_path_factory.mktemp("reports")
    mr_ml = Commands(folder / "root", runner=INLINE)
    pages.packed(mr_ml, folder, "two", ["no", "yes"])
    pages.packed(mr_ml, folder, "three", ["high", "low", "mid"])
    pages.packed(mr_ml, folder, "numbers", [])
    mr_ml("train", "two", "--model", "churn", "--inference", "--solver", "lbfgs", *INLINE)
    mr_ml("evaluate", "churn", "two", "--save", "--by", "city", "--threshold", "0.3", "--at-recall", "0.8", *INLINE)
    mr_ml("evaluate", "churn", "two", "--save", "--split", "train", *INLINE)
    mr_ml("train", "two", "--model", "unmeasured", "--l2", "0.01", "--max-passes", "2", "--solver", "lbfgs", *INLINE)
    mr_ml("train", "two", "--model", "margins", "--loss", "squared_hinge", "--l2", "0.01", *INLINE)
    mr_ml("evaluate", "margins", "two", "--save", *INLINE)
    mr_ml("train", "three", "--model", "level", "--loss", "softmax", "--l2", "0.01", *INLINE)
    mr_ml("evaluate", "level", "three", "--save", *INLINE)
    mr_ml("train", "numbers", "--model", "spend", "--loss", "squared", "--l2", "0.001", *INLINE)
    mr_ml("evaluate", "spend", "numbers", "--save", *INLINE)
    mr_ml("tune", "two", "--model", "tuned", "--l2", "1e-4,1e-2,1", "--folds", "3", *INLINE)
    return mr_ml


@pytest.fixture(scope="session")
def nights_kept(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """A root with two retrainings, the second of which was refused."""
    daily = Daily(tmp_path_factory.mktemp("nights"))
    daily.configure()
    daily.add(0, 3)
    daily.published(3)
    daily.add(4, 6, flipped=True)
    refused = daily.run(6)
    assert refused.result["outcome"] == "refused"
    return Commands(daily.root, runner=INLINE)


@pytest.fixture
def mr_ml_root(tmp_path: Path) -> Commands:
    """`mr-ml` with an empty root of the test's own."""
    return Commands(tmp_path / "root", runner=INLINE)
