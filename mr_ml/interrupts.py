"""Ctrl-C, SIGTERM and SIGHUP raise an exception inside a command, and nowhere else.

After `install`, signals are recorded and not raised. Within `heard` the first of them is raised as `Interrupted`, which
is a `KeyboardInterrupt`; within `uninterrupted` it waits for the end of the block. Later signals are ignored, so that
clean-up is not interrupted: it stops jobs on clusters, which would run on, and wrappers and terminals send the same
signal twice. One that comes `TWICE_SECONDS` later is from somebody who waits, and is told what for, once. Who cannot
wait has SIGQUIT, which nothing here touches.

Within `after_a_pass` the first Ctrl-C only asks: it is raised when the pass that runs is over and written down, or by a
second one that comes `TWICE_SECONDS` later. Other signals are raised at once: who sends them does not wait.

In a program that has not called `install` nothing here changes anything.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A second signal that comes sooner is the first one once more, passed on by a wrapper.
TWICE_SECONDS = 0.3
ENDING = (
    "is ending: it stops what it has started and removes what is half-written. Ctrl-\\ ends it at once, and leaves "
    "that to the next command"
)
ASKED = "stops after this pass; Ctrl-C once more stops at once"
# After an interrupt got lost in a place from which Python lets no exception out.
_AGAIN_SECONDS = 0.01


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _SignalState:
    """The signals that this process got, and whether one may be raised now; one object a process."""

    installed = False
    may_raise = False
    held = 0
    received = 0
    raised = False
    since = 0.0
    # whether somebody who sent one more was told that it is ending
    told = False
    # how many blocks wait for the end of a pass, and when one was asked for
    waiting = 0
    asked = 0.0
    # whether somebody looks at `is_asked` to say so
    is_shown = False
    # the run that this process is at work on
    run: str | None = None

    def receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.waiting and self.may_raise and not self.received:
            now = time.monotonic()
            if not self.asked:
                self.asked = now
                if not self.is_shown:
                    os.write(2, f"\nmr-ml: {ASKED}\n".encode("ascii"))
                return
            if now - self.asked < TWICE_SECONDS:
                return
        if not self.received:
            self.received, self.since = number, time.monotonic()
            self.raise_received()
        elif not self.told and time.monotonic() - self.since > TWICE_SECONDS:
            self.told = True
            os.write(2, f"\nmr-ml: {ENDING}\n".encode("ascii"))

    def raise_received(self) -> None:
        """Raise the signal that was received, if it may be raised now."""
        if self.received and self.may_raise and not self.held and not self.raised:
            self.raised = True
            raise Interrupted(self.received)

    def repeat(self, number: int, frame: FrameType | None) -> None:
        if self.held:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
        elif self.may_raise:
            raise Interrupted(self.received)


_state = _SignalState()


def install() -> None:
    """Take over the signals of this process, but for those that it was started to ignore, as by nohup."""
    _state.installed = True
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _state.receive)
    signal.signal(signal.SIGALRM, _state.repeat)
    before = sys.unraisablehook

    def hook(lost: sys.UnraisableHookArgs) -> None:
        if lost.exc_type is Interrupted:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
        else:
            before(lost)

    sys.unraisablehook = hook


def is_installed() -> bool:
    """Whether this process is a command of its own, whose signals are ours."""
    return _state.installed


def ignore() -> None:
    """Ignore signals from now on: nothing is left for them to end but the process, which ends anyhow."""
    if _state.installed:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def raised() -> int:
    """Return the number of the signal that was raised; 0 if none was."""
    return _state.received if _state.raised else 0


@contextmanager
def heard() -> Iterator[None]:
    """Raise signals within the block, and one that came before it."""
    _state.held, _state.may_raise = 0, True
    try:
        _state.raise_received()
        yield
    finally:
        _state.may_raise = False


@contextmanager
def after_a_pass() -> Iterator[None]:
    """Within the block Ctrl-C waits for `raise_if_asked`, or for the end of the block."""
    _state.waiting += 1
    try:
        yield
    finally:
        _state.waiting -= 1
    raise_if_asked()


def raise_if_asked() -> None:
    """Raise the Ctrl-C that waits for the end of a pass, if there is one."""
    if _state.asked and not _state.received:
        _state.received, _state.since = signal.SIGINT, time.monotonic()
        _state.raise_received()


class uninterrupted:
    """``with uninterrupted():`` a signal is raised at the end of the block, not in its middle. For what is short."""

    def __enter__(self) -> None:
        _state.held += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _state.held -= 1
        _state.raise_received()


def is_asked() -> bool:
    """Whether a Ctrl-C waits for the end of a pass."""
    return bool(_state.asked) and not _state.received


@contextmanager
def asking_shown() -> Iterator[None]:
    """Within the block somebody looks at `is_asked` and says so; else it is written to stderr at once."""
    _state.is_shown = True
    try:
        yield
    finally:
        _state.is_shown = False


def note_run(run: str | None) -> None:
    """Note which run this process is at work on, so that who interrupts it can be told how to go on; None for none."""
    _state.run = run


def noted_run() -> str | None:
    """Return the run that was noted last."""
    return _state.run


def see_through() -> None:
    """From here on no signal stops the command: it is about to make its result visible, and should say so."""
    _state.held += 1


@contextmanager
def stage() -> Iterator[None]:
    """Let `see_through` within the block count up to its end only: for commands that publish more than once."""
    before = _state.held
    try:
        yield
    finally:
        _state.held = before
        _state.raise_received()


@contextmanager
def blocked() -> Iterator[None]:
    """Keep the signals from this thread, and from processes that it starts for as long as they live."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
