"""Jobs on a Hadoop cluster: one ``hadoop jar`` each, and nothing else of Hadoop's is started on this machine.

What a job needs and leaves lies below the root, and goes through the store:

    env/code-<hash>.zip          the code, uploaded when it is not there yet
    tmp/request-<id>/request     what to do, which tasks get by -files; removed
    tmp/output-<id>/             the output; read and removed

mrjob's hadoop runner makes the command line. Its own file system, uploads, clean-up and search of logs, each of which
starts Java several times, are not used.
"""

from __future__ import annotations

import logging
import os
import uuid
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from hdfs_layout import Layout, NotFoundError, Store
from mr_ml.engine.hadoop_client import HadoopClient, connection_properties
from mr_ml.engine.hadoop_code import shipped_code
from mr_ml.engine.hadoop_settings import HadoopSettings
from mr_ml.engine.jobs import JobInput, Pair, pair_of
from mr_ml.engine.local_runner import only_from
from mr_ml.engine.task_main import first_error
from mr_ml.errors import InternalError, StorageError, UnavailableError, UsageError

with warnings.catch_warnings():
    # mrjob imports modules that Python has deprecated, or dropped, since mrjob's last release.
    warnings.simplefilter("ignore", DeprecationWarning)
    from mrjob.hadoop import HadoopJobRunner as MrjobHadoopRunner

RUNNER = "hadoop"
CODE_NAME = "mr_ml.zip"
REQUEST_NAME = "request"
# Only to tell mrjob that properties have their names of Hadoop 2 and later.
_HADOOP_VERSION = "3.0.0"
_INTERPRETED = frozenset("*?[]{}\\,#% ")


@dataclass(frozen=True)
class HadoopJobRunner:
    """Runs jobs on the cluster that the settings, HADOOP_HOME and HADOOP_CONF_DIR name.

    Attributes
    ----------
    store, layout
        Of a root on the cluster's HDFS.
    """

    store: Store
    layout: Layout
    settings: HadoopSettings

    def __post_init__(self) -> None:
        if self.store.local_path("") is not None:
            raise UsageError(
                f"-r hadoop needs a root on HDFS; found {self.store.root}. Give --root hdfs:///user/NAME/mr_ml; "
                "`hadoop fs -put` brings a root there as a whole"
            )
        if found := sorted(_INTERPRETED & set(self.store.root)):
            raise UsageError(
                f"Hadoop's jobs read {' '.join(found)} in a path as something else; found the root {self.store.root}"
            )

    @cached_property
    def _client(self) -> HadoopClient:
        return HadoopClient.find(self.settings, os.environ)

    @cached_property
    def _code_uri(self) -> str:
        """The shipped code, in the store from now on."""
        code = shipped_code()
        path = self.layout.code(code.hash)
        if not self.store.exists(path):
            self.store.write(path, code.zipped())
        return self.store.uri(path)

    def run(
        self, job: Any, *, request: bytes, input: JobInput, n_reducers: int | None = None,
        properties: Mapping[str, str] = MappingProxyType({}),
    ) -> list[Pair]:  # fmt: skip
        """As `JobRunner.run`; with `properties` of Hadoop, not for the settings to change."""
        if not input.uris():
            return []
        output = self.layout.job(f"output-{uuid.uuid4().hex}")
        try:
            self.produce(job, request=request, input=input, output=output, n_reducers=n_reducers, properties=properties)
            parts = [f"{output}/{name}" for name in self.store.list(output) if name.startswith("part-")]
            pairs = [pair_of(line) for part in parts for line in self.store.read(part).splitlines()]
        except NotFoundError:
            raise InternalError(f"the job left no output in {self.store.uri(output)}; run it again") from None
        finally:
            self._forget(output)
        error = first_error(pairs)
        if error is not None:
            raise error
        return pairs

    def produce(
        self, job: Any, *, request: bytes, input: JobInput, output: str, n_reducers: int | None = None,
        properties: Mapping[str, str] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """Run the job class and leave its output, part-00000 and so on, in the folder `output` of the store.

        Parameters
        ----------
        n_reducers
            By default what the settings say; none if the job has no reducer.
        properties
            Of Hadoop; not for the settings to change.

        Raises
        ------
        UnavailableError
            If the cluster does not answer.
        InternalError
            If the job failed. What tasks raised is in the output, see `mr_ml.engine.task_main`.
        """
        folder = self.layout.job(f"request-{uuid.uuid4().hex}")
        path = f"{folder}/{REQUEST_NAME}"
        maps_only = "reducer" not in vars(job)
        reduces = 0 if maps_only else self.settings.reducers if n_reducers is None else n_reducers
        chosen = {
            **connection_properties(), **self.settings.properties(input_bytes=input.n_bytes), **_PROPERTIES,
            "mapreduce.job.reduces": str(reduces), **properties,
        }  # fmt: skip
        try:
            self.store.write(path, request)
            files = {REQUEST_NAME: self.store.uri(path), CODE_NAME: self._code_uri}
            arguments = ["-r", RUNNER, "--no-conf", "--request", self.store.uri(path)]
            arguments += ["--output-dir", self.store.uri(output)]
            for name, value in chosen.items():
                arguments += ["--jobconf", f"{name}={value}"]
            made = job([*arguments, *input.uris()])
            command = [*self.settings.python.split(), CODE_NAME, job.__module__, job.__qualname__]
            with only_from(logging.ERROR, "mrjob"):
                runner = _StreamingRunner(client=self._client, files=files, command=command, **made._runner_kwargs())
                runner.run()
        finally:
            self._forget(folder)

    def _forget(self, path: str) -> None:
        with suppress(StorageError, UnavailableError):
            self.store.remove_tree(path)


_PROPERTIES = {
    # what is read back is text, whatever the cluster does by default
    "mapreduce.output.fileoutputformat.compress": "false",
    "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}


class _StreamingRunner(MrjobHadoopRunner):  # type: ignore[misc]
    """mrjob's runner for the command line of one streaming job; files by URI, the task's command given."""

    def __init__(
        self, *, client: HadoopClient, files: Mapping[str, str], command: Sequence[str], **kwargs: Any
    ) -> None:
        self._client = client
        self._files = files
        self._command = list(command)
        super().__init__(**kwargs)

    @classmethod
    def _default_opts(cls) -> dict[str, Any]:
        unused = {"bootstrap_mrjob": False, "check_input_paths": False, "read_logs": False}
        return {**super()._default_opts(), **unused}

    def get_hadoop_version(self) -> str:
        return _HADOOP_VERSION

    def get_hadoop_bin(self) -> list[str]:
        return [self._client.launcher]

    def get_hadoop_streaming_jar(self) -> str:
        return self._client.streaming_jar

    def _upload_args(self) -> list[str]:
        return ["-files", ",".join(f"{uri}#{name}" for name, uri in self._files.items())]

    def _script_args_for_step(self, step_num: int, mrc: str, input_manifest: bool = False) -> list[str]:
        return [*self._command, *self._args_for_task(step_num, mrc)]

    def _run(self) -> None:
        for step in range(self._num_steps()):
            self._client.run(self._args_for_step(step)[1:])
