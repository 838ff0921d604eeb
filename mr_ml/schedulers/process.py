"""Run `mr-ml retrain` as a process of a scheduler's task, and say what came of it.

A process and not a call: the command has the signals to itself, ends with a code, and may be that of another
environment than the scheduler's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import IO, Any

from hdfs_layout.dataclass import dataclass

# To end after SIGTERM; its own clean-up takes less.
PATIENCE_SECONDS = 60
# What is still in the pipe when the process has ended is read at once; whoever else holds the pipe is not waited for.
_REST_SECONDS = 5
# The result has every number of the gate.
_REASON_LINES = 20


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How `mr-ml retrain` ended.

    Attributes
    ----------
    exit_code
        128 + N after signal N, as shells have it.
    result
        The JSON object that it printed; empty if it printed none.
    last_lines
        What it said last.
    """

    exit_code: int
    result: Mapping[str, Any] = field(default_factory=dict)
    last_lines: tuple[str, ...] = ()

    @property
    def published(self) -> bool:
        """Whether the window's model is promoted: the exit code and the result say so."""
        return self.exit_code == 0 and self.result.get("outcome") == "published"

    @property
    def refused(self) -> bool:
        """Whether the gate refused the candidate."""
        return self.exit_code == 3 and self.result.get("outcome") == "refused"

    @property
    def summary(self) -> dict[str, Any]:
        """What other tasks may want to know: few plain values."""
        names = ("model", "window", "outcome", "version", "promoted", "dataset", "run", "forced", "repeated")
        decision = self.result.get("decision") or {}
        failed = [check for check in decision.get("checks", ()) if not check["passed"]]
        return {
            **{name: self.result.get(name) for name in names},
            "accepted": decision.get("accepted"),
            "reasons": [f"{check['name']}: expected {check['expected']}, found {check['found']}" for check in failed],
        }

    @property
    def message(self) -> str:
        """Why it failed or was refused."""
        said = self.result.get("message") or "\n".join(self.last_lines) or "it said nothing"
        if self.exit_code == 0:
            said = f"expected a result whose outcome is published, found {self.result.get('outcome')!r}. {said}"
        return f"mr-ml retrain ended with code {self.exit_code}: {said}"


class RetrainProcess:
    """One run of `mr-ml retrain`.

    Parameters
    ----------
    config
        Absolute path of the settings, a `retrain.yaml`.
    window
        The last day of the window, as `--for` takes it; None for the newest window.
    executable
        The mr-ml to run; by default that of this Python's environment.
    environment
        Variables beside those of this process.

    Raises
    ------
    ValueError
        If `config` is no absolute path: what a scheduler's working folder is, nobody knows.
    """

    def __init__(
        self,
        config: str | os.PathLike[str],
        *,
        window: str | None = None,
        executable: str | os.PathLike[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not os.path.isabs(config):
            raise ValueError(f"`config`: expected an absolute path of settings, found {os.fspath(config)!r}")
        chosen = Path(sys.executable).with_name("mr-ml") if executable is None else executable
        self.command = [os.fspath(chosen), "retrain", os.fspath(config), "--json"]
        if window is not None:
            self.command.append(f"--for={window}")
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self, say: Callable[[str], None]) -> Ended:
        """Run it to its end.

        If an exception cuts this short, such as that of a time limit, the process gets SIGTERM and is waited for.

        Parameters
        ----------
        say
            Called with each line of what it says, by another thread.

        Raises
        ------
        OSError
            If it cannot be started.
        """
        last_lines: deque[str] = deque(maxlen=_REASON_LINES)
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, env=self._environment
            )
            assert process.stderr is not None
            reader = threading.Thread(target=_pass_on, args=(process.stderr, say, last_lines), daemon=True)
            reader.start()
            try:
                self._process = process
                if self._stopped:
                    process.terminate()
                code = process.wait()
            except BaseException:
                _end(process)
                raise
            reader.join(_REST_SECONDS)
            output.seek(0)
            result = _last_object(output.read())
        return Ended(exit_code=code if code >= 0 else 128 - code, result=result, last_lines=tuple(last_lines))

    def stop(self) -> None:
        """Have it end, by SIGTERM, and do not wait: `run` does. Also a handler of signals may call this."""
        # first, so that one which is just being started is stopped too
        self._stopped = True
        if self._process is not None:
            self._process.terminate()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        # a later run goes on all the same
        process.kill()
        process.wait()


def _pass_on(lines: IO[bytes], say: Callable[[str], None], last_lines: deque[str]) -> None:
    with lines:
        for line in lines:
            text = line.decode(errors="backslashreplace").rstrip()
            last_lines.append(text)
            say(text)


def _last_object(output: bytes) -> dict[str, Any]:
    """Return the JSON object that is the last line; an empty one if there is none."""
    try:
        found = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
