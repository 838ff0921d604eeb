"""Spark's part of the driver: a process of Java's, started by ``spark-submit`` and ended with the command.

What it needs and says is in one folder, which is removed with it: its configuration (which may hold secrets, so it is
in no command line), its log, its temporary files.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import MrMlError, UnavailableError, UsageError
from mr_ml.runners.variables import set_within

_POLL_SECONDS = 0.05
_END_SECONDS = 10.0
_LOG_BYTES = 1 << 16
_SHOWN_LINES = 8
_CONNECTION = "connection"
# Versions of class files: Java's own is 44 less.
_CLASS_FILE = re.compile(r"class file version (\d+)")
_CLASSES_SINCE = 44
_JAVA_FRAME = re.compile(r"\s+at [\w.$<>/]+\(|\s+\.\.\. [0-9]+ more", re.ASCII)
_CHATTER = re.compile(
    r"WARNING: |Picked up |Setting default log level|Using Spark's default log4j|To adjust logging level"
    r"|.*\b(?:INFO|WARN)\b"
)


@dataclass
class Java:
    """A process that runs.

    Attributes
    ----------
    process
        It, not the shell that started it.
    port, secret
        By which pyspark talks to it.
    folder
        Its files.
    """

    process: subprocess.Popen[bytes]
    port: int
    secret: str
    folder: Path

    @classmethod
    def start(
        cls, folder: Path, *, spark_home: str, properties: Mapping[str, str], environment: Mapping[str, str]
    ) -> Java:
        """Start it, with the site's configuration and these properties.

        Raises
        ------
        UsageError
            If there is no Java, or one that is too old.
        UnavailableError
            If it does not start.
        """
        _write_configuration(folder / "conf", spark_home, environment, properties)
        info, log = folder / _CONNECTION, folder / "log"
        variables = {
            **environment,
            "SPARK_HOME": spark_home,
            "SPARK_CONF_DIR": str(folder / "conf"),
            "SPARK_CONNECT_MODE": "0",
            "_PYSPARK_DRIVER_CONN_INFO_PATH": str(info),
        }
        for name in ("SPARK_LOCAL_DIRS", "PYSPARK_SUBMIT_ARGS", "SPARK_REMOTE"):
            variables.pop(name, None)
        try:
            with open(log, "wb") as out:
                # a session of its own: Ctrl-C in the terminal ends it by way of this process; and it ends by itself
                # when its standard input does
                process = subprocess.Popen(
                    [f"{spark_home}/bin/spark-submit", "pyspark-shell"], cwd=folder, env=variables,
                    stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            raise UsageError(
                f"expected Spark's `spark-submit` as {spark_home}/bin/spark-submit, and it does not run: "
                f"{error.strerror}; name a distribution of Spark as spark_home in the settings of `config`, or leave "
                "it and SPARK_HOME out"
            ) from error
        try:
            while not info.exists():
                if process.poll() is not None:
                    raise _not_started(_said(log), environment)
                time.sleep(_POLL_SECONDS)
            port, secret = _connection(info.read_bytes())
            return cls(process, port, secret, folder)
        except BaseException:
            _end(process)
            raise

    def has_ended(self, *, within: float = 0.0) -> bool:
        """Whether it has ended by itself, or does so in so many seconds."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(within)
        return self.process.returncode is not None

    def said(self) -> str:
        """Return the last that it said that explains something."""
        return _said(self.folder / "log")

    def end(self, *, at_once: bool) -> None:
        """End it; `at_once`, not by itself after its last work."""
        if not at_once:
            with suppress(OSError):
                assert self.process.stdin is not None
                self.process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_END_SECONDS)
        _end(self.process)

    def named(self) -> AbstractContextManager[None]:
        """Within the block, pyspark finds this process."""
        return set_within({"PYSPARK_GATEWAY_PORT": str(self.port), "PYSPARK_GATEWAY_SECRET": self.secret})


def _connection(info: bytes) -> tuple[int, str]:
    """Read what the process writes when it listens: a port, and a secret with its length before it."""
    port, length = struct.unpack(">ii", info[:8])
    return port, info[8 : 8 + length].decode()


def _write_configuration(
    folder: Path, spark_home: str, environment: Mapping[str, str], properties: Mapping[str, str]
) -> None:
    """Copy the site's configuration and add properties, which win."""
    site = Path(environment.get("SPARK_CONF_DIR") or f"{spark_home}/conf")
    folder.mkdir(mode=0o700)
    if site.is_dir():
        for path in sorted(site.iterdir()):
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
    with open(folder / "spark-defaults.conf", "a", encoding="utf-8") as out:
        out.write("\n")
        for name, value in properties.items():
            escaped = value.replace("\\", "\\\\")
            out.write(f"{name}={escaped}\n")


def _said(log: Path) -> str:
    with suppress(OSError), open(log, "rb") as source:
        source.seek(max(log.stat().st_size - _LOG_BYTES, 0))
        lines = source.read().decode(errors="replace").splitlines()
        telling = [line for line in lines if line.strip() and not _JAVA_FRAME.match(line) and not _CHATTER.match(line)]
        return "\n".join(dict.fromkeys(telling[-_SHOWN_LINES:]))
    return ""


def _not_started(said: str, environment: Mapping[str, str]) -> MrMlError:
    home = environment.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java", path=environment.get("PATH"))
    if java is None or not os.access(java, os.X_OK):
        return UsageError(
            f"Spark needs Java: expected it as {java or 'java on PATH'}, found none; install a JDK or JRE 17, and set "
            "JAVA_HOME"
        )
    versions = [int(version) - _CLASSES_SINCE for version in _CLASS_FILE.findall(said)]
    if versions:
        return UsageError(
            f"Spark needs Java {max(versions)} or later, found {java}, which is older; install a newer one, and set "
            "JAVA_HOME"
        )
    return UnavailableError(f"Spark's part of the driver did not start, with {java}. It said:\n{said}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it has started beside itself."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    process.wait()
