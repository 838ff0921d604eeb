"""Servers that speak the protocol of S3, on loopback: two independent ones, each for the whole session.

`versitygw_server` is Versity's gateway before a folder: fast, atomic, checks signatures. It is built once, by
``go install``, into ``${XDG_CACHE_HOME:-~/.cache}/mr_ml``; where there is no Go its tests are skipped, visibly.
`moto_server` is moto in a process of its own: slower, and it believes everybody; it also plays other services of AWS.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

VERSITYGW = "v1.8.0"
ACCESS_KEY, SECRET_KEY = "test-key", "test-secret-of-nobody"
REGION = "us-east-1"
_SECONDS_TO_START = 120


@dataclass(frozen=True, kw_only=True)
class S3Server:
    """A running server.

    Attributes
    ----------
    name : str
    endpoint : str
        http://127.0.0.1:PORT
    pid : int
        Of the server itself.
    """

    name: str
    endpoint: str
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        """AWS_* variables for this server; no file of this machine's user says anything."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def use(self, patch: pytest.MonkeyPatch) -> None:
        """Have this process, and those that it starts, ask this server and no other."""
        use_aws(patch, self.environment)

    def client(self, service: str = "s3") -> Any:
        """A client that is not the product's."""
        return _client(self.endpoint, service)

    def bucket(self) -> str:
        """Name of a new bucket."""
        name = f"test-{uuid.uuid4().hex}"
        self.client().create_bucket(Bucket=name)
        return name


@functools.cache
def _client(endpoint: str, service: str) -> Any:
    # half a second each
    import boto3
    from botocore.config import Config

    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    config = Config(s3={"addressing_style": "path"})
    return boto3.session.Session(**keys, region_name=REGION).client(service, endpoint_url=endpoint, config=config)


def use_aws(patch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Have exactly these AWS_* variables in the environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in environment.items():
        patch.setenv(name, value)


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """Moto, with conditional requests one at a time."""
    pytest.importorskip("moto")
    command = [sys.executable, str(Path(__file__).with_name("moto_process.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = process.stdout.readline().decode().strip()
        assert port, "moto's server has not begun"
        yield S3Server(name="moto", endpoint=f"http://127.0.0.1:{port}", pid=process.pid)
        process.stdin.close()


@pytest.fixture(scope="session")
def versitygw_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Versity's gateway before an empty folder."""
    program = _versitygw()
    place = tmp_path_factory.mktemp("versitygw")
    for name in ("data", "users"):
        (place / name).mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(program), "--port", f"127.0.0.1:{port}", "--keep-alive", "--quiet", "--region", REGION]
    command += ["--iam-dir", str(place / "users"), "posix", str(place / "data")]
    environment = {**os.environ, "ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    # ends with its standard input, also when the tests are killed outright
    keeper = ["sh", "-c", '"$@" >log 2>&1 & echo $!; cat; kill $!; wait', "sh", *command]
    with subprocess.Popen(keeper, cwd=place, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        _wait_for(port, place / "log")
        yield S3Server(name="versitygw", endpoint=f"http://127.0.0.1:{port}", pid=pid)
        process.stdin.close()


def _wait_for(port: int, log: Path) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except OSError:
            if time.monotonic() > end:
                pytest.fail(f"versitygw does not listen:\n{log.read_text(errors='replace')}", pytrace=False)
            time.sleep(0.05)


def _versitygw() -> Path:
    """The program, which is built if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mr_ml" / "versitygw"
    program = cache / VERSITYGW / "versitygw"
    if program.exists():
        return program
    go = shutil.which("go")
    if go is None:
        pytest.skip("no versitygw: it is built by Go, which is not installed (on Debian: apt-get install golang)")
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test process may build it
        if not program.exists():
            building = cache / "building"
            package = f"github.com/versity/versitygw/cmd/versitygw@{VERSITYGW}"
            done = subprocess.run(
                [go, "install", "-trimpath", "-ldflags=-s -w", package],
                env={**os.environ, "GOBIN": str(building)},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                pytest.fail(f"could not build versitygw {VERSITYGW}:\n{done.stderr}", pytrace=False)
            building.rename(program.parent)
    return program
