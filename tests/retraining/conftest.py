"""What tests of retraining share."""

from __future__ import annotations

from pathlib import Path

import pytest
from daily import Daily
from night import Nights

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
