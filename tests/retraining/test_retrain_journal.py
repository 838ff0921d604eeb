"""What a retraining leaves alone that another process, or somebody, did meanwhile; journals that are damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from commands import Commands
from daily import Daily, day
from patches import Killed, kill_at

import mr_ml
from hdfs_layout import encode_document, open_root
from mr_ml.catalog.promotions import fence, promote, promoted_version, read_promotions
from mr_ml.errors import BadDataError, LockedError
from mr_ml.retraining import work
from mr_ml.retraining.journal import read_journal


@pytest.mark.parametrize("meanwhile", [fence, lambda root, name, by: promote(root, name, 1, by=by)])
def test_nothing_is_promoted_over_what_happened_meanwhile(
    second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[..., Any]
) -> None:
    """By an operator, or by the process that took this one for dead."""
    daily, _ = second_night
    root = open_root(daily.root)
    monkeypatch.setattr(
        work, "reached", lambda point: meanwhile(root, "ctr", by={}) if point == "published noted" else None
    )
    with pytest.raises(LockedError):
        mr_ml.retrain(daily.settings, last=day(5))
    assert promoted_version(root, "ctr") == 1
    monkeypatch.undo()
    assert daily.published(5)["promoted"] == 2


def test_a_damaged_journal_says_what_to_remove(daily: Daily) -> None:
    daily.published(4)
    path = daily.root / "retrains" / "ctr" / str(day(4)) / "v000001.json"
    whole, root = path.read_bytes(), open_root(daily.root)
    journal = read_journal(root, "ctr", str(day(4)))
    assert journal is not None
    senseless = replace(journal, attempt=replace(journal.attempt, version=None))
    of_another = replace(journal, number=2)
    for content in (whole[:-20], *(encode_document(one.to_json()) for one in (senseless, of_another))):
        path.write_bytes(content)
        damaged = daily.run(4)
        assert damaged.code == BadDataError.exit_code
        assert f"remove {path.parent}" in damaged.err
    shutil.rmtree(path.parent)
    assert daily.published(4)["candidate"] == "ctr@2"


def test_a_stale_owner_writes_its_journal_late(
    second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped between its check of the lock and its writing; another has trained on other files since."""
    daily, _ = second_night
    folder = daily.root / "retrains" / "ctr" / str(day(5))
    with monkeypatch.context() as patch:
        kill_at("published noted", patch)
        with pytest.raises(Killed):
            mr_ml.retrain(daily.settings, last=day(5))
    (its,) = folder.iterdir()
    stale = its.read_bytes()
    daily.add(5, 5, name="late", seed=1)
    assert daily.published(5)["candidate"] == "ctr@3"
    (newest,) = folder.iterdir()
    its.write_bytes(stale)
    again = daily.published(5)
    assert (again["candidate"], again["repeated"]) == ("ctr@3", True)
    entries, _ = read_promotions(open_root(daily.root), "ctr")
    assert [entry.version for entry in entries if entry.action == "promote"] == [1, 3]
    assert Commands(daily.root).run("clean", daily.settings).code == 0
    assert list(folder.iterdir()) == [newest]


def test_a_stale_owner_does_not_begin_a_journal(
    second_night: tuple[Daily, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another has finished the window since it found that there is none."""
    daily, _ = second_night
    folder = daily.root / "retrains" / "ctr" / str(day(5))
    done: list[str] = []

    def reached(point: str) -> None:
        if point == "begun" and not done:
            done.append(point)
            shutil.copytree(other.root / "retrains" / "ctr" / str(day(5)), folder)

    other = Daily(daily.folder.parent / "other")
    shutil.copytree(daily.folder, other.folder)
    other.published(5)
    monkeypatch.setattr(work, "reached", reached)
    with pytest.raises(LockedError, match="found one: another process"):
        mr_ml.retrain(daily.settings, last=day(5))
    (path,) = folder.iterdir()
    assert path.read_bytes() == (other.root / "retrains" / "ctr" / str(day(5)) / path.name).read_bytes()
