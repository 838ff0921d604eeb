from __future__ import annotations

import pytest
from commands import Commands
from fits import Solver


@pytest.fixture(scope="session")
def solver(tmp_path_factory: pytest.TempPathFactory) -> Solver:
    """One root for all fits of these tests."""
    return Solver(Commands(tmp_path_factory.mktemp("metamorphic") / "root", runner=("-r", "inline")))
