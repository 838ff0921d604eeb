"""Retrainings on a root that is no folder. What takes jobs was done in one before, so that these take none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from commands import Commands, Outcome, copy
from daily import SETTINGS, Daily, day

import mr_ml
from hdfs_layout import LocalStore, Root, open_root, open_store
from mr_ml.catalog.promotions import read_promotions
from mr_ml.retraining import work

#: The night that is unfinished: its candidate is published and accepted, and waits to be promoted.
NIGHT = 5
TRAIN = "train: {loss: logistic, l2: 0.1, tolerance: 0.01}"
LEASE_SECONDS = 2
#: The log of promotions when that night is done.
PROMOTED_ONCE = [("adopt", None), ("promote", 1), ("promote", 2)]
HADOOP = "{name: hadoop, config: cluster.yaml}"
INLINE = "{name: inline}"

# How `mr-ml` begins in a process that waits or stops itself on the way.
_PROGRAM = """
import os, signal, sys
from hdfs_layout import owners
from mr_ml.cli import run
from mr_ml.retraining import work

def promote(*args, promote=work.promote, **more):
    if {before_promotion}:
        os.kill(os.getpid(), signal.SIGSTOP)
    return promote(*args, **more)

def reached(point):
    if point == {point!r}:
        print("there", flush=True)
        sys.stdin.read()

work.promote, work.reached = promote, reached
if {elsewhere}:
    owners.place = lambda: "another machine"
run()
"""


class Killed(BaseException):
    """As a kill: nothing that comes after it is done."""


@dataclass(frozen=True)
class FarNights:
    """Days and settings on this machine, and a root elsewhere.

    Attributes
    ----------
    daily
        The days, with the root on this machine of which the other one is a copy.
    uri
        Of the other root.
    runner
        What the settings say of it.
    """

    daily: Daily
    uri: str
    runner: str = HADOOP

    @property
    def root(self) -> Root:
        """The root elsewhere."""
        return open_root(self.uri)

    @property
    def settings(self) -> Path:
        """Settings with that root; days are read here, by the same paths as before."""
        return self.daily.folder / "far.yaml"

    def configure(self, *, location: str = "days/dt={date}", lease_seconds: float = LEASE_SECONDS) -> None:
        """Write the settings."""
        cluster = self.daily.folder / "cluster.yaml"
        cluster.write_text(f"python: {sys.executable}\npack_in_driver_mb: 0\n")
        text = settings().replace("root: root", f"root: {self.uri}").replace("days/dt={date}", location)
        lock = f"lock: {{lease_seconds: {lease_seconds}}}\n"
        self.settings.write_text(text.replace("{name: inline}", self.runner) + lock)

    def run(self, night: int = NIGHT, *options: str) -> Outcome:
        """Run the retraining of a night in this process."""
        return self._commands.run("retrain", self.settings, "--for", day(night), "--json", *options)

    def start(
        self, *, point: str | None = None, before_promotion: bool = False, elsewhere: bool = False, night: int = NIGHT
    ) -> subprocess.Popen[bytes]:
        """Start the retraining in a process of its own.

        Parameters
        ----------
        point
            It says so at this point of `mr_ml.retraining.work.POINTS`, and waits for the end of its input. Its lease is
            renewed meanwhile.
        before_promotion
            It stops itself, as by SIGSTOP, when it is about to promote, and has made sure that it holds the lock.
        elsewhere
            As if on another machine: from here it cannot be seen whether its process is gone.
        """
        program = _PROGRAM.format(point=point, before_promotion=before_promotion, elsewhere=elsewhere)
        return self._commands.start(
            "retrain", self.settings, "--for", day(night), "--json", program=("-c", program),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def actions(self) -> list[tuple[str, int | None]]:
        """The log of promotions."""
        entries, damaged = read_promotions(self.root, "ctr")
        assert not damaged
        return [(entry.action, entry.version) for entry in entries]

    def files(self, folder: str = "") -> dict[str, bytes]:
        """Files of the root, by path."""
        store = self.root.store
        return {path: store.read(path) for path in store.walk(folder)}

    def coefficients(self, version: int) -> bytes:
        """The file of a version's coefficients."""
        model = mr_ml.load_model(self.root, f"ctr@{version}")
        return self.root.store.read(model.manifest["coef"]["uri"])

    @property
    def _commands(self) -> Commands:
        return Commands(cast(Path, self.uri))


def settings() -> str:
    """Settings for this machine, with few passes."""
    return SETTINGS.replace("train: {loss: logistic, l2: 0.001}", TRAIN)


def unfinished_night(folder: Path) -> Daily:
    """A first model, and the next night up to the published candidate; on this machine."""
    daily = Daily(folder)
    folder.mkdir(parents=True)
    daily.configure(settings())
    daily.add(0, 7)
    daily.published(NIGHT - 1)

    def reached(point: str) -> None:
        if point == "published noted":
            raise Killed(point)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "reached", reached)
        with pytest.raises(Killed):
            mr_ml.retrain(daily.settings, last=day(NIGHT))
    return daily


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Daily:
    """The root on this machine, from which tests bring theirs elsewhere."""
    return unfinished_night(tmp_path_factory.mktemp("nights") / "daily")


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """What a test started, which does not outlive it."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def brought(daily: Daily, uri: str, *, lease_seconds: float = LEASE_SECONDS, runner: str = HADOOP) -> FarNights:
    """The same root elsewhere."""
    copy(LocalStore(str(daily.root)), open_store(uri))
    nights = FarNights(daily, uri, runner)
    nights.configure(lease_seconds=lease_seconds)
    return nights


def is_there(process: subprocess.Popen[bytes]) -> bool:
    """Wait until a process is at the point that it was given; False if it ended before."""
    assert process.stdout is not None
    return process.stdout.readline() == b"there\n"


def wait_until_stopped(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has stopped itself."""
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def ended(process: subprocess.Popen[bytes]) -> Outcome:
    """What a process left, which is let go on if it waits or was stopped."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=240)
    return Outcome(process.returncode, out.decode(), err.decode())


def all_ended(processes: Sequence[subprocess.Popen[bytes]]) -> list[Outcome]:
    """What processes left, of which the last is let go on when the others have ended."""
    deadline = time.monotonic() + 120
    while sum(process.poll() is None for process in processes) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [ended(process) for process in processes]
