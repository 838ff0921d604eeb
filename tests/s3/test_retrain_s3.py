"""Retraining with its root on S3: the lock is a lease there, and a night comes to what it comes to in a folder."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from daily import Daily
from far_nights import (
    INLINE,
    LEASE_SECONDS,
    NIGHT,
    PROMOTED_ONCE,
    FarNights,
    all_ended,
    brought,
    ended,
    wait_until_stopped,
)

from hdfs_layout import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def nights(unfinished: Daily, store: Store) -> FarNights:
    return brought(unfinished, store.root, runner=INLINE)


def test_one_of_several_works_and_the_next_night_is_that_of_a_folder(
    nights: FarNights, unfinished: Daily, processes: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """Whoever has the lock waits, until the other has been told."""
    # nobody takes over, however slow this machine is
    nights.configure(lease_seconds=60)
    processes += [nights.start(point="begun noted") for _ in range(2)]
    found = all_ended(processes)
    assert sorted(one.code for one in found) == [0, 75]
    (loser,) = (one for one in found if one.code)
    assert "expected that no other process holds the lock" in loser.err
    assert nights.actions() == PROMOTED_ONCE

    there = nights.run(NIGHT + 1)
    assert (there.code, there.result["outcome"]) == (0, "published"), there.err
    here = brought(unfinished, str(tmp_path / "root"), runner=INLINE)
    for night in (NIGHT, NIGHT + 1):
        assert here.run(night).code == 0
    for version in (2, 3):
        assert nights.coefficients(version) == here.coefficients(version)


def test_a_holder_on_another_machine_is_replaced_when_its_lease_has_ended(
    nights: FarNights, processes: list[subprocess.Popen[bytes]]
) -> None:
    """It was about to promote. It comes back, promotes nothing and leaves alone what the other did."""
    first = nights.start(before_promotion=True, elsewhere=True)
    processes.append(first)
    wait_until_stopped(first)
    second = nights.run()
    deadline = time.monotonic() + 20 * LEASE_SECONDS + 60
    while second.code == 75:
        assert f"process {first.pid}" in second.err
        assert time.monotonic() < deadline
        second = nights.run()
    assert second.code == 0, second.err
    assert nights.actions() == [*PROMOTED_ONCE[:2], ("fence", 1), PROMOTED_ONCE[2]]

    kept = nights.files("models") | nights.files("retrains")
    found = ended(first)
    assert found.code == 75, found.err
    assert nights.files("models") | nights.files("retrains") == kept
    assert nights.run().result["repeated"] is True
