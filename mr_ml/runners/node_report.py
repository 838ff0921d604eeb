"""What a machine offers to tasks: its Python and packages, memory, processors, and whether its arithmetic is the same.

Also runs by itself, as the source of a program, on machines where nothing of ours may be importable: so it imports the
standard library only, and everything else within a ``try``.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import shutil
import socket
import sys
from typing import Any

CODE_NAME = "mr_ml.zip"
# What passes run: it imports all that tasks need.
JOB = "mr_ml_jobs.pass_job"
PACKAGES = ("numpy", "scipy")
_MIB = 1 << 20
_CONNECT_SECONDS = 5.0
# So Hadoop Streaming hands properties of the job to tasks.
_CONTAINER_MB = "mapreduce_map_memory_mb"


def report(driver: tuple[str, int] | None = None) -> dict[str, Any]:
    """Look at this process and its machine, and whether a host and port can be reached from here.

    Returns
    -------
    dict
        ``host``, ``python``, ``executable``, ``machine``; ``packages`` (name -> version, or null) and ``failures``
        (name -> why it cannot be imported); ``job_failure``, why the jobs cannot be; ``native``, whether the compiled
        loops are used; ``bits``, a digest of what the arithmetic gives; ``memory_mb`` of the machine,
        ``container_mb`` that the cluster allows (null: its default), ``cores``, ``disk_free_mb``; ``unreached``, why
        the driver was not reached (null: it was, or nobody tried).
    """
    packages: dict[str, str | None] = {}
    failures: dict[str, str] = {}
    for name in PACKAGES:
        try:
            packages[name] = str(importlib.import_module(name).__version__)
        except Exception as error:
            packages[name], failures[name] = None, _in_words(error)
    job_failure, native = _try_job()
    return {
        "host": platform.node(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "machine": f"{platform.machine()} {'-'.join(platform.libc_ver())}".strip(),
        "packages": packages,
        "failures": failures,
        "job_failure": job_failure,
        "native": native,
        "bits": None if failures else _bits(),
        "memory_mb": _memory_mb(),
        "container_mb": _positive(os.environ.get(_CONTAINER_MB)),
        "cores": len(os.sched_getaffinity(0)),
        "disk_free_mb": shutil.disk_usage(".").free // _MIB,
        "unreached": None if driver is None else _unreached(*driver),
    }


def _try_job() -> tuple[str | None, bool]:
    try:
        importlib.import_module("mr_ml.runners.hadoop.task_main").prepare()
        importlib.import_module(JOB)
        return None, importlib.import_module("mr_ml.data.kernels").native is not None
    except Exception as error:
        return _in_words(error), False


def _bits() -> str:
    """Return a digest of results whose last bits differ between versions of the libraries, and between processors."""
    import numpy as np
    from scipy import sparse, special

    x = np.linspace(-30, 30, 4099)
    a = (np.arange(61 * 67) * 0.7310585 % 1.7 - 0.8).reshape(61, 67)
    rows = sparse.csr_matrix(np.where(a > 0.3, a, 0))
    results = [np.exp(x), np.log1p(np.exp(-np.abs(x))), special.expit(x), special.log_expit(x), np.tanh(x)]
    results += [a @ a.T, a.T @ x[:61], rows @ x[:67], rows.T @ x[:61], np.sqrt(np.abs(x)), np.add.reduce(a, axis=0)]
    digest = hashlib.sha256()
    for array in results:
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()[:16]


def _unreached(host: str, port: int) -> str | None:
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        return _in_words(error)
    return None


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MIB
    except (ValueError, OSError):
        return None


def _positive(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and int(text) > 0 else None


def _in_words(error: Exception) -> str:
    """Shorten an import's error; numpy's goes on for pages, of which the last line has the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    words = lines[0] if len(lines) == 1 else lines[-1]
    return f"{type(error).__name__}: {words[:300]}"


def main() -> None:
    """Print the report as one line of JSON."""
    # numpy's libraries read these once, when they are loaded
    os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    sys.path.insert(0, CODE_NAME)
    driver = (sys.argv[1], int(sys.argv[2])) if sys.argv[1:] else None
    print(json.dumps(report(driver)))


if __name__ == "__main__":
    main()
