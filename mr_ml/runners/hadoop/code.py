"""The Python code that a cluster's tasks run, as one zip file: nothing of ours need be installed on the nodes.

It holds mr_ml, its layout and jobs, mrjob and threadpoolctl, and is run by Python itself (``python3 CODE.zip``). Each
source comes with its byte code, which a Python of the driver's version takes and every other one ignores. What is
compiled cannot come this way: `mr_ml._native` is a file beside it, which a machine of another kind does without; numpy
and scipy are the nodes' own, or those of an environment (`mr_ml.runners.hadoop.env`).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import marshal
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from hdfs_layout import Root
from hdfs_layout.dataclass import dataclass

PACKAGES = ("hdfs_layout", "mr_ml", "mr_ml_jobs", "mrjob", "threadpoolctl")
# The driver's side, and what mrjob brings for other purposes.
LEFT_OUT = (
    "hdfs_layout/hdfs/",
    "hdfs_layout/s3/",
    "mr_ml/cli/",
    "mr_ml/runners/emr/",
    "mrjob/tools/",
    "mrjob/examples/",
    "mrjob/emr.py",
    "mrjob/dataproc.py",
    "mrjob/spark/",
)
MAIN = b"from mr_ml.runners.hadoop.task_main import main\n\nmain()\n"
# Zip files know no time before; the same for all, so that the same code gives the same file.
_EPOCH = (1980, 1, 1, 0, 0, 0)
# PEP 552: a hash instead of a time, which need not be checked.
_UNCHECKED = 1


@dataclass(frozen=True)
class Code:
    """What tasks on a cluster run.

    Attributes
    ----------
    sources
        By their names in the zip file.
    native
        File name and content of the compiled loops, if this process has them.
    """

    sources: tuple[tuple[str, bytes], ...]
    native: tuple[str, bytes] | None = None

    @cached_property
    def hash(self) -> str:
        """Of the content, and of the Python whose byte code goes along."""
        digest = hashlib.sha256(str(sys.implementation.cache_tag).encode())
        for name, source in self.sources:
            digest.update(f"{name} {len(source)}\n".encode() + source)
        return digest.hexdigest()[:32]

    def zipped(self) -> bytes:
        """Return the zip file."""
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as out:
            for name, source in self.sources:
                out.writestr(zipfile.ZipInfo(name, _EPOCH), source)
                out.writestr(zipfile.ZipInfo(name + "c", _EPOCH), _byte_code(name, source))
        return whole.getvalue()


def shipped_code() -> Code:
    """Return the code of this process's own packages."""
    sources = {"__main__.py": MAIN}
    for package in PACKAGES:
        sources.update(_sources(package))
    native = None
    with suppress(ImportError):
        path = Path(str(importlib.import_module("mr_ml._native").__file__))
        native = path.name, path.read_bytes()
    return Code(tuple(sorted(sources.items())), native)


def stored_code(root: Root) -> str:
    """Return the address of the zip file, which is in the store from now on."""
    code = shipped_code()
    path = root.layout.code(code.hash)
    if not root.store.exists(path):
        root.store.write(path, code.zipped())
    return root.store.uri(path)


def _sources(package: str) -> Iterator[tuple[str, bytes]]:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None:
        yield origin.name, origin.read_bytes()
        return
    for path in sorted(origin.parent.rglob("*.py")):
        name = f"{package}/{path.relative_to(origin.parent).as_posix()}"
        if not name.startswith(LEFT_OUT):
            yield name, path.read_bytes()


def _byte_code(name: str, source: bytes) -> bytes:
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED.to_bytes(4, "little") + importlib.util.source_hash(source)
    return header + marshal.dumps(compile(source, name, "exec", dont_inherit=True))
