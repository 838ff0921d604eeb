"""What tests of retraining share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from daily import Daily
from night import Nights
from patches import tell_to

from mr_ml.retraining.result import RetrainResult
from mr_ml.session import Session


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    folder = tmp_path_factory.mktemp("nights")
    return Nights(Session.open(folder / "root", runner="inline"), folder)


@pytest.fixture
def daily(tmp_path: Path) -> Daily:
    """Six days of rows and the settings, nothing trained yet."""
    made = Daily(tmp_path)
    made.configure()
    made.add(0, 5)
    return made


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> list[RetrainResult]:
    """What was told, in order."""
    told: list[RetrainResult] = []
    tell_to(told, monkeypatch)
    return told


@pytest.fixture(scope="session")
def _second_night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Daily, bytes]:
    """A first model, and the coefficients that an undisturbed second night has."""
    made = Daily(tmp_path_factory.mktemp("before") / "daily")
    made.folder.mkdir()
    made.configure()
    made.add(0, 6)
    made.published(4)
    undisturbed = Daily(made.folder.parent / "undisturbed")
    shutil.copytree(made.folder, undisturbed.folder)
    undisturbed.published(5)
    return made, undisturbed.coefficients("ctr@2")


@pytest.fixture
def second_night(_second_night: tuple[Daily, bytes], tmp_path: Path) -> tuple[Daily, bytes]:
    """The same, to be changed."""
    before, expected = _second_night
    daily = Daily(tmp_path / "daily")
    shutil.copytree(before.folder, daily.folder)
    return daily, expected
