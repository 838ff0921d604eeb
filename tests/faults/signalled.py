"""Run `mr-ml` as its console script does, and send a signal to its whole group of processes at a chosen instant.

    python signalled.py N SIGNAL COUNTS COMMAND...

Instants are what Python tells auditors of (imports, files opened, made, moved and removed, programs started...),
counted from where `run` takes over the signals. With N = 0 nothing happens but that the file COUNTS tells how many
there were.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from mr_ml import cli, interrupts

if __name__ == "__main__":
    instant, name, counts, *sys.argv[1:] = sys.argv[1:]
    count, driver = 0, os.getpid()

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        global count
        count += 1
        if count == int(instant) and os.getpid() == driver:
            os.killpg(0, signal.Signals[name])

    def install_and_watch() -> None:
        install()
        sys.addaudithook(watch)

    install, interrupts.install = interrupts.install, install_and_watch
    try:
        cli.run()
    finally:
        if counts:
            with open(counts, "w") as file:
                file.write(str(count))
