"""Run `mr-ml` and kill this very process at a chosen instant: before its n-th change of a file below the root.

    python dying_driver.py N SIGNAL COUNTS AT_STAKE COMMAND...

N counts what the driver asks of the file system: making, syncing, renaming, linking and removing files and folders
below the root, or below the folder that its URI names. With N = 0 nothing happens but that the file COUNTS tells how
many there were. A negative N waits -N milliseconds from the first of them on. AT_STAKE is how many seconds of passes
may go without a checkpoint: 0 makes one after each.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from mr_ml.catalog import checkpoints
from mr_ml.cli import main

CHANGES = ("fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir")


class Countdown:
    def __init__(self, root: str, instant: int, number: int) -> None:
        self.root, self.instant, self.number = root, instant, number
        self.count = 0

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            places = [os.readlink(f"/proc/self/fd/{args[0]}")] if function.__name__ == "fsync" else args
            if any(map(self.is_ours, places)):
                self.count += 1
                if self.count == self.instant:
                    self.die()
                if self.count == 1 and self.instant < 0:
                    threading.Timer(-self.instant / 1000, self.die).start()
            return function(*args, **kwargs)

        return watched

    def is_ours(self, place: Any) -> bool:
        return isinstance(place, (str, os.PathLike)) and os.fspath(place).startswith(self.root)

    def die(self) -> None:
        os.kill(os.getpid(), self.number)


if __name__ == "__main__":
    instant, number, counts, at_stake, *command = sys.argv[1:]
    checkpoints.AT_STAKE_SECONDS = float(at_stake)
    root = command[command.index("--root") + 1].rpartition("://")[2]
    countdown = Countdown(root, int(instant), signal.Signals[number])
    for name in CHANGES:
        setattr(os, name, countdown.watch(getattr(os, name)))
    code = main(command)
    if counts:
        with open(counts, "w") as file:
            file.write(str(countdown.count))
    sys.exit(code)
