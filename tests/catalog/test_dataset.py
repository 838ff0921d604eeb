"""What is said where a dataset's name is expected."""

from pathlib import Path

import pytest

from hdfs_layout import NotFoundError, open_root
from mr_ml.catalog.dataset import load_dataset
from mr_ml.errors import UsageError


@pytest.mark.parametrize("reference", ["rows.csv", "./rows.csv", "days"])
def test_rows_that_nobody_packed(reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("label,x\n1,2\n")
    Path("days").mkdir()
    with pytest.raises(UsageError, match=rf"where rows lie: '{reference}'; pack them first"):
        load_dataset(open_root(str(tmp_path / "root")), reference)


def test_rows_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pack them first"):
        load_dataset(open_root(str(tmp_path / "root")), "hdfs:///raw/rows.csv")


def test_a_name_of_nothing(tmp_path: Path) -> None:
    root = open_root(str(tmp_path / "root"))
    with pytest.raises(NotFoundError, match="Check the name, the version and `root`"):
        load_dataset(root, "rows.csv")
    with pytest.raises(UsageError, match="Choose another name"):
        load_dataset(root, "no/such/rows.csv")
