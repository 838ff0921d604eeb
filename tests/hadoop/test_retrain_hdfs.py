"""Retrainings on HDFS that take no jobs: locks, leases, promotions, remains. See also test_retrain_hadoop."""

from __future__ import annotations

import signal
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from daily import Daily
from dev_cluster import HadoopCluster
from far_nights import (
    LEASE_SECONDS,
    NIGHT,
    PROMOTED_ONCE,
    FarNights,
    all_ended,
    brought,
    ended,
    is_there,
    wait_until_stopped,
)

from hdfs_layout import open_root
from mr_ml.catalog.promotions import manage, promote, promoted_version
from mr_ml.catalog.retention import RetentionRules, carry_out, plan
from mr_ml.catalog.retention_rules import DAY
from mr_ml.catalog.survey import store_time
from mr_ml.errors import LockedError

pytestmark = pytest.mark.slow


@pytest.fixture
def nights(unfinished: Daily, on_cluster: HadoopCluster) -> FarNights:
    return brought(unfinished, f"{on_cluster.hdfs_uri}/user/tests/nights-{uuid.uuid4().hex}")


def test_one_of_several_works(nights: FarNights, processes: list[subprocess.Popen[bytes]]) -> None:
    """Whoever has the lock waits, until all others have been told."""
    # nobody takes over, however slow this machine is
    nights.configure(lease_seconds=60)
    processes += [nights.start(point="begun noted") for _ in range(4)]
    found = all_ended(processes)
    assert sorted(one.code for one in found) == [0, 75, 75, 75]
    for loser in (one for one in found if one.code):
        assert "expected that no other process holds the lock" in loser.err
    assert nights.actions() == PROMOTED_ONCE


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_holder_on_another_machine_is_replaced_when_its_lease_has_ended(
    nights: FarNights, processes: list[subprocess.Popen[bytes]], comes_back: bool
) -> None:
    """It was about to promote. If it comes back, it promotes nothing and leaves alone what the other did."""
    first = nights.start(before_promotion=True, elsewhere=True)
    processes.append(first)
    wait_until_stopped(first)
    if not comes_back:
        first.kill()
    second, refused = nights.run(), 0
    deadline = time.monotonic() + 20 * LEASE_SECONDS + 60
    while second.code == 75:
        assert f"process {first.pid}" in second.err
        assert time.monotonic() < deadline
        second, refused = nights.run(), refused + 1
    assert second.code == 0, second.err
    assert "it can promote nothing any more" in second.err
    assert nights.actions() == [*PROMOTED_ONCE[:2], ("fence", 1), PROMOTED_ONCE[2]]

    kept = nights.files("models") | nights.files("retrains")
    found = ended(first)
    assert found.code == (75 if comes_back else -signal.SIGKILL), found.err
    assert nights.files("models") | nights.files("retrains") == kept
    assert nights.run().result["repeated"] is True


def test_a_stale_holder_does_not_promote_what_another_has_not(
    nights: FarNights, processes: list[subprocess.Popen[bytes]]
) -> None:
    """The other one has begun anew for another window, and not come as far."""
    first = nights.start(before_promotion=True, elsewhere=True)
    processes.append(first)
    wait_until_stopped(first)
    deadline = time.monotonic() + 20 * LEASE_SECONDS + 60
    while not is_there(second := nights.start(point="begun noted", night=NIGHT + 1)):
        assert ended(second).code == 75
        assert time.monotonic() < deadline
    processes.append(second)
    stale = ended(first)
    assert stale.code == 75, stale.err
    assert "Nothing more is published" in stale.err or "meanwhile" in stale.err
    assert promoted_version(nights.root, "ctr") == 1
    second.kill()
    second.communicate()
    # the process is one of this machine and seen to be gone
    done = nights.run()
    assert (done.code, done.result["promoted"]) == (0, 2)


def test_one_of_several_promoters_is_in_time(nights: FarNights) -> None:
    root = nights.root
    entry = manage(root, "ctr", by={})

    def attempt(k: int) -> int | None:
        try:
            return promote(open_root(nights.uri), "ctr", 1 + k % 2, by={"k": k}, after=entry.number).number
        except LockedError:
            return None

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(attempt, range(8)))
    assert sorted(filter(None, found)) == [entry.number + 1]
    assert len(nights.actions()) == entry.number + 1


def test_orphans_go_by_the_clock_of_hdfs(nights: FarNights) -> None:
    """What the processes of another machine left, of whom nothing is known but when they last wrote."""
    root, gone = nights.root, "0a1b2c3d-77-123-aabbccdd"
    orphans = [
        "datasets/clicks/data/20200101T000000-00000000/part-00000", f"datasets/clicks/.staged-{gone}",
        f"models/ctr/promotions/.writing-{gone}", "tmp/20200101T000000-00000000/request",
    ]  # fmt: skip
    for path in orphans:
        root.store.write(path, b"left")
    before, now = nights.files(), store_time(root.store)
    assert plan(root, RetentionRules()) == ()
    assert plan(root, RetentionRules(), now=now + 0.9 * DAY) == ()
    planned = plan(root, RetentionRules(), now=now + 1.1 * DAY)
    assert {removal.path for removal in planned} == {
        path.rpartition("/")[0] if "/20200101" in path else path for path in orphans
    }
    assert carry_out(root, planned, pytest.fail) == tuple(sorted(planned, key=lambda r: (r.lock is None, r.lock or "")))
    assert not any(root.store.exists(path) for path in orphans)
    after = nights.files()
    assert {path for path in before if after.get(path) != before[path] and not path.startswith("locks/")} == {
        path for path in orphans if "/." not in path
    }
    assert nights.run().code == 0
