"""The `hadoop` command on the driver's machine: find it, run one job with it, stop that job, say why it failed."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mr_ml.engine.hadoop_settings import HadoopSettings
from mr_ml.errors import InternalError, MrMlError, UnavailableError, UsageError

KILL_SECONDS = 60.0
_KEPT_LINES = 400
_SHOWN_LINES = 25
_APPLICATION = re.compile(r"\bapplication_[0-9]+_[0-9]+\b", re.ASCII)
_LOG_LINE = re.compile(r"(?:[0-9/:, -]+)?(?:DEBUG|INFO|WARN)\b", re.ASCII)
_JAVA_FRAME = re.compile(r"\s+(?:at [\w.$<>/]+\(|\.\.\. [0-9]+ more)", re.ASCII)
# How Hadoop's client says that it could not reach, or may not use, the cluster.
_UNAVAILABLE = re.compile(
    r"ConnectException|ConnectTimeoutException|NoRouteToHostException|SocketTimeoutException|UnknownHostException"
    r"|SafeModeException|StandbyException|Connection refused|RetriableException"
)
_SECONDS_TO_CONNECT = {
    # by default a client looks for a ResourceManager that does not answer for a quarter of an hour
    "yarn.resourcemanager.connect.max-wait.ms": "30000",
    "yarn.resourcemanager.connect.retry-interval.ms": "2000",
    "ipc.client.connect.max.retries": "5",
    "ipc.client.connect.max.retries.on.timeouts": "3",
}


@dataclass(frozen=True)
class HadoopClient:
    """Attributes
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
                "hadoop_home in the settings of --config"
            )
        changed = {"HADOOP_HOME": settings.hadoop_home, "HADOOP_CONF_DIR": settings.conf_dir}
        # what the client says is read for the application's id, whatever a site thinks worth logging
        changed["HADOOP_ROOT_LOGGER"] = "INFO,console"
        found = {**environment, **{name: value for name, value in changed.items() if value is not None}}
        return cls(os.path.abspath(given), settings.streaming_jar or _streaming_jar(given, environment), found)

    def run(self, arguments: Sequence[str]) -> None:
        """Run ``hadoop jar STREAMING_JAR arguments...`` to its end.

        Interrupted, it stops the application before it passes the interruption on.

        Raises
        ------
        UnavailableError
            If the cluster does not answer.
        InternalError
            If the job failed.
        """
        # a session of its own: Ctrl-C in the terminal would end this process before it says what it has started
        process = subprocess.Popen(
            [self.launcher, *arguments], env=dict(self.environment), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        said: deque[str] = deque(maxlen=_KEPT_LINES)
        applications: list[str] = []

        def listen() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line.rstrip("\n"))
                applications.extend(_APPLICATION.findall(line))

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            status = process.wait()
            listener.join()
        except BaseException:
            process.kill()
            process.wait()
            listener.join()
            if applications:
                self.stop(applications[-1])
            raise
        finally:
            assert process.stdout is not None
            process.stdout.close()
        if status:
            raise failure(list(said), application=applications[-1] if applications else None)

    def stop(self, application: str) -> None:
        """Kill a YARN application, if it still runs."""
        yarn = os.path.join(os.path.dirname(self.launcher), "yarn")
        command = [yarn, "application", "-kill", application]
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                command, env=dict(self.environment), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True, timeout=KILL_SECONDS, check=False,
            )  # fmt: skip


def connection_properties() -> dict[str, str]:
    """Properties by which a cluster that is not there is noticed within half a minute."""
    return dict(_SECONDS_TO_CONNECT)


def failure(said: Sequence[str], *, application: str | None) -> MrMlError:
    """What went wrong, from what the client said."""
    # the class path of the streaming jar's job and the progress lines explain nothing
    telling = [line for line in said if line.strip() and not _LOG_LINE.match(line) and not _JAVA_FRAME.match(line)]
    shown = "\n".join(telling[-_SHOWN_LINES:] or said[-_SHOWN_LINES:])
    if application is None and _UNAVAILABLE.search("\n".join(said)):
        return UnavailableError(
            f"the cluster did not take the job; is its ResourceManager running, and does HADOOP_CONF_DIR name the "
            f"cluster's configuration? Hadoop said:\n{shown}"
        )
    missing = next((line for line in telling if "Input path does not exist" in line), None)
    if missing is not None:
        return InternalError(f"Hadoop refused the job: {missing.strip()}")
    what = "the job" if application is None else f"the job ({application})"
    logs = "" if application is None else f"; its logs: `yarn logs -applicationId {application}`"
    return InternalError(f"{what} failed{logs}. Hadoop said:\n{shown}")


def _streaming_jar(launcher: str, environment: Mapping[str, str]) -> str:
    homes = [
        environment.get("HADOOP_MAPRED_HOME"),
        os.path.dirname(os.path.dirname(os.path.abspath(launcher))),
        os.path.dirname(os.path.dirname(os.path.realpath(launcher))),
        "/usr/lib/hadoop-mapreduce",
    ]
    for home in filter(None, homes):
        for folder in ("share/hadoop/tools/lib", ".", "lib", "contrib/streaming"):
            found = glob.glob(os.path.join(glob.escape(home), folder, "hadoop-streaming*.jar"))
            jars = sorted(jar for jar in found if not jar.endswith(("-sources.jar", "-tests.jar")))
            if jars:
                return os.path.abspath(jars[0])
    raise UsageError(
        f"expected hadoop-streaming-*.jar below {homes[1]}/share/hadoop/tools/lib, found none; name it as "
        "streaming_jar in the settings of --config"
    )
