"""What tests of retraining share."""

from __future__ import annotations

import pytest
from night import Nights

from mr_ml.session import Session


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    folder = tmp_path_factory.mktemp("nights")
    return Nights(Session.open(folder / "root", runner="inline"), folder)
