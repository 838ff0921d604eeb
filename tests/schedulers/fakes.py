"""Programs that stand for mr-ml: they note their arguments, say and print what they are told, and end with a code.

And the examples of the documents.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "schedulers.md"

SCRIPT = """\
#!{python} -IS
import json, os, signal, subprocess, sys
with open({calls!r}, "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
def say(text):
    os.write(2, text.encode() + b"\\n")
{body}
"""

PUBLISHED = {
    "model": "ctr", "window": "2026-11-26", "outcome": "published", "version": 7, "promoted": 7, "message": "promoted",
    "decision": {"accepted": True, "checks": []},
}  # fmt: skip
CHECKS = [
    {"name": "rows", "passed": True, "expected": "many", "found": "many", "numbers": {}},
    {"name": "auc", "passed": False, "expected": "0.7", "found": "0.5", "numbers": {}},
]
REFUSED = {
    **PUBLISHED, "outcome": "refused", "promoted": 6, "message": "ctr@7 refused",
    "decision": {"accepted": False, "checks": CHECKS},
}  # fmt: skip
# until somebody wants it to end
WAIT = """\
def ended(number, frame):
    say("ended by a signal")
    os._exit(143)
signal.signal(signal.SIGTERM, ended)
say("ready")
while True:
    signal.pause()
"""


@dataclass(frozen=True)
class Fake:
    """A program at `path`."""

    path: Path

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of each time it was run."""
        text = self.path.with_suffix(".calls").read_text() if self.path.with_suffix(".calls").exists() else ""
        return [json.loads(line) for line in text.splitlines()]


def fake(path: Path, body: str) -> Fake:
    """Make a program of Python's statements."""
    path.write_text(SCRIPT.format(python=sys.executable, calls=str(path.with_suffix(".calls")), body=body))
    path.chmod(0o755)
    return Fake(path)


def ending(code: int, result: dict[str, Any] | None = None) -> str:
    """Return statements that say why, print a result where there is one, and end with a code."""
    shown = "" if result is None else f"print('a table\\n' + json.dumps({result!r}))\n"
    return f"say('mr-ml: why it is {code}')\n{shown}sys.exit({code})\n"


def documented(name: str) -> str:
    """Return the example of docs/schedulers.md, a block of Python, that uses a name."""
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if name in block]
    return str(found)
