from pathlib import Path

import pytest
from commands import Commands


@pytest.fixture
def mr_ml(tmp_path: Path) -> Commands:
    """`mr-ml` with an empty root of the test's own."""
    return Commands(tmp_path / "root")
