"""Steps that really run, without Hadoop: what Hadoop Streaming does with a job, in processes here.

A file is a map task, whole, or each few of its lines where the job says so. Maps write what `-mapper` says to lines,
keys are partitioned by Hadoop's hash and sorted by their bytes, and the output lies on S3 in files part-00000 and so
on. Shuffles are lists in memory; nothing is tried again.
"""

from __future__ import annotations

import fnmatch
import gzip
import os
import re
import shlex
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent import Agent, Outcome

from hdfs_layout import Store, open_store
from mr_ml.runners.reduce_keys import hash_of

_OPTION = re.compile(r"-[a-zA-Z]+")
_TICK_SECONDS = 0.1
_LINES = "mapreduce.input.lineinputformat.linespermap"


class CancelledError(Exception):
    """The step is to end."""


@dataclass
class StreamingSteps:
    """Runs steps, for an agent.

    Attributes
    ----------
    done
        The words of each step that ran.
    """

    done: list[list[str]] = field(default_factory=list)

    def __call__(self, agent: Agent, cluster: Any, step: Any) -> Outcome:
        self.done.append(list(step.args))
        if step.args[0] != "hadoop-streaming":
            return "COMPLETED", {}
        with tempfile.TemporaryDirectory() as folder:
            job = _Job(step.args[1:], Path(folder), lambda: agent.is_cancelled(cluster, step))
            try:
                failed = job.run()
            except CancelledError:
                return "CANCELLED", {}
        if failed is None:
            return "COMPLETED", {}
        if cluster.log_uri:
            store, path = _file(f"{cluster.log_uri.rstrip('/')}/{cluster.id}/steps/{step.id}/stderr.gz")
            store.write(path, gzip.compress(failed))
        return "FAILED", {"Reason": "Unknown Error."}


def _file(uri: str) -> tuple[Store, str]:
    bucket, _, path = uri.partition("://")[2].partition("/")
    return open_store(f"s3://{bucket}"), path


class _Job:
    """One job, in a folder of its own."""

    def __init__(self, words: list[str], folder: Path, is_cancelled: Any) -> None:
        self.folder, self._is_cancelled = folder, is_cancelled
        self.options: dict[str, list[str]] = {}
        for name, value in zip(words[::2], words[1::2], strict=True):
            assert _OPTION.fullmatch(name), words
            self.options.setdefault(name, []).append(value)
        self.properties = dict(item.split("=", 1) for item in self.options.get("-D", ()))
        n_reducers = int(self.properties.get("mapreduce.job.reduces", "1"))
        self.n_reducers = n_reducers if "-reducer" in self.options else 0

    def run(self) -> bytes | None:
        """Run it to its end; what a task said that failed."""
        self._localize()
        pairs: list[tuple[bytes, bytes]] = []
        for number, (name, content) in enumerate(self._inputs()):
            fed = {"input.file": name, "input.start": "0", "input.length": str(len(content))}
            place = {f"mapreduce.map.{key}": value for key, value in fed.items()}
            ended = content + b"\n" * (not content.endswith(b"\n"))
            status, out, err = self._task("map", number, self._word("-mapper"), ended if content else b"", place)
            if status:
                return err
            found = list(map(self._pair, out.splitlines()))
            if self.n_reducers:
                pairs += found
            else:
                self._leave(number, found)
        if self.n_reducers:
            parts: list[list[tuple[bytes, bytes]]] = [[] for _ in range(self.n_reducers)]
            for key, value in pairs:
                parts[hash_of(key) % self.n_reducers].append((key, value))
            for number, part in enumerate(parts):
                # of one key the values come in any order
                fed_lines = b"".join(
                    key + b"\t" + value + b"\n" for key, value in sorted(part, key=lambda pair: pair[0])
                )
                status, out, err = self._task("reduce", number, self._word("-reducer"), fed_lines, {})
                if status:
                    return err
                self._leave(number, map(self._pair, out.splitlines()))
        return None

    def _word(self, option: str) -> str:
        (word,) = self.options[option]
        return word

    def _localize(self) -> None:
        for item in filter(None, ",".join(self.options.get("-files", ())).split(",")):
            uri, _, name = item.partition("#")
            store, path = _file(uri)
            (self.folder / name).write_bytes(store.read(path))
        for item in filter(None, ",".join(self.options.get("-archives", ())).split(",")):
            uri, _, name = item.partition("#")
            store, path = _file(uri)
            (self.folder / f"{name}.packed").write_bytes(store.read(path))
            with tarfile.open(self.folder / f"{name}.packed") as archive:
                archive.extractall(self.folder / name, filter="data")

    def _inputs(self) -> Iterator[tuple[str, bytes]]:
        for given in self.options["-input"]:
            store, pattern = _file(given)
            names = store.walk(pattern.rpartition("/")[0])
            matching = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
            assert matching, f"Input path does not exist: {given}"
            for name in matching:
                uri = f"{given.partition('://')[0]}://{given.partition('://')[2].partition('/')[0]}/{name}"
                yield from ((uri, content) for content in self._cut(store.read(name)))

    def _cut(self, content: bytes) -> list[bytes]:
        if not self.options.get("-inputformat", [""])[0].endswith(".NLineInputFormat"):
            return [content]
        lines, n = content.splitlines(keepends=True), int(self.properties[_LINES])
        return [b"".join(lines[first : first + n]) for first in range(0, len(lines), n)]

    def _pair(self, line: bytes) -> tuple[bytes, bytes]:
        if "stream.num.map.output.key.fields" in self.properties:
            return line, b""
        key, _, value = line.partition(b"\t")
        return key, value

    def _leave(self, number: int, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        separator = self.properties.get("mapreduce.output.textoutputformat.separator", "\t").encode()
        store, path = _file(f"{self._word('-output').rstrip('/')}/part-{number:05d}")
        store.write(path, b"".join(key + separator + value + b"\n" for key, value in pairs))

    def _task(
        self, kind: str, number: int, command: str, fed: bytes, place: Mapping[str, str]
    ) -> tuple[int, bytes, bytes]:
        told = {
            **self.properties, **place, "mapreduce.task.ismap": str(kind == "map").lower(),
            "mapreduce.task.attempt.id": f"attempt_1_0001_{kind[0]}_{number:06d}_0",
            "mapreduce.map.maxattempts": "1", "mapreduce.reduce.maxattempts": "1",
        }  # fmt: skip
        environment = {re.sub("[^A-Za-z0-9]", "_", name): value for name, value in told.items()}
        environment |= dict(item.split("=", 1) for item in self.options.get("-cmdenv", ()))
        # nothing of this process: not its Python path, no credentials
        environment |= {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with (
            open(self.folder / "fed", "wb+") as source,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            source.write(fed)
            source.seek(0)
            with subprocess.Popen(
                shlex.split(command), cwd=self.folder, env=environment, stdin=source, stdout=out, stderr=err
            ) as process:
                while process.poll() is None:
                    if self._is_cancelled():
                        process.kill()
                        raise CancelledError
                    try:
                        process.wait(_TICK_SECONDS)
                    except subprocess.TimeoutExpired:
                        continue
            for file in (out, err):
                file.seek(0)
            return process.returncode, out.read(), err.read()
