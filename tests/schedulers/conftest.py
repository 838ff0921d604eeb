"""What Airflow reads of its environment when it is first imported, and a small table that grows by a day."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from daily import Daily

AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="airflow-"))
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)
os.environ.update(
    AIRFLOW_HOME=str(AIRFLOW_HOME), AIRFLOW__CORE__LOAD_EXAMPLES="False", AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
)  # fmt: skip


@pytest.fixture
def daily(tmp_path: Path) -> Daily:
    """Six days of rows and the settings, nothing trained yet."""
    made = Daily(tmp_path)
    made.configure()
    made.add(0, 5)
    return made
