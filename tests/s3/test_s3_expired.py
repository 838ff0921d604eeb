"""Credentials that expire while a training runs: it ends with a sentence, and goes on with new ones."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from commands import Commands, copy, write_libsvm
from relay import Fault, Relay, refusal

from hdfs_layout import LocalStore, Store, open_store

TRAIN = ("train", "rows", "--loss", "logistic", "--l2", "0.01", "--solver", "lbfgs", "--model")
# Every further request.
ALWAYS = 1 << 30
EXPIRED = refusal("400", "ExpiredToken")


@pytest.fixture
def there(way: Relay, bucket: str, tmp_path: Path) -> Commands:
    """`mr-ml` on a root on S3 with the dataset `rows`, by way of the relay."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(300, 4))
    rows = write_libsvm(tmp_path / "rows", x, (x @ [2, -1, 0.5, 0] + rng.normal(size=300) > 0).astype(int))
    here = Commands(tmp_path / "root", runner=("-r", "inline"))
    here("pack", rows, "--to", "rows", "--partitions", "2")
    copy(LocalStore(str(tmp_path / "root")), open_store(f"s3://{bucket}/root"))
    return Commands(cast(Path, f"s3://{bucket}/root"), runner=("-r", "inline"))


def test_credentials_that_expire_in_a_training(there: Commands, way: Relay, store: Store) -> None:
    """From some request on: exit code 74 and one sentence; with new ones it goes on to the same bits."""
    way.seen.clear()
    there(*TRAIN, "whole")
    written = {line.split()[1].partition("/root/")[2]: n for n, line in enumerate(way.seen) if line.startswith("PUT")}
    expected = there("models", "show", "whole")["coef_sha256"]
    (begun,) = (number for path, number in written.items() if path.endswith("/spec.json"))
    (fitted,) = (number for path, number in written.items() if path.endswith("/coef.npz"))
    assert fitted - begun > 15
    for number in (begun + 1, begun + 6, (begun + fitted) // 2, fitted - 1):
        known = set(store.list("runs"))
        way.faults = [Fault(request="", kind="refuse", times=ALWAYS, skip=number, answer=EXPIRED)]
        found = there.run(*TRAIN, f"m{number}")
        way.faults = []
        assert found.code == 74, found
        (run,) = set(store.list("runs")) - known
        begins, said = found.err.splitlines()
        assert begins.startswith(f"run {run}: ")
        assert said.startswith("mr-ml: could not ")
        assert (
            "found credentials that have expired or are not valid (ExpiredToken). Get new ones (aws sso login" in said
        )
        assert not store.exists(f"models/m{number}") or "v000001.json" not in store.list(f"models/m{number}")
        there("train", "--resume", run)
        assert there("models", "show", f"m{number}")["coef_sha256"] == expected
