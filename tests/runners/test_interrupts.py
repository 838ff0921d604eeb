"""When a signal is raised, and when it waits; each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = str(Path(__file__).parents[2])
START = """
    import os, signal, sys
    from mr_ml import interrupts
    from mr_ml.interrupts import Interrupted, heard, see_through, uninterrupted
    def send(number=signal.SIGTERM):
        os.kill(os.getpid(), number)
    interrupts.install()
"""


def run(program: str, *, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(START) + textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("where", ["before", "within", "held", "twice"])
def test_is_raised_where_it_is_heard(where: str) -> None:
    said = run(f"""
        where = {where!r}
        if where == "before":
            send()
        try:
            with heard():
                print("in")
                if where == "within":
                    send()
                if where == "held":
                    with uninterrupted():
                        send()
                        print("held")
                if where == "twice":
                    try:
                        send()
                    finally:
                        send(signal.SIGINT)
                        print("cleaned up")
                print("not reached")
        except Interrupted as error:
            print(int(error.number), int(interrupts.raised()))
    """)
    before = {"before": "", "within": "in\n", "held": "in\nheld\n", "twice": "in\ncleaned up\n"}[where]
    assert said == f"{before}{int(signal.SIGTERM)} {int(signal.SIGTERM)}\n"


def test_is_not_raised_once_the_end_is_decided_or_outside() -> None:
    said = run("""
        with heard():
            see_through()
            send()
            print("seen through")
        send()
        print(interrupts.raised())
    """)
    assert said == "seen through\n0\n"


def test_is_raised_again_if_it_got_lost() -> None:
    """Python lets no exception out of a destructor."""
    run(
        """
        class Lost:
            def __del__(self):
                send()
        try:
            with heard():
                Lost()
                while True:
                    pass
        except Interrupted:
            sys.exit(3)
    """,
        code=3,
    )


@pytest.mark.parametrize("apart", [0.0, 60.0], ids=["by-hand", "by-a-wrapper"])
def test_clean_up_is_not_interrupted_by_who_insists(apart: float) -> None:
    """However often and by whatever signal; who sends them is told once, unless they come as if from a wrapper."""
    done = subprocess.run(
        [
            sys.executable, "-c", textwrap.dedent(START) + textwrap.dedent(f"""
            interrupts.TWICE_SECONDS = {apart}
            try:
                with heard():
                    try:
                        send(signal.SIGINT)
                    finally:
                        for number in (signal.SIGINT, signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                            send(number)
                        print("cleaned up", flush=True)
            except Interrupted as error:
                sys.exit(128 + error.number)
            """),
        ],
        env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (130, "cleaned up\n")
    assert done.stderr.count("mr-ml: is ending") == (1 if apart == 0.0 else 0)
    assert ("Ctrl-\\ ends it at once" in done.stderr) == (apart == 0.0)


def test_who_cannot_wait_has_another_signal() -> None:
    run(
        """
        # ignored by what a script starts in the background
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
        with heard(), uninterrupted():
            send()
            send(signal.SIGQUIT)
            print("not reached")
    """,
        code=-signal.SIGQUIT,
    )


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("send(signal.SIGINT); print('goes on'); interrupts.raise_if_asked(); print('no')", "in\ngoes on\n2\n"),
        ("send(signal.SIGINT); print('goes on')", "in\ngoes on\n2\n"),
        ("send(signal.SIGINT); send(signal.SIGINT); print('no')", "in\n2\n"),
        ("send(signal.SIGTERM); print('no')", "in\n15\n"),
        ("send(signal.SIGINT); send(signal.SIGTERM); print('no')", "in\n15\n"),
        ("interrupts.raise_if_asked(); print('goes on')", "in\ngoes on\nout\n"),
    ],
    ids=["at-the-end-of-a-pass", "at-the-end-of-all", "twice", "another", "another-after-it", "none"],
)
def test_waits_for_the_end_of_a_pass(how: str, said: str) -> None:
    assert said == run(f"""
        interrupts.TWICE_SECONDS = 0.0
        try:
            with heard():
                print("in")
                with interrupts.after_a_pass():
                    {how}
                print("out")
        except Interrupted as error:
            print(int(error.number))
    """)
