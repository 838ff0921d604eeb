"""`mr-ml` on a root on S3: the same bits as on a folder, whoever computes."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from commands import Commands, write_libsvm

from hdfs_layout import LocalStore, Store, open_store

VARIES = ("seconds",)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(700, 8))
    y = (x @ rng.normal(size=8) + rng.normal(size=700) > 0).astype(int)
    return write_libsvm(tmp_path_factory.mktemp("rows") / "rows", x, y)


def done(commands: Commands, rows: Path, to: str) -> dict[str, object]:
    """Everything that a user does, and what comes of it."""
    commands("pack", rows, "--to", "rows", "--partitions", "3")
    trained = commands("train", "rows", "--model", "m", "--loss", "logistic", "--l2", "0.01")
    measured = commands("evaluate", "m", "rows", "--split", "train")
    commands("predict", "m", rows, "--to", to)
    return {"objective": trained["objective"], "measured": {k: v for k, v in measured.items() if k not in VARIES}}


def kept(store: Store) -> dict[str, bytes]:
    """Files whose names and contents say nothing of when they were made."""
    return {
        path.rpartition("/")[2]: store.read(path)
        for path in store.walk("")
        if path.rpartition("/")[2].startswith(("part-", "coef", "moments"))
    }


def _files(store: Store, name: str) -> tuple[str, ...]:
    """A file, or what is in a folder."""
    found = store.status(name)
    assert found is not None
    return store.walk(name) if found.is_folder else (name,)


@pytest.mark.parametrize("runner", [("-r", "inline"), ("-r", "local", "--workers", "2")], ids=["inline", "local"])
def test_a_root_on_s3_gives_the_bits_of_a_folder(
    rows: Path, store: Store, tmp_path: Path, runner: tuple[str, ...]
) -> None:
    here = done(Commands(tmp_path / "root", runner=("-r", "inline")), rows, str(tmp_path / "here"))
    there = done(Commands(cast(Path, store.root), runner=runner), rows, f"{store.root}/there")
    assert there == here
    assert kept(store) == kept(LocalStore(str(tmp_path / "root")))
    # what was predicted, file by file
    folder, in_bucket = LocalStore(str(tmp_path)), open_store(store.root)
    assert (folder.exists("here"), in_bucket.exists("there")) == (True, True)
    assert [in_bucket.read(path.replace("here", "there", 1)) for path in _files(folder, "here")] == [
        folder.read(path) for path in _files(folder, "here")
    ]
    assert len(_files(folder, "here")) == len(_files(in_bucket, "there"))
