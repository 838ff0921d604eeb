"""A Python for tasks that stops before it begins, so that a test can break something while the task runs."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

# Announces its attempt with its process id, waits to be let through, and becomes the task.
_PROGRAM = """#!{python}
import os, sys, time
attempt = os.environ["mapreduce_task_attempt_id"].split("_", 3)[3]
with open("{folder}/.at-" + attempt, "w") as out:
    out.write(f"{{os.getpid()}} {{os.environ['LOCAL_DIRS']}}")
os.rename("{folder}/.at-" + attempt, "{folder}/at-" + attempt)
while not any(os.path.exists("{folder}/" + name) for name in ("open", "pass-" + attempt)):
    time.sleep(0.05)
os.execv("{python}", ["{python}", *sys.argv[1:]])
"""


@dataclass(frozen=True)
class Gate:
    """Where attempts of tasks wait; they are named by what follows the job's id, such as ``m_000000_0``."""

    folder: Path

    @classmethod
    def build(cls, folder: Path) -> Gate:
        folder.mkdir()
        gate = cls(folder)
        gate.python.write_text(_PROGRAM.format(python=sys.executable, folder=folder), encoding="utf-8")
        gate.python.chmod(0o755)
        return gate

    @property
    def python(self) -> Path:
        """What to give as `python` in the settings."""
        return self.folder / "python"

    def process_of(self, attempt: str) -> int:
        """The process id of an attempt that waits, or 0."""
        return int((self._note(attempt) or "0").split()[0])

    def node_of(self, attempt: str) -> str:
        """The name of the NodeManager that started a waiting attempt."""
        return next(part for part in Path(self._note(attempt).split()[1]).parts if part.startswith("nodemanager-"))

    def waiting(self) -> list[str]:
        return sorted(path.name.removeprefix("at-") for path in self.folder.glob("at-*"))

    def let_through(self, attempt: str) -> None:
        (self.folder / f"pass-{attempt}").touch()

    def open(self) -> None:
        """Let all through, also those to come."""
        (self.folder / "open").touch()

    def close(self) -> None:
        """Stop all from now on, of the next job."""
        for path in self.folder.iterdir():
            if path != self.python:
                path.unlink()

    def _note(self, attempt: str) -> str:
        try:
            return (self.folder / f"at-{attempt}").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
