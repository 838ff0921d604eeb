"""What goes and what stays by the rules, on a local store and on one that is no folder of this machine."""

from __future__ import annotations

import random
import shutil
from datetime import date, timedelta

import pytest
from world import DAY, RULES, World, check_all, clean, versions

from hdfs_layout import publish_version, read_version
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.model import load_model
from mr_ml.catalog.retention import KeepRuns, KeepVersions, RetentionRules, carry_out, plan, plan_deletion, plan_pruning
from mr_ml.catalog.uses import using
from mr_ml.errors import NotFoundError, UsageError


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
        (go if k == 0 else stay).add(str(path.parent.relative_to(world.folder)))
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
    places = ("datasets/d/.staged-", "models/m/.writing-", "runs/some/passes/000001/.writing-", "uses/.staged-",
              ".staged-")  # fmt: skip
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


def test_delete(world: World) -> None:
    for _ in range(5):
        world.dataset("d")
        world.model("m", "d@1")
    for number in (2, 3):
        world.promote("m", number)
    world.journal("m", "2026-01-01", days=1, outcome="running", base=4)
    for number, force, why in (
        (3, True, "promoted"), (2, False, "rollback.*`force`"), (4, True, "2026-01-01"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=why):
            plan_deletion(world.root, f"m@{number}", force=force)
    with pytest.raises(UsageError, match="number"):
        plan_deletion(world.root, "m")
    with pytest.raises(NotFoundError):
        plan_deletion(world.root, "m@9")
    for number in (1, 2, 5):
        assert carry_out(world.root, [plan_deletion(world.root, f"m@{number}", force=True)], print)
    assert {v for v in versions(world) if v[0] == "models/m"} == {("models/m", n) for n in (3, 4)}
    assert len(list((world.folder / "models/m/data").iterdir())) == 2
    # that of the latest neither
    assert world.model("m", "d@1") == 6
    check_all(world)


def test_a_name_that_was_never_promoted_keeps_its_latest_version(world: World) -> None:
    for _ in range(2):
        world.dataset("d")
        world.model("m", "d@1")
    with pytest.raises(UsageError, match="name means it; `force`"):
        plan_deletion(world.root, "m@2")
    assert carry_out(world.root, [plan_deletion(world.root, "m@2", force=True)], print)
    assert load_model(world.root, "m").version == 1
    assert world.model("m", "d@1") == 3


def test_datasets_are_deleted_when_nothing_needs_them(world: World) -> None:
    for _ in range(3):
        world.dataset("d")
    world.model("m", "d@1")
    for reference, why in (("d@1", "m@1 was trained on it"), ("d", "number"), ("m@1", "d")):
        with pytest.raises((UsageError, NotFoundError), match=why):
            plan_deletion(world.root, reference, kind="dataset", force=True)
    for number in (3, 2):
        planned = plan_deletion(world.root, f"d@{number}", kind="dataset", by={"user": "me"})
        assert carry_out(world.root, [planned], print) == (planned,)
    with pytest.raises(NotFoundError, match=r"found version 1 \(version 3 was removed at 20.*Z\)"):
        load_dataset(world.root, "d@3")
    assert load_dataset(world.root, "d").version == 1
    assert world.dataset("d") == 4
    # what cleaning finds is no more than there was
    assert clean(world) == []
    check_all(world)


def test_a_version_that_comes_into_use_keeps_its_number_and_has_no_note(world: World) -> None:
    for _ in range(2):
        world.dataset("d")
    planned = plan_deletion(world.root, "d@2", kind="dataset")
    said: list[str] = []
    with using(world.root, load_dataset(world.root, "d@2")):
        assert carry_out(world.root, [planned], said.append) == ()
    assert len(said) == 1
    assert not list((world.folder / "datasets/d").glob("removed-*"))
    assert load_dataset(world.root, "d").version == 2


def test_pruning_keeps_the_newest_and_what_is_needed(world: World) -> None:
    for _ in range(6):
        world.dataset("d")
    world.dataset("other")
    world.model("m", "d@2")
    world.run("m", "d@3", days=1, ended=False)
    planned, stays = plan_pruning(world.root, "d", 2)
    assert [removal.what for removal in planned] == ["d@1", "d@4"]
    assert list(stays) == ["d@2", "d@3"]
    assert stays["d@2"] == ["m@1 was trained on it"]
    assert "unfinished" in stays["d@3"][0]
    assert carry_out(world.root, planned, print) == planned
    assert {v for v in versions(world) if v[0] == "datasets/d"} == {("datasets/d", n) for n in (2, 3, 5, 6)}
    with pytest.raises(NotFoundError):
        plan_pruning(world.root, "nothing", 2)
    check_all(world)


def test_the_newest_journal_stays_whatever_else_is_called_json(world: World) -> None:
    world.dataset("d")
    world.model("m", "d@1")
    old, newest = (world.journal("m", f"2026-01-0{day}", days=50, outcome="published") for day in (1, 2))
    notes = newest.with_name("notes.json")
    notes.write_text("mine")
    world.age(world.folder, 50)
    carry_out(world.root, plan(world.root, RULES, now=world.now), print)
    assert [path.exists() for path in (old, newest, notes)] == [False, True, True]


def test_a_year_of_nights_stays_bounded(world: World) -> None:
    """Every fifth, of which each tenth is killed somewhere; the log of promotions is the only thing that grows."""
    chance, counts = random.Random(0), list[int]()
    rules = RetentionRules(
        models=KeepVersions(versions=5, days=30), datasets=KeepVersions(versions=2, days=2), runs=KeepRuns(days=40)
    )
    for night in range(73):
        world.now += 5 * DAY
        window, run = f"{date(2026, 1, 1) + timedelta(5 * night)}", world.new_id()
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
