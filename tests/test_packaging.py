"""What gets installed, and that it works from anywhere: the wheel, the source distribution, the command.

Nothing is fetched: the builds use the setuptools of the running environment, and a fresh virtual environment gets the
wheel alone (``--no-deps``) and sees numpy, mrjob... through a .pth file that adds the running environment's
site-packages behind its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDERS = {"hdfs_layout": "hdfs_layout", "mr_ml": "mr_ml", "mr_ml_jobs": "jobs"}
BUILDS_WHEELS = (70, 1)  # setuptools from here on needs no other package to build a wheel


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout to build in: builds leave files behind."""
    found = re.match(r"(\d+)\.(\d+)", metadata.version("setuptools"))
    if found is None or tuple(map(int, found.groups())) < BUILDS_WHEELS:
        pytest.skip(f"setuptools {metadata.version('setuptools')} cannot build wheels: install mr_ml[test]")
    copy = tmp_path_factory.mktemp("source") / "mr_ml"
    copy.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.pyc", "*.so")
    for path in CHECKOUT.iterdir():
        if path.is_dir() and path.name in (*FOLDERS.values(), "docs", "scripts", "tests"):
            shutil.copytree(path, copy / path.name, ignore=unwanted)
        elif path.is_file():
            shutil.copy(path, copy)
    return copy


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


def build_wheel(source: Path, folder: Path) -> Path:
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (found,) = folder.glob("*.whl")
    return found


def pip(*arguments: str) -> None:
    environment = {
        **clean_environment(),
        "PIP_NO_INDEX": "1",
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    run([sys.executable, "-m", "pip", *arguments], env=environment)


def run(command: list[str], *, env: dict[str, str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def clean_environment() -> dict[str, str]:
    """This process's environment without what would lead to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MR_ML_"))}


def contents(wheel: Path) -> dict[str, str]:
    """Path -> sha256 of everything in a wheel but its own books and what was compiled where it was built."""
    with zipfile.ZipFile(wheel) as opened:
        names = [name for name in opened.namelist() if ".dist-info/" not in name and not name.endswith(".so")]
        return {name: hashlib.sha256(opened.read(name)).hexdigest() for name in names}


def test_the_wheel_holds_every_module_and_nothing_else(wheel: Path) -> None:
    expected = {
        f"{package}/{path.relative_to(CHECKOUT / folder).as_posix()}": hashlib.sha256(path.read_bytes()).hexdigest()
        for package, folder in FOLDERS.items()
        for path in (CHECKOUT / folder).rglob("*")
        if path.suffix in (".py", ".pyi", ".css", ".j2")
        or path.name == "py.typed"
        or path.name.endswith(".schema.json")
    }
    assert "mr_ml/py.typed" in expected
    assert contents(wheel) == expected


def test_names_that_others_may_want_stay_free(wheel: Path) -> None:
    assert {name.split("/")[0] for name in contents(wheel)} == set(FOLDERS)


def test_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        folder = next(name.split("/")[0] for name in opened.namelist() if ".dist-info/" in name)
        said = HeaderParser().parsestr(opened.read(f"{folder}/METADATA").decode())
        commands = opened.read(f"{folder}/entry_points.txt").decode()
        licenses = [name for name in opened.namelist() if re.fullmatch(rf"{folder}/(licenses/)?LICENSE", name)]
        assert [opened.read(name) for name in licenses] == [(CHECKOUT / "LICENSE").read_bytes()]
    assert said["Name"] in ("mr_ml", "mr-ml")
    assert said["Requires-Python"] == ">=3.11"
    assert said["License-Expression"] or said["License"] == "Apache-2.0"
    assert commands.split() == ["[console_scripts]", "mr-ml", "=", "mr_ml.cli:run"]
    needs = {re.sub(r"\s|'|\"", "", line) for line in said.get_all("Requires-Dist", [])}
    assert "mrjob==0.7.4" in needs
    # what mrjob imports and Python dropped
    assert any(re.fullmatch(r"setuptools>=[0-9.]+;python_version>=3\.12", line) for line in needs)
    assert any(re.fullmatch(r"standard-pipes>=[0-9.]+;python_version>=3\.13", line) for line in needs)


def test_the_compiled_loops_run_on_linux_of_2014(wheel: Path) -> None:
    """By the symbols of the C library that they need; `scripts/wheel.sh` gives the wheel that name."""
    with zipfile.ZipFile(wheel) as opened:
        if not any(name.endswith(".so") for name in opened.namelist()):
            pytest.skip("no C compiler: the wheel has no compiled loops")
    said = run([sys.executable, "-m", "auditwheel", "show", str(wheel)], env=clean_environment(), cwd=wheel.parent)
    assert "manylinux_2_17" in said


def test_the_source_distribution_makes_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    code = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    run([sys.executable, "-c", code, str(tmp_path)], env=clean_environment(), cwd=source)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    unpacked = tmp_path / archive.name.removesuffix(".tar.gz")
    for needed in ("README.md", "CHANGELOG.md", "docs/cli.md", "scripts/test.sh", "tests/test_packaging.py"):
        assert (unpacked / needed).is_file(), needed
    assert contents(build_wheel(unpacked, tmp_path / "wheel")) == contents(wheel)


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bin/ of a fresh virtual environment that has the wheel."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    pip("--python", str(folder / "bin" / "python"), "install", "--no-deps", str(wheel))
    (site,) = (folder / "lib").glob("python*/site-packages")
    # addsitedir runs the .pth files there, without which Python 3.12 has no distutils for mrjob; one of them may lead
    # to the checkout, which is where nothing may come from.
    places = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    lines = [f"import site; site.addsitedir({place!r})" for place in places]
    lines += ["import sys; sys.meta_path[:] = [f for f in sys.meta_path if '__editable__' not in f.__module__]"]
    (site / "zz_dependencies.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "bin"


def test_the_command_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    environment = clean_environment()
    said = run([str(installed / "mr-ml"), "--help"], env=environment, cwd=tmp_path)
    for command in ("pack", "describe", "train", "evaluate", "predict", "models", "runs"):
        assert re.search(rf"^ +{command}\b", said, re.MULTILINE), command
    code = "import hdfs_layout, mr_ml, mr_ml_jobs; print(hdfs_layout.__file__, mr_ml.__file__, mr_ml_jobs.__file__)"
    places = run([str(installed / "python"), "-c", code], env=environment, cwd=tmp_path).split()
    assert all(Path(place).is_relative_to(installed.parent) for place in places), places


def test_what_is_installed_packs_and_trains(installed: Path, tmp_path: Path) -> None:
    """Worker processes too must find the jobs without the checkout."""
    (tmp_path / "rows.libsvm").write_text("1 1:0.5 2:1\n0 1:-1\n1 2:2\n0 1:1 2:-1\n" * 5, encoding="ascii")
    command = str(installed / "mr-ml")
    environment = clean_environment()
    run([command, "pack", "rows.libsvm", "--to", "rows"], env=environment, cwd=tmp_path)
    train = [command, "train", "rows", "--model", "m", "--l2", "0.1", "-r", "local", "--workers", "2", "--json"]
    result = json.loads(run(train, env=environment, cwd=tmp_path).splitlines()[-1])
    assert result["converged"]
    assert (tmp_path / "mr_ml_data" / "models" / "m" / "v000001.json").is_file()
