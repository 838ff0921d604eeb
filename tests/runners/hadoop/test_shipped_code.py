"""The code that goes to the nodes: reproducible, and importable by a Python that has dropped what mrjob imports."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import mr_ml_jobs
import numpy as np
import pytest
import scipy
from mrjob.compat import LooseVersion as Theirs  # distutils', or what brings it back

from mr_ml.runners.hadoop.code import shipped_code
from mr_ml.runners.removed_modules import LooseVersion

# What it imports is found nowhere: not in the standard library, nor in what setuptools and others bring back.
BLOCKED = """
import sys
class Dropped:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("distutils", "pipes", "_distutils_hack", "setuptools"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Dropped())
for name in [n for n in sys.modules if n.partition(".")[0] in ("distutils", "pipes")]:
    del sys.modules[name]
"""


def test_the_same_code_gives_the_same_file() -> None:
    first, again = shipped_code(), shipped_code()
    assert (first.hash, first.zipped()) == (again.hash, again.zipped())


def test_tasks_are_imported_without_distutils_and_pipes(tmp_path: Path) -> None:
    """From the zip file alone, beside numpy and scipy, as on a node with Python 3.13."""
    code = shipped_code()
    (tmp_path / "mr_ml.zip").write_bytes(code.zipped())
    if code.native is not None:
        (tmp_path / code.native[0]).write_bytes(code.native[1])
    packages = tmp_path / "packages"
    packages.mkdir()
    for module in (np, scipy):
        folder = Path(str(module.__file__)).parent
        for path in (folder, folder.parent / f"{folder.name}.libs"):
            if path.exists():
                (packages / path.name).symlink_to(path)
    jobs = sorted(path.stem for path in Path(str(mr_ml_jobs.__file__)).parent.glob("*_job.py"))
    assert len(jobs) > 5
    program = BLOCKED + (
        "sys.path.insert(0, 'mr_ml.zip')\n"
        "try:\n    import mrjob.job\nexcept ModuleNotFoundError as error:\n    print(error.name)\n"
        "from mr_ml.runners.hadoop.task_main import prepare\nprepare()\n"
        "import mr_ml_jobs.pass_job, mrjob.util, mr_ml.data.kernels\n"
        "import importlib\n"
        f"for name in {jobs}:\n    importlib.import_module('mr_ml_jobs.' + name)\n"
        "print(mrjob.util.find_executable('sh'), mr_ml_jobs.pass_job.__file__)\n"
        "print(mr_ml.data.kernels.native is not None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-W", "ignore", "-c", program], cwd=tmp_path, capture_output=True, text=True,
        check=False, env={"PYTHONPATH": str(packages), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    missing, where, native = done.stdout.splitlines()
    assert missing in ("distutils", "distutils.version", "pipes")
    assert where.split()[0].endswith("/sh")
    assert "mr_ml.zip" in where
    assert native == str(code.native is not None)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("3.0.0", "2.7.3"),
        ("2.10", "2.9"),
        ("0.20", "0.20.203"),
        ("1.0", "1.0"),
        ("2.6.0-cdh5", "2.6.0"),
        ("4.1.2", "4"),
    ],
)
def test_versions_compare_as_those_of_distutils(first: str, second: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        _compare(first, second)


def _compare(first: str, second: str) -> None:
    ours, theirs = LooseVersion(first), Theirs(first)
    assert (ours < LooseVersion(second)) == (theirs < Theirs(second))
    assert (ours == LooseVersion(second)) == (theirs == Theirs(second))
    assert (ours >= second) == (theirs >= second)
    assert str(ours) == str(theirs) == first
