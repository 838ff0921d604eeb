"""Make an archive of this Python's packages for the nodes of a cluster, perhaps with the Python itself.

What is in it: numpy and scipy with the libraries that their wheels bring, and pybase64 and zstandard where this machine
has them, without their tests; for tables what reads Parquet, ORC and Avro; with the interpreter also the standard
library (without its tests, Tk and package installer), the executable and Python's own shared library. What is not: the
C library and whatever else the operating system has (zlib, OpenSSL, libffi...), which the nodes must have in versions
that are not much older; mr_ml and mrjob, which go to the nodes as their code changes.

The same files make an archive of the same name: it is called by a hash of their names and contents.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import importlib.util
import io
import marshal
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError
from mr_ml.runners.hadoop.env import Environment, site_packages

NEEDED = ("numpy", "scipy")
WELCOME = ("pybase64", "zstandard")
# Distributions that read files of columns, and what of each tasks import.
TABLES = {"pyarrow": ("pyarrow.parquet", "pyarrow.orc"), "fastavro": ("fastavro",), "cramjam": ("cramjam",)}
_LEFT_OUT_FOLDERS = frozenset({"__pycache__", "tests", "test"})
_LEFT_OUT_SUFFIXES = (".pyc", ".pyi", ".h", ".a", ".lib", ".pxd", ".pyx")
# Of the standard library.
_LEFT_OUT_PACKAGES = frozenset(
    {"site-packages", "dist-packages", "ensurepip", "idlelib", "lib2to3", "tkinter", "turtledemo", "pydoc_data"}
)
# As every archive has it, so that equal content gives equal archives: the first second that zip files know.
_TIME = 315532800
# PEP 552: a hash instead of a time, which need not be checked.
_UNCHECKED = 1
_COMPRESSION = 6
# What tasks need of it; -S: nothing but what is in the archive.
_TRIAL = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "import numpy, scipy.sparse, scipy.special, scipy.linalg, scipy.sparse.linalg; "
    "assert numpy.ones((2, 2)) @ numpy.ones(2) @ scipy.special.expit(numpy.zeros(2)) == 2; "
    "import ctypes, importlib, mmap, subprocess, zlib; "
    "[importlib.import_module(name) for name in sys.argv[2:]]; "
    "print(numpy.__file__); print(zlib.__file__ if hasattr(zlib, '__file__') else subprocess.__file__)"
)
_TRIAL_SECONDS = 120


@dataclass(frozen=True)
class Archive:
    """An archive that is not made yet.

    Attributes
    ----------
    files
        Name in the archive -> file on this machine.
    packages
        Name -> version.
    """

    files: tuple[tuple[str, Path], ...]
    packages: tuple[tuple[str, str], ...]
    has_interpreter: bool
    has_shared_library: bool

    @cached_property
    def hash(self) -> str:
        """Of the content, and of the Python whose byte code goes along."""
        digest = hashlib.sha256(str(sys.implementation.cache_tag).encode())
        for name, path in self.files:
            data = path.read_bytes()
            digest.update(f"{name} {_mode(path):o} {len(data)}\n".encode())
            digest.update(hashlib.sha256(data).digest())
        return digest.hexdigest()[:32]

    def write(self, out: IO[bytes]) -> None:
        """Make it: a tar file, compressed by gzip."""
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0, compresslevel=_COMPRESSION) as compressed,
            tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name, path in self.files:
                data = path.read_bytes()
                _add(tar, name, data, mode=_mode(path))
                if name.endswith(".py"):
                    # tasks cannot write beside a source on a node: without this every task would compile all of it
                    code = _byte_code(name, data)
                    if code is not None:
                        _add(tar, importlib.util.cache_from_source(name, optimization=""), code, mode=0o644)

    def describe(self, *, n_bytes: int) -> Environment:
        """Describe the archive, which has so many bytes."""
        return Environment(
            hash=self.hash,
            python=python_version(),
            packages=dict(self.packages),
            has_interpreter=self.has_interpreter,
            has_shared_library=self.has_shared_library,
            bytes=n_bytes,
        )


def python_version() -> str:
    """Such as 3.11: packages for one do not work with another."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def collect(*, interpreter: bool, tables: bool = False) -> Archive:
    """Find the files.

    Parameters
    ----------
    interpreter
        Whether the Python itself goes along.
    tables
        Whether what this machine has to read Parquet, ORC and Avro goes along.

    Raises
    ------
    UsageError
        If a package is not installed in a way that says which files it has, or there is none for tables.
    """
    files: dict[str, Path] = {}
    packages = []
    for name in (*NEEDED, *WELCOME, *(TABLES if tables else ())):
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name not in NEEDED:
                continue
            raise UsageError(f"expected {name} beside {sys.executable}, found none; pip install {name}") from None
        packages.append((name, distribution.version))
        files.update(_of_distribution(distribution, name))
    if tables and not {"pyarrow", "fastavro"} & dict(packages).keys():
        raise UsageError(
            f"`tables`: expected pyarrow or fastavro beside {sys.executable}, found neither; pip install "
            "'mr_ml[columnar,avro]'"
        )
    library = None
    if interpreter:
        files.update(_of_interpreter())
        library = _shared_library()
        if library is not None:
            files[f"lib/{library.name}"] = library
    return Archive(tuple(sorted(files.items())), tuple(packages), interpreter, library is not None)


def _of_distribution(distribution: importlib.metadata.Distribution, name: str) -> Iterator[tuple[str, Path]]:
    files = distribution.files
    if not files:
        raise UsageError(
            f"expected a list of the files of {name}, found none: it was not installed by pip. Run mr-ml from a "
            "virtual environment that has it: python3 -m venv, pip install"
        )
    for file in files:
        parts = PurePosixPath(file).parts
        if parts[0] != ".." and _is_wanted(parts):
            path = Path(str(distribution.locate_file(file)))
            if path.is_file():
                yield f"{site_packages(python_version())}/{'/'.join(parts)}", path


def _is_wanted(parts: tuple[str, ...]) -> bool:
    return not _LEFT_OUT_FOLDERS & set(parts) and not parts[-1].endswith(_LEFT_OUT_SUFFIXES)


def _of_interpreter() -> Iterator[tuple[str, Path]]:
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    base |= {"installed_base": sys.base_prefix, "installed_platbase": sys.base_exec_prefix}
    for kind in ("stdlib", "platstdlib"):
        top = sysconfig.get_path(kind, vars=base)
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if _is_of_library(name)]
            for name in files:
                path = Path(folder, name)
                parts = path.relative_to(top).parts
                if _is_wanted(parts) and path.is_file():
                    yield f"lib/python{python_version()}/{'/'.join(parts)}", path
    yield "bin/python3", Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))


def _is_of_library(folder: str) -> bool:
    return not folder.startswith("config-") and folder not in _LEFT_OUT_PACKAGES | _LEFT_OUT_FOLDERS


def _shared_library() -> Path | None:
    """Python's own, where the executable is little more than a call of it."""
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return None
    name = str(sysconfig.get_config_var("INSTSONAME"))
    for folder in (sysconfig.get_config_var("LIBDIR"), os.path.join(sys.base_prefix, "lib")):
        path = Path(str(folder), name)
        if path.is_file():
            return path
    raise UsageError(f"expected Python's library {name} in {sys.base_prefix}/lib, found none; use another Python")


def _mode(path: Path) -> int:
    return 0o755 if os.access(path, os.X_OK) else 0o644


def _add(tar: tarfile.TarFile, name: str, data: bytes, *, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), mode, _TIME
    tar.addfile(entry, io.BytesIO(data))


def _byte_code(name: str, source: bytes) -> bytes | None:
    try:
        code = compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        # an example of something that is none, as some packages have them
        return None
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED.to_bytes(4, "little") + importlib.util.source_hash(source)
    return header + marshal.dumps(code)


def try_out(archive: Archive, file: IO[bytes]) -> None:
    """Unpack an archive elsewhere and import from it what tasks do.

    Raises
    ------
    UsageError
        If that fails: this Python cannot be moved, or a package reaches for files that are not its own.
    """
    with tempfile.TemporaryDirectory(prefix="mr_ml-env-") as name:
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:gz") as tar:
            tar.extractall(name, filter="fully_trusted")  # noqa: S202 - made by this process, modes included
        python = [f"{name}/bin/python3"] if archive.has_interpreter else [sys.executable]
        packages = f"{name}/{site_packages(python_version())}"
        modules = [module for name, _ in archive.packages for module in TABLES.get(name, ())]
        environment = {"PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1"}
        if archive.has_shared_library:
            environment["LD_LIBRARY_PATH"] = f"{name}/lib"
        done = subprocess.run(
            [*python, "-S", "-s", "-B", "-c", _TRIAL, packages, *modules],
            env=environment, capture_output=True, text=True, errors="replace", timeout=_TRIAL_SECONDS, check=False,
            cwd=name,
        )  # fmt: skip
        places = done.stdout.splitlines()
        own = places if archive.has_interpreter else places[:1]
        if done.returncode or not own or not all(place.startswith(name) for place in own):
            last = (done.stderr.strip().splitlines() or [done.stdout.strip()])[-1]
            raise UsageError(
                f"expected that what was archived works in another folder, found that it does not: {last[:500]}. Use a "
                "Python and packages as installed by pip, conda or uv"
            )
