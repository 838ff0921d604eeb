"""How the exception of a task travels to the driver: as an error with an exit code, whatever was raised."""

from __future__ import annotations

import pickle
import traceback
from contextlib import suppress

from hdfs_layout.faults import of_machine
from mr_ml.errors import InternalError, MrMlError


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
    """Write an error for another process of the same program.

    One that does not survive pickling, say because its constructor wants something else than a message, becomes its
    nearest relative in `mr_ml.errors`, with the same message.
    """
    with suppress(Exception):
        encoded = pickle.dumps(error)
        twin = decode(encoded)
        if type(twin) is type(error) and str(twin) == str(error):
            return encoded
    relative = next(base for base in type(error).__mro__ if base.__module__ == MrMlError.__module__)
    return pickle.dumps(relative(str(error)))


def decode(encoded: bytes) -> MrMlError:
    """Undo `encode`; only for bytes that this program itself has just written."""
    error = pickle.loads(encoded)  # noqa: S301 - written by our own worker, through a pipe that nobody else holds
    assert isinstance(error, MrMlError)
    return error
