"""What all tests share: single-threaded numerics, a hypothesis profile without deadlines, and the real data.

Modules in this folder (`builders`) can be imported by every test by their plain name.
"""

from __future__ import annotations

import os

# before numpy is imported: its libraries read these once
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import signal  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
from dev_cluster import hadoop_cluster, start_hadoop_cluster  # noqa: E402, F401
from hypothesis import HealthCheck, settings  # noqa: E402
from s3_servers import moto_server, versitygw_server  # noqa: E402, F401
from spark_contexts import spark_contexts  # noqa: E402, F401

# A shell's background job ignores SIGINT and nohup SIGHUP, and so would every command that a test sends them to.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# how long an example takes says nothing of right or wrong on a machine that others use too
settings.register_profile("mr_ml", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `--hypothesis-profile few`: where it is asked whether things work at all
settings.register_profile("few", settings.get_profile("mr_ml"), max_examples=5)
settings.load_profile("mr_ml")


_ON_HADOOP = Path(__file__).parent / "hadoop"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a cluster: everything in its folder, and cases of suites that are held on other kinds too."""
    for item in items:
        assert isinstance(item, pytest.Function)
        given = item.callspec.params.values() if hasattr(item, "callspec") else ()
        kinds = {name for value in given if isinstance(name := getattr(value, "name", value), str)}
        fixtures = {"hadoop_cluster", "start_hadoop_cluster"}.intersection(item.fixturenames)
        if item.path.parent == _ON_HADOOP or fixtures or not kinds.isdisjoint({"hdfs", "hadoop", "hadoop_cluster"}):
            item.add_marker(pytest.mark.hadoop)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data and expected results: MR_ML_TEST_DATA, or ../shared/data beside the repository."""
    given = os.environ.get("MR_ML_TEST_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: expected a folder {folder}; set MR_ML_TEST_DATA to it")
    return folder
