"""What the name of a model means: promotions, rollbacks, fences, and whoever is too late."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from world import RemoteStore

from hdfs_layout import Layout, LocalStore, Root, encode_document, list_versions, parse_reference, publish_version
from mr_ml.catalog.promotions import (
    Promotion,
    fence,
    latest_promotion,
    manage,
    named_version,
    promote,
    promoted_version,
    read_promotions,
    rollback,
)
from mr_ml.errors import BadDataError, LockedError, NotFoundError, UsageError
from mr_ml.whoami import whoami

ME = {"user": "ann", "host": "here", "pid": 1, "command": ["mr-ml"]}


@dataclass(frozen=True)
class OvertakenStore(LocalStore):
    """A store on which rivals promote just before this one does."""

    rivals: list[Callable[[Root], object]] = field(default_factory=list)

    def publish(self, staged: str, target: str) -> None:
        if self.rivals:
            self.rivals.pop(0)(_root(LocalStore(self.root)))
        super().publish(staged, target)


@dataclass(frozen=True)
class ReadStore(LocalStore):
    """A store that keeps the paths of what is read."""

    paths: list[str] = field(default_factory=list)

    def read(self, path: str) -> bytes:
        self.paths.append(path)
        return super().read(path)


def _root(store: LocalStore) -> Root:
    return Root(store, Layout(store.root))


@pytest.fixture(params=[LocalStore, RemoteStore], ids=["local", "remote"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    return _root(request.param(str(tmp_path / "root")))


def train(root: Root, *, versions: int = 1) -> None:
    for _ in range(versions):
        publish_version(root.store, root.layout.model("ctr"), {"kind": "model"})


def state(entry: Promotion | None) -> tuple[int, str, int | None, int | None]:
    assert entry is not None
    return entry.number, entry.action, entry.version, entry.previous


def damage(root: Root, number: int) -> str:
    path = f"{root.layout.promotions('ctr')}/v{number:06d}.json"
    data = root.store.read(path)
    root.store.write(path, data.replace(b'"pid": 1', b'"pid": 2'))
    return path


def test_a_name_means_the_latest_version_until_it_is_managed(root: Root) -> None:
    assert promoted_version(root, "ctr") is None
    train(root, versions=3)
    assert (promoted_version(root, "ctr"), latest_promotion(root, "ctr")) == (3, None)
    assert state(manage(root, "ctr", by=ME)) == (1, "adopt", 3, 2)
    train(root, versions=2)
    assert promoted_version(root, "ctr") == 3
    assert state(manage(root, "ctr", by=ME)) == (1, "adopt", 3, 2)
    assert state(promote(root, "ctr", 5, by=ME)) == (2, "promote", 5, 3)
    assert promoted_version(root, "ctr") == 5
    assert list_versions(root.store, root.layout.model("ctr")) == (1, 2, 3, 4, 5)


def test_a_model_may_be_managed_before_it_has_a_version(root: Root) -> None:
    assert state(manage(root, "ctr", by=ME)) == (1, "adopt", None, None)
    with pytest.raises(NotFoundError, match="found none yet: train it first"):
        named_version(root, parse_reference("ctr"))
    train(root, versions=2)
    assert promoted_version(root, "ctr") is None
    with pytest.raises(NotFoundError, match=r"2 candidate\(s\), none promoted: ctr@1, ctr@2\. .*promote ctr@2`"):
        named_version(root, parse_reference("ctr"))
    with pytest.raises(NotFoundError, match="none promoted"):
        rollback(root, "ctr", by=ME)
    assert named_version(root, parse_reference("ctr@2")) == 2
    assert state(promote(root, "ctr", 1, by=ME)) == (2, "promote", 1, None)
    with pytest.raises(UsageError, match="promoted before ctr@1; found none"):
        rollback(root, "ctr", by=ME)


def test_entries_say_who_did_what_when_and_why(root: Root) -> None:
    train(root, versions=2)
    made = promote(root, "ctr", 1, by=whoami(), reason="the other one ran away\n\x1b[2J", forced=True, retrain="r-1")
    assert made == latest_promotion(root, "ctr")
    assert (made.reason, made.forced, made.retrain) == ("the other one ran away\n\x1b[2J", True, "r-1")
    assert set(made.by) == {"user", "host", "pid", "command"}
    assert made.at.startswith("20")
    assert made.at.endswith("Z")


def test_a_retraining_reads_no_entries_from_before_it_began(tmp_path: Path) -> None:
    """A log of years has thousands."""
    root = _root(LocalStore(str(tmp_path / "root")))
    train(root, versions=2)
    for k in range(10):
        began = promote(root, "ctr", 1 + k % 2, by=ME, retrain=f"r-{k}").number
    for number in range(1, began):
        damage(root, number)
    read = ReadStore(root.store.root)
    made = [promote(_root(read), "ctr", 1, by=ME, after=began, retrain="now", began=began)]
    fence(root, "ctr", by=ME)
    made.append(promote(_root(read), "ctr", 1, by=ME, after=began + 2, retrain="now", began=began))
    assert made[0] == made[1]
    assert sorted({path[-12:] for path in read.paths if "promotions/" in path}) == [
        f"v{number:06d}.json" for number in (began, began + 1, began + 2)
    ]


@pytest.mark.parametrize("reason", ["\ud800", 3])
def test_what_could_not_be_read_again_is_not_written(root: Root, reason: Any) -> None:
    train(root, versions=2)
    manage(root, "ctr", by=ME)
    with pytest.raises(UsageError, match="`reason`: expected text"):
        promote(root, "ctr", 1, by=ME, reason=reason)
    assert len(read_promotions(root, "ctr")[0]) == 1


def test_what_is_not_there_is_not_promoted(root: Root) -> None:
    train(root)
    with pytest.raises(NotFoundError, match="expected version 7"):
        promote(root, "ctr", 7, by=ME)
    with pytest.raises(NotFoundError, match="expected version 7"):
        rollback(root, "ctr", to=7, by=ME)
    with pytest.raises(NotFoundError, match="found none"):
        rollback(root, "ctx", by=ME)
    assert root.store.walk("") == ("models/ctr/v000001.json",)


def test_of_promoters_who_saw_the_same_entry_one_wins(root: Root) -> None:
    train(root, versions=8)
    seen = manage(root, "ctr", by=ME).number
    barrier = threading.Barrier(8)

    def run(version: int) -> Promotion | LockedError:
        barrier.wait()
        try:
            return promote(root, "ctr", version, by=ME, after=seen)
        except LockedError as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, range(1, 9)))
    (winner,) = [result for result in results if isinstance(result, Promotion)]
    assert state(winner) == (2, "promote", winner.version, 8 if winner.version != 8 else 7)
    assert latest_promotion(root, "ctr") == winner
    for error in (result for result in results if isinstance(result, LockedError)):
        assert error.exit_code == 75
        assert "found entry 2 by ann on here (process 1)" in str(error)


@pytest.mark.parametrize(
    "rival",
    [
        lambda root: fence(root, "ctr", by=ME),
        lambda root: promote(root, "ctr", 2, by=ME),
        lambda root: rollback(root, "ctr", by=ME),
    ],
    ids=["fence", "promote", "rollback"],
)
@pytest.mark.parametrize("when", ["before", "at the same time"])
def test_who_is_overtaken_changes_nothing(tmp_path: Path, rival: Callable[[Root], object], when: str) -> None:
    store = OvertakenStore(str(tmp_path / "root"))
    root = _root(store)
    train(root, versions=3)
    seen = manage(root, "ctr", by=ME).number
    if when == "before":
        rival(root)
    else:
        store.rivals.append(rival)
    with pytest.raises(LockedError):
        promote(root, "ctr", 1, by=ME, after=seen)
    entries, _ = read_promotions(root, "ctr")
    assert [entry.number for entry in entries] == [1, 2]
    assert entries[-1].version != 1


def test_who_waits_for_nothing_in_particular_takes_the_next_entry(tmp_path: Path) -> None:
    store = OvertakenStore(str(tmp_path / "root"))
    root = _root(store)
    train(root, versions=3)
    manage(root, "ctr", by=ME)
    store.rivals.append(lambda root: promote(root, "ctr", 2, by=ME))
    assert state(promote(root, "ctr", 1, by=ME)) == (3, "promote", 1, 2)
    store.rivals.append(lambda root: promote(root, "ctr", 3, by=ME))
    assert state(fence(root, "ctr", by=ME)) == (5, "fence", 3, 1)
    # who rolls back saw what was promoted
    store.rivals.append(lambda root: promote(root, "ctr", 2, by=ME))
    with pytest.raises(LockedError):
        rollback(root, "ctr", by=ME)
    assert promoted_version(root, "ctr") == 2


def test_rivals_may_adopt_at_once(tmp_path: Path) -> None:
    store = OvertakenStore(str(tmp_path / "root"))
    root = _root(store)
    train(root, versions=2)
    store.rivals.append(lambda root: promote(root, "ctr", 1, by=ME))
    assert state(manage(root, "ctr", by=ME)) == (2, "promote", 1, 2)


def test_a_retraining_promotes_once(root: Root) -> None:
    train(root, versions=3)
    manage(root, "ctr", by=ME)
    first = promote(root, "ctr", 2, by=ME, after=1, retrain="2026-11-26")
    assert promote(root, "ctr", 2, by=ME, after=1, retrain="2026-11-26") == first
    rollback(root, "ctr", by=ME)
    # killed, and run again after somebody has gone back
    seen = fence(root, "ctr", by=ME).number
    assert promote(root, "ctr", 2, by=ME, after=seen, retrain="2026-11-26") == first
    assert promoted_version(root, "ctr") == 3
    assert promote(root, "ctr", 2, by=ME, after=seen, retrain="2026-11-27").number == seen + 1


def test_rollback_goes_back_through_what_was_promoted(root: Root) -> None:
    """A list of versions is the oracle: promoting appends, rolling back takes the last away."""
    for seed in range(5):
        chance = random.Random(seed)
        root.store.remove_tree("models")
        train(root, versions=6)
        manage(root, "ctr", by=ME)
        meant = [5, 6]
        for _ in range(40):
            action = chance.choice(["promote", "rollback", "rollback", "fence"])
            if action == "promote":
                version = chance.randint(1, 6)
                promote(root, "ctr", version, by=ME)
                meant += [version] if version != meant[-1] else []
            elif action == "rollback" and len(meant) > 2:
                meant.pop()
                assert rollback(root, "ctr", by=ME).version == meant[-1]
            else:
                fence(root, "ctr", by=ME)
            entry = latest_promotion(root, "ctr")
            assert entry is not None
            assert [entry.previous, entry.version] == meant[-2:], seed
        while len(meant) > 2:
            meant.pop()
            assert rollback(root, "ctr", by=ME).version == meant[-1]
        # while it was not managed it meant each version
        assert [rollback(root, "ctr", by=ME).version for _ in range(5)] == [5, 4, 3, 2, 1]


def test_rollback_goes_to_what_was_asked_for_if_it_was_ever_meant(root: Root) -> None:
    train(root, versions=4)
    assert state(rollback(root, "ctr", to=2, by=ME)) == (2, "rollback", 2, 1)
    train(root, versions=2)
    with pytest.raises(UsageError, match="ctr@5, which was never promoted"):
        rollback(root, "ctr", to=5, by=ME)
    with pytest.raises(UsageError, match="another version than ctr@2"):
        rollback(root, "ctr", to=2, by=ME)
    promote(root, "ctr", 5, by=ME)
    promote(root, "ctr", 6, by=ME)
    assert state(rollback(root, "ctr", to=2, by=ME)) == (5, "rollback", 2, 1)
    assert state(rollback(root, "ctr", to=6, by=ME)) == (6, "rollback", 6, 5)
    assert state(rollback(root, "ctr", by=ME))[2:] == (5, 2)


def test_rolling_back_a_model_that_was_never_managed(root: Root) -> None:
    train(root, versions=3)
    assert state(rollback(root, "ctr", by=ME)) == (2, "rollback", 2, 1)
    assert [state(entry) for entry in read_promotions(root, "ctr")[0]] == [
        (1, "adopt", 3, 2),
        (2, "rollback", 2, 1),
    ]


def test_a_damaged_latest_entry_never_means_another_version(root: Root) -> None:
    train(root, versions=3)
    promote(root, "ctr", 1, by=ME)
    promote(root, "ctr", 3, by=ME)
    path = damage(root, 3)
    uses: list[Callable[[], object]] = [
        lambda: promoted_version(root, "ctr"),
        lambda: named_version(root, parse_reference("ctr")),
        lambda: rollback(root, "ctr", by=ME),
        lambda: fence(root, "ctr", by=ME),
        lambda: manage(root, "ctr", by=ME),
        lambda: promote(root, "ctr", 2, by=ME, after=3),
    ]
    for use in uses:
        with pytest.raises(BadDataError, match=r"do not remove it.*`mr-ml models promote ctr@N`") as caught:
            use()
        assert root.store.uri(path) in str(caught.value)
        assert "remove it if" not in str(caught.value)
    assert len(list_versions(root.store, root.layout.promotions("ctr"))) == 3
    assert [named_version(root, parse_reference(text)) for text in ("ctr@2", "ctr@latest")] == [2, None]
    # the way out
    assert state(promote(root, "ctr", 2, by=ME)) == (4, "promote", 2, 1)
    whole, damaged = read_promotions(root, "ctr")
    assert [entry.number for entry in whole] == [1, 2, 4]
    assert len(damaged) == 1


def test_a_damaged_entry_of_long_ago_does_not_keep_from_rolling_back(root: Root) -> None:
    train(root, versions=4)
    for version in (1, 2, 3):
        promote(root, "ctr", version, by=ME)
    damage(root, 3)
    assert rollback(root, "ctr", by=ME).version == 2
    assert promoted_version(root, "ctr") == 2


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"action": "delete"}, "action"),
        ({"version": 0}, "version"),
        ({"number": 1}, "found a copy of entry 1"),
        ({"at": "yesterday"}, "a time"),
        ({"previous": "../2"}, "previous"),
        ({"more": 1}, "also 'more'"),
        ({"kind": "model"}, "kind"),
    ],
)
def test_a_whole_document_of_nonsense_is_refused(root: Root, change: dict[str, Any], what: str) -> None:
    train(root, versions=2)
    document = promote(root, "ctr", 1, by=ME).to_json()
    root.store.write(f"{root.layout.promotions('ctr')}/v000002.json", encode_document({**document, **change}))
    with pytest.raises(BadDataError, match=what) as caught:
        promoted_version(root, "ctr")
    assert "mr-ml models promote ctr@N" in str(caught.value)


def test_time_is_utc_whatever_the_zone(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    train(root)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    entry = manage(root, "ctr", by=ME)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(entry.at)).total_seconds()) < 3600
