"""The command line, `mr-ml`.

Every command prints its result on stdout (with --json: one JSON object as the last line) and everything else on
stderr. Exit codes are those of `mr_ml.errors`.
"""

from __future__ import annotations

import gc
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from mr_ml.errors import InternalError, MrMlError, StorageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    # before numpy is loaded: nothing here uses more BLAS threads than one, so none need be started
    os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    if sys.version_info < (3, 12) and "_distutils_hack" in sys.modules:
        # mrjob imports distutils: the standard library's loads much faster than the copy that setuptools puts before it
        sys.modules["_distutils_hack"].remove_shim()
    from mr_ml.cli.parser import make_parser

    options = make_parser().parse_args(argv)
    if getattr(options, "runner", None) == "local":
        # workers load their modules while this process loads its own
        from mr_ml.engine.workers import prepare

        # of all tasks only those of one loss need this, which takes longer to load than all the rest
        extra = ["scipy.special"] if getattr(options, "loss", None) == "softmax" else []
        prepare([*options.worker_modules, *extra])
    try:
        # imported only when chosen: help should be instant
        return int(options.command_module()(options) or 0)
    except MrMlError as error:
        print(printable(f"mr-ml: {error}"), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("mr-ml: interrupted; nothing half-written is visible", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return StorageError.exit_code
    except OSError as error:
        print(printable(f"mr-ml: {error}"), file=sys.stderr)
        return StorageError.exit_code
    except Exception:
        traceback.print_exc()
        print("mr-ml: this is a defect of mr-ml; please report what stands above", file=sys.stderr)
        return InternalError.exit_code


def run() -> NoReturn:
    """The console script: run one command and end."""
    code = main()
    # Python would look through all that was imported once more before it ends, which takes longer than most commands
    gc.freeze()
    sys.exit(code)


def printable(text: str) -> str:
    """Escape what a terminal would obey: names of files and labels come from others."""
    return re.sub(r"[^\t\n\x20-\x7e\xa0-\U0010ffff]|[\ud800-\udfff]", lambda found: ascii(found[0])[1:-1], text)
