"""What the programs of this folder share: their command line, and how figures are written."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


def parsed(
    doc: str | None, run: Callable[..., Figures], warm_up: Callable[[Path], None], *, default: int, **more: Any
) -> None:
    """Run a program of this folder by its command line; print its figures as JSON. Exit code 1 if there are faults."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("n", nargs="?", type=int, default=default)
    parser.add_argument("folder", nargs="?", help="a folder to work in, on a file system in memory if it is to be fast")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", help="write the figures to this file too")
    for name, text in more.items():
        parser.add_argument(f"--{name}", help=text)
    options = parser.parse_args()
    folder = Path(options.folder or tempfile.mkdtemp(prefix="mr_ml-soak-")).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    warm_up(folder / "warm-up")
    began = time.monotonic()
    extra = {name: value for name in more if (value := getattr(options, name)) is not None}
    found = run(options.n, folder / "trials", seed=options.seed, **extra)
    found["seconds"] = round(time.monotonic() - began, 1)
    text = json.dumps(found, indent=1, default=str)
    print(text)
    if options.json:
        Path(options.json).write_text(text + "\n")
    sys.exit(1 if found["faults"] else 0)
