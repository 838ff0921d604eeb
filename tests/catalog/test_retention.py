"""What is removed and what stays, on a local store and on one that is no folder of this machine."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from world import DAY, RemoteStore, World

import mr_ml
from hdfs_layout import Root, Store, list_versions, open_root, publish_version, read_version
from hdfs_layout.lock import hold
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.model import load_model
from mr_ml.catalog.retention import KeepRuns, KeepVersions, RetentionRules, carry_out, plan, plan_deletion
from mr_ml.catalog.uses import using
from mr_ml.catalog.verify import verify
from mr_ml.errors import LockedError, NotFoundError, UsageError

RULES = RetentionRules(
    models=KeepVersions(versions=2, days=10), datasets=KeepVersions(versions=2, days=5), runs=KeepRuns(days=20)
)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with one dataset, and one model of it."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "text").write_text("0 1:0.5\n1 1:2 2:1\n" * 8)
    mr_ml.pack(folder / "root", folder / "text", "rows")
    mr_ml.train(folder / "root", "rows", "m", l2=1.0)
    return folder / "root"


@pytest.fixture(params=["local", "remote"])
def world(request: pytest.FixtureRequest, tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    # nothing here is about crashes of the machine
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    folder = tmp_path / "root"
    folder.mkdir()
    root = open_root(folder)
    if request.param == "remote":
        root = Root(RemoteStore(str(folder)), root.layout)
    return World(root, folder, template)


def versions(world: World) -> set[tuple[str, int]]:
    """All that there are, by their folders."""
    folders = [path for kind in ("datasets", "models") for path in (world.folder / kind).glob("*")]
    names = [str(path.relative_to(world.folder)) for path in folders]
    return {(name, number) for name in names for number in list_versions(world.root.store, name)}


def check_all(world: World) -> None:
    """Every version is whole, and what is unfinished has what it reads."""
    for folder, number in versions(world):
        kind, name = folder.split("/")
        if kind == "models":
            load_model(world.root, f"{name}@{number}")
        else:
            dataset = load_dataset(world.root, f"{name}@{number}")
            verify(world.root.store, dataset.partitions)
            for file in dataset.moments.values():
                file.read(world.root.store)


def clean(world: World, rules: RetentionRules = RULES) -> list[str]:
    """Plan, carry out, and see that this was all; returns the paths that went."""
    before, said = world.files(), list[str]()
    planned = plan(world.root, rules, now=world.now)
    assert world.files() == before, "a plan changes nothing"
    assert plan(world.root, rules, now=world.now) == planned
    assert set(carry_out(world.root, planned, said.append)) == set(planned)
    assert said == []
    gone = {path for removal in planned for path in (removal.path, *removal.data)}
    assert {
        path for path in before - world.files() if not any(path == one or path.startswith(f"{one}/") for one in gone)
    } == set()
    assert plan(world.root, rules, now=world.now) == ()
    return [removal.path for removal in planned]


@pytest.mark.parametrize("seed", range(20))
def test_random_roots(world: World, seed: int) -> None:
    """What must stay is told by how the root was made."""
    chance = random.Random(seed)
    ages = sorted((chance.uniform(0, 60) for _ in range(chance.randint(3, 7))), reverse=True)
    needed: set[tuple[str, int]] = set()
    published: dict[tuple[str, int], float] = {("datasets/d", world.dataset("d", days=days)): days for days in ages}
    last = len(ages)
    trained_on: dict[int, int] = {}
    runs: dict[str, int] = {}
    for days in sorted((chance.uniform(0, 60) for _ in range(chance.randint(1, 7))), reverse=True):
        run, dataset = world.new_id(), chance.randint(1, last)
        world.run("c", f"d@{dataset}", name=run, days=days, ended=True)
        number = world.model("c", f"d@{dataset}", run=run, days=days)
        published["models/c", number], trained_on[number], runs[run] = days, dataset, number
    needed |= {("datasets/d", last), ("models/c", max(trained_on))}
    promoted = [chance.randint(1, len(trained_on)) for _ in range(chance.randint(0, 3))]
    for number in promoted:
        world.promote("c", number)
    # the name of a model without promotions means the latest; the first one adopts what it meant
    meant = [max(trained_on)] if not promoted else [max(trained_on), *promoted]
    in_order = [number for k, number in enumerate(meant) if not k or number != meant[k - 1]]
    before = [max(trained_on) - 1] if promoted and len(trained_on) > 1 else []
    for number in (before + in_order)[-2 if promoted else -1 :]:
        needed |= {("models/c", number), ("datasets/d", trained_on[number])}
    stay, go = set[str](), set[str]()
    for days, stays in ((chance.uniform(0, 29), True), (chance.uniform(31, 60), False)):
        dataset = chance.randint(1, last)
        start = chance.randint(1, len(trained_on))
        name = world.run("other", f"d@{dataset}", days=days, ended=False, warm_start=f"c@{start}")
        (stay if stays else go).add(f"runs/{name}")
        needed |= {("datasets/d", dataset), ("models/c", start)} if stays else set()
    for k, (outcome, days) in enumerate((("published", 25), ("refused", 5), ("running", 25), ("running", 40))):
        dataset, base = chance.randint(1, last), chance.randint(1, len(trained_on))
        orphan = world.orphan("datasets/d", days=50)
        path = world.journal("c", f"2026-0{k + 1}-01", days=days, outcome=outcome, dataset=f"d@{dataset}", base=base)
        is_needed = outcome == "running" and (days < 30 or k == 3)
        needed |= {("datasets/d", dataset), ("models/c", base)} if is_needed else set()
        # what a pack published for a retraining, the dataset's manifest names
        go.add(str(orphan.relative_to(world.folder)))
        (go if k == 0 else stay).add(str(path.relative_to(world.folder)))
    for of, days, stays in (("alive", 50, True), ("gone", 0, False), ("elsewhere", 20, True), ("elsewhere", 31, False)):
        dataset = chance.randint(1, last)
        note = world.note("d", dataset, of=of, days=days)
        (stay if stays else go).add(str(note.relative_to(world.folder)))
        needed |= {("datasets/d", dataset)} if stays else set()
    gone = clean(world)
    expected = {
        version
        for version, days in published.items()
        if version not in needed
        and version[1] <= (last if version[0] == "datasets/d" else len(trained_on)) - 2
        and days > (5 if version[0] == "datasets/d" else 10)
    }
    assert set(published) - versions(world) == expected
    assert go <= set(gone)
    assert all((world.folder / path).exists() for path in stay)
    check_all(world)
    kept = {run for run, number in runs.items() if ("models/c", number) not in expected}
    assert all((world.folder / "runs" / run / "spec.json").exists() for run in kept)


def test_what_killed_commands_left(world: World) -> None:
    """On this machine at once, else after a day; what somebody may be at work at stays."""
    for name in ("d", "e"):
        world.dataset(name, days=9)
    world.model("m", "d@1", days=9)
    cases = {"alive": (50, 0), "gone": (0.0, 1), "elsewhere": (0.5, 0), "elsewhere ": (2, 1)}
    places = ("datasets/d/.staged-", "models/m/.writing-", "runs/some/passes/000001/.writing-", "uses/.staged-")
    found: dict[str, bool] = {}
    for of, (days, goes) in cases.items():
        for place in places:
            path = world.file(place, of=of.strip(), days=days)
            found[str(path.relative_to(world.folder))] = bool(goes)
        data = world.orphan("datasets/d", days=days)
        note = world.file("datasets/d/.packing-", of=of.strip(), end=f".{data.name}", days=days)
        found |= {str(path.relative_to(world.folder)): bool(goes) for path in (data, note)}
    for place in ("datasets/e", "models/m"):
        for days in (0.5, 2):
            found[str(world.orphan(place, days=days).relative_to(world.folder))] = days > 1
    for days in (0.5, 2):
        job = world.folder / "tmp" / f"job-{days}"
        job.mkdir(parents=True)
        (job / "input").touch()
        world.age(job, days)
        found[f"tmp/job-{days}"] = days > 1
    gone = clean(world, RetentionRules())
    assert {path: path in gone for path in found} == found
    assert sorted(gone) == sorted(path for path, goes in found.items() if goes)
    check_all(world)


def test_what_cannot_be_read_stays_and_is_said(world: World) -> None:
    for _ in range(5):
        world.dataset("d", days=50)
        world.model("m", "d@1", days=50)
        world.model("n", "d@5", days=50)
    orphan = world.orphan("datasets/d", days=50)
    world.promote("m", 3)
    (damaged,) = [path for path in (world.folder / "models/m/promotions").iterdir() if path.name == "v000002.json"]
    damaged.write_text("no document")
    (world.folder / "datasets/d/v000003.json").write_text("{}")
    run = world.run("n", "d@4", days=25, ended=False)
    (world.folder / "runs" / run / "log.jsonl").write_text("nonsense\n")
    journal = world.journal("m", "2026-01-01", days=50)
    world.journal("m", "2026-01-02", days=50)
    journal.write_text("no document")
    world.age(world.folder, 50)
    world.age(world.folder / "runs" / run, 25)
    said: list[str] = []
    planned = plan(world.root, RULES, now=world.now, say=said.append)
    carry_out(world.root, planned, said.append)
    # of d: what versions of m were trained on, what the run reads, the damaged one and the latest
    assert versions(world) == {
        *(("datasets/d", number) for number in (1, 3, 4, 5)),
        *(("models/m", number) for number in (1, 2, 3, 4, 5)),
        *(("models/n", number) for number in (4, 5)),
    }
    assert orphan.exists()
    assert journal.exists()
    assert [any(word in text for text in said) for word in ("promotions/v000002", "d@3 stays", run, "2026-01-01")] == [
        True
    ] * 4


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
    with hold(world.root.store, world.root.layout.lock("m"), what="retrain m"):
        gone = carry_out(world.root, planned, said.append)
        assert {removal.what for removal in gone if removal.version and removal.lock} == {"n@1", "n@2"}
        assert len(said) >= 1
        assert all("retrain m" in text for text in said)
        carry_out(world.root, planned, said.append, held="m")
    assert {v for v in versions(world) if v[0] == "models/m"} == {("models/m", 3), ("models/m", 4)}
    with hold(world.root.store, world.root.layout.cleaning, what="clean"), pytest.raises(LockedError, match="clean"):
        carry_out(world.root, planned, said.append)


def test_delete(world: World) -> None:
    for _ in range(5):
        world.dataset("d")
        world.model("m", "d@1")
    for number in (2, 3):
        world.promote("m", number)
    world.journal("m", "2026-01-01", days=1, outcome="running", base=4)
    for number, force, why in (
        (3, True, "promoted"), (2, False, "rollback.*`force`"), (5, True, "latest"), (4, True, "2026-01-01"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=why):
            plan_deletion(world.root, f"m@{number}", force=force)
    with pytest.raises(UsageError, match="number"):
        plan_deletion(world.root, "m")
    with pytest.raises(NotFoundError):
        plan_deletion(world.root, "m@9")
    for number in (1, 2):
        assert carry_out(world.root, [plan_deletion(world.root, f"m@{number}", force=True)], print)
    assert {v for v in versions(world) if v[0] == "models/m"} == {("models/m", n) for n in (3, 4, 5)}
    assert len(list((world.folder / "models/m/data").iterdir())) == 3
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


def test_a_year_of_nights_stays_bounded(world: World) -> None:
    """Every fifth, of which each tenth is killed somewhere; the log of promotions is the only thing that grows."""
    chance, counts = random.Random(0), list[int]()
    rules = RetentionRules(
        models=KeepVersions(versions=5, days=30), datasets=KeepVersions(versions=2, days=2), runs=KeepRuns(days=40)
    )
    for night in range(73):
        world.now += 5 * DAY
        window, run = f"2026-{night:03d}", world.new_id()
        killed = chance.choice(["pack", "write", "train", "publish"]) if chance.random() < 0.1 else None
        if killed == "pack":
            data = world.orphan("datasets/d", days=0)
            world.file("datasets/d/.packing-", of=chance.choice(["gone", "elsewhere"]), end=f".{data.name}")
            world.journal("m", window, days=0, outcome="running", run=run)
            continue
        dataset = f"d@{world.dataset('d')}"
        world.run("m", dataset, name=run, days=0, ended=killed is None)
        if killed:
            world.note("d", int(dataset[2:]), of="elsewhere")
            world.file(f"runs/{run}/.writing-", of="elsewhere")
            world.journal("m", window, days=0, outcome="running", run=run, dataset=dataset)
            continue
        number = world.model("m", dataset, run=run)
        if chance.random() < 0.8:
            world.promote("m", number)
        world.journal("m", window, days=0, outcome="published", run=run, dataset=dataset, version=number)
        carry_out(world.root, plan(world.root, rules, model="m", dataset="d", now=world.now), print)
        counts.append(len([path for path in world.files() if "/promotions" not in path]))
    quarters = [max(counts[k * len(counts) // 4 : (k + 1) * len(counts) // 4]) for k in range(4)]
    assert quarters[3] < 1.2 * quarters[1]
    check_all(world)


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


def test_what_others_put_there_stays(world: World) -> None:
    """Copies, notes, names that no mr_ml gives."""
    for _ in range(3):
        world.model("m", f"d@{world.dataset('d', days=50)}", days=50)
    for kind in ("datasets", "models", "runs", "retrains", "uses", "tmp"):
        for name in ("copy of it", "\x1b[31m", "-rf", ".hidden", "$(id)"):
            folder = world.folder / kind / name
            source = next((path for path in (world.folder / kind).glob("*") if path.is_dir()), None)
            if source is not None and kind != "tmp":
                shutil.copytree(source, folder)
            (folder / "data" / "some").mkdir(parents=True, exist_ok=True)
            (folder / "data" / "some\nthing").write_text("mine")
        (world.folder / kind / "notes.txt").write_text("mine")
        (world.folder / kind / ".staged-\x1b").write_text("mine")
    before = world.files()
    carry_out(world.root, plan(world.root, RULES, now=world.now), print)
    gone = {path for path in before - world.files() if "d/" not in path and "m/" not in path}
    assert {path.split("/")[0] for path in gone} <= {"runs"}
    assert not [path for path in gone if "\n" in path or path.split("/")[1] in ("copy of it", "-rf", "$(id)")]
    assert load_dataset(world.root, "d@3").version == 3


def test_data_that_two_versions_name_stays_with_the_second(world: World) -> None:
    """As where a manifest was published again, to go back to an older version."""
    for _ in range(3):
        world.dataset("d", days=50)
    publish_version(world.root.store, "datasets/d", read_version(world.root.store, "datasets/d", 1).document)
    assert clean(world) == ["datasets/d/v000001.json", "datasets/d/v000002.json"]
    check_all(world)
