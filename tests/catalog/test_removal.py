"""How what may go is removed beside others who are at work: readers, packs, retrainings, other cleans, and kills."""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from world import RULES, World, check_all, clean, versions

from hdfs_layout import Store, open_root
from hdfs_layout.lock import hold
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.model import load_model
from mr_ml.catalog.retention import KeepRuns, KeepVersions, RetentionRules, carry_out, plan
from mr_ml.catalog.uses import using
from mr_ml.catalog.verify import verify
from mr_ml.errors import LockedError, NotFoundError


@pytest.mark.parametrize("kind", ["datasets", "models"])
def test_what_comes_into_use_after_the_plan_stays(world: World, kind: str) -> None:
    """And is there as it was: who opened it goes on."""
    for _ in range(4):
        world.dataset("d", days=50)
        world.model("m", "d@4", days=50)
    before = world.files()
    planned = [removal for removal in plan(world.root, RULES, now=world.now) if removal.path.startswith(kind)]
    assert [removal.what for removal in planned] == (
        [f"d@{n}" for n in (1, 2)] if kind == "datasets" else ["m@1", "m@2"]
    )
    said: list[str] = []
    if kind == "models":
        world.promote("m", 2)
        carry_out(world.root, planned, said.append)
    else:
        with using(world.root, load_dataset(world.root, "d@2")):
            carry_out(world.root, planned, said.append)
    assert versions(world) >= {(f"{kind}/{planned[0].what[0]}", 2)}
    assert versions(world).isdisjoint({(f"{kind}/{planned[0].what[0]}", 1)})
    assert len(said) == 1
    went = (planned[0].path, *planned[0].data)
    assert before - world.files() == {path for path in before if path.startswith(went)}
    check_all(world)


def test_a_version_that_comes_back_keeps_its_data(world: World) -> None:
    """A plan may be made while another clean has taken away a manifest that it finds to be in use."""
    for _ in range(2):
        world.dataset("d", days=50)
    manifest = world.folder / "datasets/d/v000001.json"
    whole, said = manifest.read_bytes(), list[str]()
    manifest.unlink()
    planned = plan(world.root, RULES, now=world.now)
    assert [removal.what for removal in planned] == ["data of d"]
    with using(world.root, load_dataset(world.root, "d@2")):
        note = world.note("d", 1, of="alive")
        assert carry_out(world.root, planned, said.append) == ()
    note.unlink()
    manifest.write_bytes(whole)
    assert carry_out(world.root, planned, said.append) == ()
    assert len(said) == 2
    check_all(world)


def test_a_use_is_noted_for_as_long_as_it_lasts(world: World) -> None:
    world.dataset("d")
    dataset = load_dataset(world.root, "d")
    with using(world.root, dataset), using(world.root, dataset):
        assert len(list((world.folder / "uses").iterdir())) == 2
    assert list((world.folder / "uses").iterdir()) == []
    (world.folder / "datasets/d/v000001.json").unlink()
    with pytest.raises(NotFoundError, match="d@1"), using(world.root, dataset):
        pass
    assert list((world.folder / "uses").iterdir()) == []


def test_a_root_that_cannot_be_written_to_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.dataset("d")
    (world.folder / "uses").write_text("a file in the way, since root may write anywhere")
    with using(world.root, load_dataset(world.root, "d")):
        pass


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_kill_in_the_middle_is_made_up_for(world: World, failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each step of the removal of three versions and their data."""
    for days in (50, 40, 35, 2, 1):
        world.dataset("d", days=days)
    calls: list[str] = []

    def remove_tree(store: Store, path: str) -> None:
        calls.append(path)
        if len(calls) == failing:
            raise KeyboardInterrupt
        real(store, path)

    real = type(world.root.store).remove_tree
    with monkeypatch.context() as patch:
        patch.setattr(type(world.root.store), "remove_tree", remove_tree)
        with pytest.raises(KeyboardInterrupt):
            carry_out(world.root, plan(world.root, RULES, now=world.now), calls.append)
    check_all(world)
    assert len(versions(world)) == 5 - failing
    clean(world)
    assert versions(world) == {("datasets/d", n) for n in (4, 5)}
    assert len(list((world.folder / "datasets/d/data").iterdir())) == 2


def test_a_locked_model_is_left_alone(world: World) -> None:
    for _ in range(4):
        for name in ("m", "n"):
            world.dataset("d", days=50)
            world.model(name, "d@1", days=50)
    planned, said = plan(world.root, RULES, now=world.now), list[str]()
    with hold(world.root.store, world.root.layout.lock("m"), what="retrain m") as lock:
        gone = carry_out(world.root, planned, said.append)
        assert {removal.what for removal in gone if removal.version and removal.lock} == {"n@1", "n@2"}
        assert len(said) >= 1
        assert all("retrain m" in text for text in said)
        carry_out(world.root, planned, said.append, held={"m": lock})
    assert {v for v in versions(world) if v[0] == "models/m"} == {("models/m", 3), ("models/m", 4)}
    with hold(world.root.store, world.root.layout.cleaning, what="clean"), pytest.raises(LockedError, match="clean"):
        carry_out(world.root, planned, said.append)


@pytest.mark.parametrize("by_a_retraining", [False, True])
def test_a_model_whose_lock_was_lost_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, by_a_retraining: bool
) -> None:
    """As by a process that was suspended for longer than its lease; the rest still goes."""
    for _ in range(4):
        world.dataset("d", days=50)
        world.model("m", "d@4", days=50)
    real, said = type(world.root.store).remove_tree, list[str]()

    def remove_tree(store: Store, path: str) -> None:
        real(store, path)
        real(store, world.root.layout.lock("m"))

    planned = plan(world.root, RULES, now=world.now)
    with contextlib.ExitStack() as stack:
        held = {}
        if by_a_retraining:
            held["m"] = stack.enter_context(hold(world.root.store, world.root.layout.lock("m"), what="retrain m"))
        monkeypatch.setattr(type(world.root.store), "remove_tree", remove_tree)
        gone = carry_out(world.root, planned, said.append, held=held)
    assert [removal.lock for removal in gone if removal.lock] == ["m"]
    assert {removal.what for removal in gone if removal.version} >= {"d@1", "d@2"}
    assert len(said) == 1
    assert said[0].startswith("nothing more of m is removed")
    check_all(world)


def test_links_are_not_followed(tmp_path: Path, template: Path) -> None:
    """Neither by a plan, nor by a removal if one was put there after it."""
    outside = World(open_root(tmp_path / "outside"), tmp_path / "outside", template)
    for days in (50, 40, 30, 20):
        outside.dataset("d", days=days)
    outside.file("datasets/d/.staged-", of="gone")
    here = World(open_root(tmp_path / "root"), tmp_path / "root", template)
    for days in (50, 40, 30, 20):
        here.dataset("d", days=days)
    (here.folder / "runs").symlink_to(outside.folder / "datasets")
    (here.folder / "datasets" / "e").symlink_to(outside.folder / "datasets" / "d")
    (here.folder / "datasets" / "d" / "data" / "f").symlink_to(outside.folder)
    before, said = outside.files(), list[str]()
    planned = plan(here.root, RULES, now=here.now, say=said.append)
    assert [removal.what for removal in planned] == ["d@1", "d@2"]
    assert sorted(text.split()[0] for text in said) == ["datasets/d/data/f", "datasets/e", "runs"]
    (here.folder / "datasets").rename(here.folder / "away")
    (here.folder / "datasets").symlink_to(outside.folder / "datasets")
    assert carry_out(here.root, planned, said.append) == ()
    assert outside.files() == before


def test_cleans_at_once_beside_packs_and_readers(world: World) -> None:
    """Nobody who reads a version finds it gone; what is published stays; the cleans do their work once."""
    for _ in range(8):
        world.dataset("d", days=50)
        world.model("m", "d@1", days=50)
    rules = RetentionRules(models=KeepVersions(), datasets=KeepVersions(), runs=KeepRuns(days=1))

    def cleans() -> None:
        for _ in range(5):
            with contextlib.suppress(LockedError):
                carry_out(world.root, plan(world.root, rules), print)

    def reads(seed: int) -> int:
        chance, read = random.Random(seed), 0
        for _ in range(40):
            try:
                dataset = load_dataset(world.root, f"d@{chance.randint(1, 8)}")
                opened = using(world.root, dataset)
                opened.__enter__()
            except NotFoundError:
                continue
            verify(world.root.store, dataset.partitions)
            opened.__exit__(None, None, None)
            read += 1
        return read

    def packs() -> None:
        for _ in range(5):
            world.dataset("d")
            load_model(world.root, f"m@{world.model('m', 'd@8')}")

    with ThreadPoolExecutor(6) as threads:
        others = [threads.submit(cleans), threads.submit(cleans), threads.submit(packs)]
        readers = [threads.submit(reads, seed) for seed in range(3)]
    for one in others:
        one.result()
    assert sum(reader.result() for reader in readers) > 0
    cleans()
    check_all(world)
    assert {number for name, number in versions(world) if name == "datasets/d"} >= {13}
    assert ("datasets/d", 1) not in versions(world)
