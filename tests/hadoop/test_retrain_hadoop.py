"""A night on a real cluster, from text on HDFS to a promoted model, whose driver is killed on the way."""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cluster_commands import copy, nothing_left
from daily import Daily, day
from dev_cluster import HadoopCluster
from far_nights import INLINE, NIGHT, FarNights, brought, settings
from staying import Staying

from hdfs_layout import LocalStore, NotFoundError, Store, open_store
from mr_ml.catalog.model import read_manifest
from mr_ml.runners.hadoop.client import HadoopClient, Submission

pytestmark = pytest.mark.slow


def names(store: Store, folder: str) -> set[str]:
    try:
        return set(store.list(folder))
    except NotFoundError:
        return set()


def at_work(cluster: HadoopCluster) -> set[str]:
    """For which works jobs of YARN have not ended."""
    ports = json.loads((cluster.directory / "cluster.json").read_text(encoding="utf-8"))["ports"]
    url = f"http://127.0.0.1:{ports['rm_http']}/ws/v1/cluster/apps?states=NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        apps = json.load(answer)["apps"] or {"app": []}
    return {app["name"].split()[-1] for app in apps["app"]}


def kill_when(nights: FarNights, is_so: Callable[[], bool]) -> None:
    """Start the night, and kill its driver outright."""
    driver = nights.start()
    deadline = time.monotonic() + 600
    try:
        while not is_so():
            assert driver.poll() is None, driver.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        driver.kill()
        driver.communicate()


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory, on_cluster: HadoopCluster) -> tuple[FarNights, bytes]:
    """A root on HDFS with a first model, and the coefficients that the next night has on this machine."""
    daily = Daily(tmp_path_factory.mktemp("nights"))
    daily.configure(settings())
    daily.add(0, NIGHT)
    daily.published(NIGHT - 1)
    place = f"{on_cluster.hdfs_uri}/user/tests/nights-{uuid.uuid4().hex}"
    nights = brought(daily, f"{place}/root", lease_seconds=60)
    copy(LocalStore(str(daily.folder / "days")), open_store(f"{place}/days"))
    nights.configure(location=f"{place}/days/dt={{date}}", lease_seconds=60)
    daily.published(NIGHT)
    return nights, daily.coefficients("ctr@2")


def test_a_night_that_is_killed_in_its_pack_and_in_a_pass(
    first_night: tuple[FarNights, bytes], on_cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with the bits of a folder, and leaves nothing at work and no file on its way.

    The pass is one of tasks that stay, who go when their driver is gone; the next driver has tasks of its own, which do
    all that is left, and nothing else is started.
    """
    nights, expected = first_night
    store, data = nights.root.store, "datasets/clicks/data"
    packed = names(store, data)
    works = set[str]()

    def is_packing() -> bool:
        works.update(names(store, "tmp") & at_work(on_cluster))
        return names(store, data) > packed and bool(works & at_work(on_cluster))

    kill_when(nights, is_packing)
    driver = Staying.start(tmp_path, "retrain", nights.settings, "--for", day(NIGHT), points=("asked 2",))
    driver.at("asked 2")
    works |= names(store, "tmp")
    driver.kill()
    started, run = list[Submission](), HadoopClient.run

    def noted(client: HadoopClient, arguments: Sequence[str], submission: Submission) -> None:
        started.append(submission)
        run(client, arguments, submission)

    monkeypatch.setattr(HadoopClient, "run", noted)
    done = nights.run()
    assert done.code == 0, done.err
    assert len(started) == 1
    assert done.result["promoted"] == 2
    assert nights.coefficients(2) == expected
    assert [(action, version) for action, version in nights.actions() if action != "fence"] == [
        ("adopt", None), ("promote", 1), ("promote", 2),
    ]  # fmt: skip
    assert works & at_work(on_cluster) == set()
    assert nothing_left(store)
    assert names(store, "uses") == set()
    files = store.walk("datasets")
    assert len([path for path in files if path.endswith(".json")]) == 2
    manifest, _ = read_manifest(nights.root, "ctr", 2)
    assert manifest.provenance is not None
    inputs = manifest.provenance.inputs
    assert [file.day for file in inputs] == [str(day(k)) for k in range(NIGHT - 3, NIGHT + 1)]
    assert {file.checksum.partition(":")[0] for file in inputs} == {"MD5-of-0MD5-of-512CRC32C"}


def test_a_refused_night(first_night: tuple[FarNights, bytes]) -> None:
    """What jobs packed for the same files is found again, here by one process; the model that was in use stays."""
    nights, _ = first_night
    text = nights.settings.read_text().replace(nights.runner, INLINE)
    nights.settings.write_text(text.replace("gate: {", "gate: {bounds: {auc: {min: 0.999}}, "))
    promoted, files = nights.actions(), nights.files("models")
    refused = nights.run()
    assert (refused.code, refused.result["outcome"], refused.result["candidate"]) == (3, "refused", "ctr@3")
    assert refused.result["dataset"] == "clicks@2"
    assert "auc" in refused.err.splitlines()[-1]
    assert nights.actions() == promoted
    assert {path: nights.files("models")[path] for path in files} == files
    assert nothing_left(nights.root.store)
    again = nights.run()
    assert (again.code, again.result["repeated"]) == (3, True)
