"""Send the exception of a task to the driver: as JSON, and there as an error with an exit code.

Between worker processes and the driver it goes through a pipe. On a cluster it is a line of the job's output, with
`ERROR_KEY` as key: the driver has no other place to read the cause from that every cluster keeps and gives out.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Sequence

from hdfs_layout.faults import of_machine
from mr_ml import errors
from mr_ml.errors import InternalError, MrMlError

ERROR_KEY = b"!error"
_KINDS: dict[str, type[MrMlError]] = {name: getattr(errors, name) for name in errors.__all__}


def as_mr_ml_error(error: BaseException, *, where: str) -> MrMlError:
    """Turn what a task raised into an error with an exit code.

    Parameters
    ----------
    error : BaseException
        What it raised.
    where : str
        What to call the task in the message.

    Returns
    -------
    MrMlError
        The error itself if it is one, or what `hdfs_layout.faults` makes of a fault of the machine, with the traceback
        as a note; else an `InternalError` whose message ends with the traceback.
    """
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, MrMlError):
        error.add_note(f"Raised by {where}:\n{trace}")
        return error
    known = of_machine(error, what=f"{where} failed")
    if known is not None:
        known.add_note(trace)
        return known
    what = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, SystemExit):
        what = f"it called sys.exit({error.code!r}), expected it to return or to raise an error"
    return InternalError(f"{where} failed: {what}\n{trace}")


def encode(error: MrMlError) -> bytes:
    """Write an error as one line of JSON.

    One of a class that is not in `mr_ml.errors` becomes its nearest relative there, with the same message.
    """
    kind = next(base.__name__ for base in type(error).__mro__ if _KINDS.get(base.__name__) is base)
    return json.dumps([kind, str(error), getattr(error, "__notes__", [])]).encode()


def decode(line: bytes) -> MrMlError:
    """Undo `encode`: an error of the same kind with the same message and notes."""
    data: tuple[str, str, list[str]] = json.loads(line)
    kind, message, notes = data
    error = _KINDS.get(kind, InternalError)(message)
    for note in notes:
        error.add_note(note)
    return error


def first_error(pairs: Sequence[tuple[bytes, bytes]]) -> MrMlError | None:
    """Return the error among the pairs of a job's output, if there is one."""
    errors = sorted(value for key, value in pairs if key.startswith(ERROR_KEY))
    return decode(errors[0]) if errors else None
