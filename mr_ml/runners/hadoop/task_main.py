"""One task of a job on a cluster: what the shipped archive runs, as ``python3 CODE.zip MODULE CLASS --mapper ...``.

What a task raises travels to the driver as a line of the job's output, see `mr_ml.runners.task_errors`, and the task
ends as if all were well. Errors that another attempt could avoid are first left to Hadoop, which tries again; the last
attempt reports.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping

import mr_ml
from mr_ml.errors import InternalError, MrMlError
from mr_ml.runners import task_errors
from mr_ml.runners.reduce_keys import sent_to
from mr_ml.runners.removed_modules import provide_dropped
from mr_ml.runners.task_errors import ERROR_KEY

_CHUNK_BYTES = 1 << 20
# Application masters of a second attempt number the attempts of their tasks from 1000 on.
_ATTEMPTS_OF_A_MASTER = 1000


def main() -> None:
    """Run the task that the command line names."""
    # numpy's libraries read these once, when they are loaded
    os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    prepare()
    module, name, *arguments = sys.argv[1:]
    errors: list[bytes] = []
    lines = _without_errors(sys.stdin.buffer, errors) if "--reducer" in arguments else sys.stdin.buffer
    try:
        job = getattr(importlib.import_module(module), name)(arguments)
        job.sandbox(stdin=lines, stdout=sys.stdout.buffer, stderr=sys.stderr.buffer)
        job.execute()
    except Exception as error:
        traceback.print_exc()
        if not _is_final(error, os.environ):
            raise SystemExit(1) from error
        errors.append(encode_error(error, where=_where(os.environ)))
        # Hadoop would take a closed pipe for a failure
        while sys.stdin.buffer.read(_CHUNK_BYTES):
            pass
    key = _error_key(os.environ)
    sys.stdout.buffer.write(b"".join(key + b"\t" + line + b"\n" for line in errors))
    sys.stdout.buffer.flush()


def prepare() -> None:
    """Replace modules that Python has removed, and find the compiled loops, which are stored beside the code."""
    provide_dropped()
    mr_ml.__path__.append(os.getcwd())


def _without_errors(lines: Iterable[bytes], errors: list[bytes]) -> Iterator[bytes]:
    """Yield the lines of a reduce task's input; the errors of map tasks among them are put aside."""
    for line in lines:
        key, _, value = line.rstrip(b"\n").partition(b"\t")
        if key.startswith(ERROR_KEY):
            errors.append(value)
        else:
            yield line


def _error_key(environment: Mapping[str, str]) -> bytes:
    """Return the key of errors; those of map tasks go to the last reduce task, whose output every driver reads."""
    n_reducers = int(environment.get("mapreduce_job_reduces", "0"))
    if environment.get("mapreduce_task_ismap") != "true" or not n_reducers:
        return ERROR_KEY
    return sent_to(ERROR_KEY, n_reducers - 1, n_reducers=n_reducers)


def _is_final(error: Exception, environment: Mapping[str, str]) -> bool:
    if isinstance(error, MrMlError | ImportError | SyntaxError):
        return True
    attempt = environment.get("mapreduce_task_attempt_id", "").rpartition("_")[2]
    kind = "map" if environment.get("mapreduce_task_ismap") == "true" else "reduce"
    most = environment.get(f"mapreduce_{kind}_maxattempts", "1")
    return not attempt.isdecimal() or int(attempt) % _ATTEMPTS_OF_A_MASTER >= int(most) - 1


def _where(environment: Mapping[str, str]) -> str:
    place = environment.get("mapreduce_map_input_file")
    task = environment.get("mapreduce_task_attempt_id", "a task")
    return f"{task} on {os.uname().nodename}" + (f" (input {place})" if place else "")


def encode_error(error: Exception, *, where: str) -> bytes:
    """Write an exception as one line of JSON, see `mr_ml.runners.task_errors`."""
    if isinstance(error, ImportError):
        what = "".join(traceback.format_exception_only(error)).strip()
        described: MrMlError = InternalError(
            f"{where} failed: {what}. Expected Python 3.11 or later with numpy and scipy on every node, found "
            f"{sys.executable} {sys.version.split()[0]}; name another in the settings of `config`, as `python`, or "
            "bring this machine's packages there: `mr-ml env build`. `mr-ml env check` looks at the nodes"
        )
    elif isinstance(error, FileNotFoundError):
        # what the job brought along and is not there tells of a defect
        what = "".join(traceback.format_exception(error))
        described = InternalError(f"{where} failed: {what}")
    else:
        described = task_errors.as_mr_ml_error(error, where=where)
    return task_errors.encode(described)
