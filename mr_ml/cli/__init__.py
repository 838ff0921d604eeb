"""The command line, `mr-ml`.

Every command prints its result on stdout (with --json: one JSON object as the last line) and everything else on
stderr. Exit codes are those of `mr_ml.errors`, and 128 + N after signal N.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
from contextlib import suppress

from hdfs_layout.faults import check_address_space, of_machine
from mr_ml import interrupts
from mr_ml.errors import InternalError, MrMlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_BY_SIGNAL = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "ended by SIGTERM",
    signal.SIGHUP: "ended by SIGHUP, as when a terminal is closed",
}
# Made while there is memory: it is needed to say that there is none.
_OBEYED = re.compile(
    r"[^\t\n\x20-\x7e\xa0-\U0010ffff]|[\ud800-\udfff]"
    # letters that are not seen, and hide or reorder what stands beside them, as in `mr_ml/reports/visible.py`
    r"|[\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001-\U000e007f]"
)


# The command that goes on with what was interrupted.
_go_on: list[str] = []


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    # before numpy is loaded: nothing here uses more BLAS threads than one, so none need be started
    os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    _go_on.clear()
    try:
        with interrupts.heard():
            return _command(argv)
    except SystemExit:
        raise
    except BaseException as error:
        return _failed(error)


def _command(argv: Sequence[str] | None) -> int:
    if sys.version_info < (3, 12) and "_distutils_hack" in sys.modules:
        # mrjob imports distutils: the standard library's loads much faster than the copy that setuptools puts before it
        sys.modules["_distutils_hack"].remove_shim()
    from mr_ml.cli.parser import make_parser, parser_for

    if "_ARGCOMPLETE" in os.environ:
        from mr_ml.cli.completion import complete

        complete(make_parser())
    words = sys.argv[1:] if argv is None else list(argv)
    options = parser_for(words).parse_args(words)
    check_address_space()
    # imported only when chosen: help should be instant
    command = options.command_module()
    if getattr(options, "runner", None) is not None:
        from mr_ml.cli.rows import modules_for
        from mr_ml.runners.base import RUNNERS

        RUNNERS.get(options.runner).prepare(modules_for(options))
    from mr_ml.cli.progress_choice import shown

    try:
        with shown(options):
            return int(command(options) or 0)
    finally:
        run = interrupts.noted_run()
        if interrupts.raised() and run is not None:
            from mr_ml.cli.going_on import command_to_go_on

            _go_on.append(command_to_go_on(options, run))


def _failed(error: BaseException) -> int:
    """Say what ended the command; returns the exit code."""
    number = interrupts.raised() or (signal.SIGINT if isinstance(error, KeyboardInterrupt) else 0)
    if number:
        # whatever came of it on the way here
        _say(f"{_BY_SIGNAL[signal.Signals(number)]}; nothing half-written is visible")
        for command in _go_on:
            _say(f"go on with: {command}")
        return 128 + number
    if isinstance(error, BrokenPipeError):
        # the reader of our output has closed it
        return 128 + signal.SIGPIPE
    known = error if isinstance(error, MrMlError) else of_machine(error)
    if known is not None:
        from mr_ml.cli.spelling import spelled

        _say(spelled(str(known)))
        return known.exit_code
    with suppress(OSError):
        import traceback

        traceback.print_exception(error)
    _say("this is a defect of mr-ml; please report what stands above")
    return InternalError.exit_code


def _say(text: str) -> None:
    with suppress(OSError):
        print(printable(f"mr-ml: {text}"), file=sys.stderr, flush=True)


def run() -> NoReturn:
    """Run one command and end the process with its exit code; the console script."""
    interrupts.install()
    _open_standard_files()
    for stream in (sys.stdout, sys.stderr):
        # a terminal that lacks a letter of a label
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    code = _written_out(code)
    interrupts.ignore()
    # Python would look through all that was imported once more before it ends, which takes longer than most commands
    gc.freeze()
    sys.exit(code)


def _open_standard_files() -> None:
    """If one of them is closed, the next file would get its number, and what a library says would go into data.

    Python has None for it, which no code expects.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _written_out(code: int) -> int:
    """Write out what is left of our output; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            # Python would try once more, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if stream is sys.stdout and not code:
                code = _failed(error)
    return code


def printable(text: str) -> str:
    """Escape what a terminal would obey, and what hides or reorders letters: names and labels come from others."""
    return _OBEYED.sub(lambda match: ascii(match[0])[1:-1], text)
