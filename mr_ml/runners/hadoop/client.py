"""The `hadoop` command on the driver's machine: find it, run one job with it, stop that job, say why it failed."""

from __future__ import annotations

import ctypes
import glob
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Protocol

from hdfs_layout.dataclass import dataclass
from mr_ml import progress, spent
from mr_ml.errors import InternalError, UsageError
from mr_ml.runners.hadoop.said import failure, has_verdict, unavailable
from mr_ml.runners.hadoop.seen import JobSeen
from mr_ml.runners.hadoop.settings import HadoopSettings
from mr_ml.runners.hadoop.took import JobTook

# The client ends at once when asked to, unless it hangs; the commands that stop an application take some seconds.
END_SECONDS = 10.0
STOP_SECONDS = 30.0
# The client's own patience is the product of several numbers of retries. This is ours, while it says nothing else.
GONE_SECONDS = 45.0
KEPT_LINES = 400
_APPLICATION = re.compile(r"\bapplication_[0-9]+_[0-9]+\b", re.ASCII)
_LISTED = re.compile(r"^\s*(application_[0-9]+_[0-9]+)\s", re.ASCII | re.MULTILINE)
_SUCCEEDED = re.compile(r"^\s*Final-State : SUCCEEDED\s*$", re.ASCII | re.MULTILINE)
_RETRIES = re.compile(r"Retrying connect to server|retry\.RetryInvocationHandler|Retrying after sleeping", re.ASCII)


@dataclass
class Submission:
    """A job on its way.

    Attributes
    ----------
    tag
        Of its application, by which it is found if the client did not live to say its id.
    ended
        Whether surely nothing of it runs any more.
    """

    tag: str
    ended: bool = True
    _cancel: Callable[[], None] | None = None
    _is_cancelled: bool = False

    def cancel(self) -> None:
        """Have the client that runs it, in another thread, stop it and raise."""
        self._is_cancelled = True
        if self._cancel is not None:
            self._cancel()

    @property
    def is_cancelled(self) -> bool:
        """Whether it is to be stopped."""
        return self._is_cancelled

    def cancelled_by(self, cancel: Callable[[], None]) -> None:
        """Say how a client that runs it is told to stop it; called at once if it is cancelled already."""
        self._cancel = cancel
        if self._is_cancelled:
            cancel()


class JobClient(Protocol):
    """What hands a job to a cluster and waits for it."""

    def run(self, arguments: Sequence[str], submission: Submission) -> None:
        """Run Hadoop Streaming with these arguments to its end.

        Interrupted, also by SIGTERM or SIGHUP, or cancelled, it stops the job before it raises.

        Raises
        ------
        UnavailableError
            If the cluster does not answer, or is gone.
        InternalError
            If the job failed.
        """

    def stop(self, tag: str) -> bool:
        """Stop what carries the tag and still runs.

        Returns
        -------
        bool
            Whether none of it runs any more; False if nobody says so.
        """


@dataclass(frozen=True)
class HadoopClient:
    """The `hadoop` command of this machine, see `JobClient`.

    Attributes
    ----------
    launcher
        The `hadoop` command, absolute.
    streaming_jar
        Hadoop Streaming, on this machine.
    environment
        Of the command.
    """

    launcher: str
    streaming_jar: str
    environment: Mapping[str, str]

    @classmethod
    def find(cls, settings: HadoopSettings, environment: Mapping[str, str]) -> HadoopClient:
        """Find Hadoop by the settings, HADOOP_HOME or PATH.

        Raises
        ------
        UsageError
            If there is no `hadoop` command or no streaming jar.
        """
        home = settings.hadoop_home or environment.get("HADOOP_HOME")
        given = os.path.join(home, "bin", "hadoop") if home else shutil.which("hadoop", path=environment.get("PATH"))
        if given is None or not os.access(given, os.X_OK):
            raise UsageError(
                f"expected Hadoop's `hadoop` command as {given or 'hadoop on PATH'}, found none; set HADOOP_HOME, or "
                "hadoop_home in the settings of `config`"
            )
        changed = {"HADOOP_HOME": settings.hadoop_home, "HADOOP_CONF_DIR": settings.conf_dir}
        # what the client says is read for the application's id, whatever a site thinks worth logging
        changed["HADOOP_ROOT_LOGGER"] = "INFO,console"
        variables = {**environment, **{name: value for name, value in changed.items() if value is not None}}
        return cls(os.path.abspath(given), settings.streaming_jar or _streaming_jar(given, environment), variables)

    def run(self, arguments: Sequence[str], submission: Submission) -> None:
        """See `JobClient.run`; by ``hadoop jar STREAMING_JAR arguments...``, which does not outlive this process.

        Without a word on how the job ended, its application is stopped too.
        """
        with signals_interrupt(), ExitStack() as stack:
            # a session of its own: Ctrl-C in the terminal would end this process before it says what it has started
            process = subprocess.Popen(
                [self.launcher, "jar", self.streaming_jar, *arguments], env=dict(self.environment),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip
            submission.ended = False
            submission.cancelled_by(process.terminate)
            output: deque[str] = deque(maxlen=KEPT_LINES)
            applications: list[str] = []
            took = JobTook(time.monotonic())
            lost = threading.Event()
            stage = stack.enter_context(progress.stage("job on the cluster", unit="steps"))

            def listen() -> None:
                assert process.stdout is not None
                asks_since, seen = None, JobSeen()
                for line in process.stdout:
                    output.append(line.rstrip("\n"))
                    applications.extend(_APPLICATION.findall(line))
                    took.hear(line, time.monotonic())
                    now = seen.after(line)
                    if now is not seen:
                        seen = now
                        stage.tell(seen.text)
                    if not _RETRIES.search(line):
                        asks_since = None
                    elif asks_since is None:
                        asks_since = time.monotonic()
                    elif time.monotonic() - asks_since > GONE_SECONDS:
                        lost.set()
                        process.terminate()

            listener = threading.Thread(target=listen, daemon=True)
            listener.start()
            try:
                status = process.wait()
                listener.join()
            except BaseException:
                _end(process)
                listener.join()
                submission.ended = self.stop(submission.tag, applications[-1:])
                raise
            finally:
                assert process.stdout is not None
                process.stdout.close()
            if submission.is_cancelled and not has_verdict(output):
                _end(process)
                submission.ended = self.stop(submission.tag, applications[-1:])
                raise InternalError("the job was cancelled")
            if lost.is_set():
                # an application is left to a later run: no service answers that could stop it
                submission.ended = not applications
                raise unavailable(list(output), application=applications[-1] if applications else None)
            is_known = status == 0 or has_verdict(output)
            # a client that gives up by itself before it has an application has not submitted one
            submission.ended = (
                is_known or (status > 0 and not applications) or self.stop(submission.tag, applications[-1:])
            )
            if not is_known and self._succeeded(applications[-1:]):
                # the client lost sight of it, as it may when the application master begins anew on another node
                return
        if status:
            raise failure(list(output), application=applications[-1] if applications else None)
        took.tell(spent.current())

    def stop(self, tag: str, applications: Sequence[str] = ()) -> bool:
        """See `JobClient.stop`; kills the YARN applications given, or else those that have the tag."""
        if not applications:
            listed = self._yarn("application", "-list", "-appTags", tag)
            if listed is None:
                return False
            applications = sorted({match[1] for match in _LISTED.finditer(listed)})
        return not applications or self._yarn("application", "-kill", *applications) is not None

    def _succeeded(self, applications: Sequence[str]) -> bool:
        """Whether YARN says that all of them, one at least, ended well."""
        answers = [self._yarn("application", "-status", application) or "" for application in applications]
        return bool(answers) and all(map(_SUCCEEDED.search, answers))

    def _yarn(self, *arguments: str) -> str | None:
        """Run the `yarn` command beside the launcher; what it says on stdout, or None if it fails."""
        yarn = os.path.join(os.path.dirname(self.launcher), "yarn")
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                [yarn, *arguments], env=dict(self.environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True, errors="replace", start_new_session=True, timeout=STOP_SECONDS,
                check=False,
            )  # fmt: skip
            return done.stdout if done.returncode == 0 else None
        return None


def _end(process: subprocess.Popen[str]) -> None:
    """End the client; asked to, it removes what it has unpacked in its temporary folder."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP do what Ctrl-C does, unless they have another handler."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    changed = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _libc() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(None, use_errno=True) if hasattr(ctypes.CDLL(None), "prctl") else None
    except OSError:
        return None


# loaded before there is a child: between fork and exec only calls into it are safe
_LIBC = _libc()
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """In the child, before it becomes the client: Linux shall end it when this process is killed.

    Otherwise it would go on waiting, or even submit a job after the driver has ended.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def _streaming_jar(launcher: str, environment: Mapping[str, str]) -> str:
    homes = [
        environment.get("HADOOP_MAPRED_HOME"),
        os.path.dirname(os.path.dirname(os.path.abspath(launcher))),
        os.path.dirname(os.path.dirname(os.path.realpath(launcher))),
        "/usr/lib/hadoop-mapreduce",
    ]
    for home in filter(None, homes):
        for folder in ("share/hadoop/tools/lib", ".", "lib", "contrib/streaming"):
            matches = glob.glob(os.path.join(glob.escape(home), folder, "hadoop-streaming*.jar"))
            jars = sorted(jar for jar in matches if not jar.endswith(("-sources.jar", "-tests.jar")))
            if jars:
                return os.path.abspath(jars[0])
    raise UsageError(
        f"expected hadoop-streaming-*.jar below {homes[1]}/share/hadoop/tools/lib, found none; name it as "
        "streaming_jar in the settings of `config`"
    )
