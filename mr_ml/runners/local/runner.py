"""Run mrjob jobs on this machine: `-r inline` in the driver's process, `-r local` in warm worker processes.

Both differ from mrjob's own runners of these names in what a training pass needs:

- one map task per input file, whatever its size, in the order of their names; the file is linked, never copied;
- one reduce task, or as many as the job's `mapreduce.job.reduces` says; each key goes whole to one of them; none if
  the job does not ask for any and the reader of its output can do without, see `WarmLocalMixin`;
- no process is started for a job: `-r local` workers stay, and keep their module-level caches, from job to job;
- what a task raises reaches the driver: a `MrMlError` as it is, anything else as an `InternalError` with the traceback;
- temporary files are kept in memory where there is room, and are removed after a failure too.

Not simulated: steps that are shell commands, `--setup`, `--py-files`, partitioners, Hadoop formats, retries.
Compressed input is refused, since mrjob reads a truncated file as if it were whole: hand over a file that names it.
"""

from __future__ import annotations

import functools
import logging
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from hdfs_layout.dataclass import dataclass
from hdfs_layout.faults import of_machine
from mr_ml import progress, spent
from mr_ml.errors import StorageError, UsageError
from mr_ml.runners import task_errors
from mr_ml.runners.local import tasks as local_tasks
from mr_ml.runners.local.scratch import refuse_what_mrjob_interprets

with warnings.catch_warnings():
    # mrjob imports modules that Python has deprecated, or dropped, since mrjob's last release.
    warnings.simplefilter("ignore", DeprecationWarning)
    from mrjob.cat import is_compressed
    from mrjob.fs.composite import CompositeFilesystem
    from mrjob.fs.local import _from_file_uri
    from mrjob.inline import InlineMRJobRunner
    from mrjob.util import to_lines, unarchive

REDUCE_TASKS = ("mapreduce.job.reduces", "mapred.reduce.tasks")


class InlineRunner(InlineMRJobRunner):  # type: ignore[misc]
    """Run the tasks one after the other in the driver's process: what to use with a debugger.

    Takes the arguments of `mrjob.inline.InlineMRJobRunner`.
    """

    _local_tmp_dir: str | None
    _fs: Any

    def __init__(self, **kwargs: Any) -> None:
        # mrjob warns when there is no mrjob.conf, which is how these runners are meant to be used.
        with only_from(logging.ERROR if kwargs.get("conf_paths") == [] else logging.NOTSET, "mrjob.conf"):
            super().__init__(**kwargs)
        self._task_names: list[str] = []
        self._reduces = True

    @classmethod
    def _default_opts(cls) -> dict[str, Any]:
        return {**super()._default_opts(), "cleanup_on_failure": ["ALL"]}

    def _make_unique_job_key(self, label: str | None = None, owner: str | None = None) -> str:
        return f"{label or self._label()}.{secrets.token_hex(8)}"

    def _get_local_tmp_dir(self) -> str:
        if not self._local_tmp_dir:
            parent = Path(self._opts["local_tmp_dir"] or tempfile.gettempdir()).absolute()
            refuse_what_mrjob_interprets(parent)
            parent.mkdir(parents=True, exist_ok=True)
            self._local_tmp_dir = tempfile.mkdtemp(prefix="job-", dir=parent)
        return self._local_tmp_dir

    def _cleanup_local_tmp(self) -> None:
        if self._local_tmp_dir:
            # what cannot be removed now goes with the folder of this process; what ended the job is what matters
            shutil.rmtree(self._local_tmp_dir, ignore_errors=True)
        self._local_tmp_dir = None

    @property
    def fs(self) -> Any:
        """The files that jobs read, those of this machine."""
        if self._fs is None:
            self._fs = CompositeFilesystem()
            self._fs.add_fs("local", local_tasks.Files())
        return self._fs

    def _run(self) -> None:
        if self._output_dir and os.path.isdir(self._output_dir) and os.listdir(self._output_dir):
            raise UsageError(f"output folder {self._output_dir} is not empty; empty it or name another one")
        super()._run()

    def _create_dist_cache_dir(self, step_num: int) -> None:
        self.fs.mkdir(self._dist_cache_dir(step_num))
        for name, path in self._working_dir_mgr.name_to_path("file").items():
            original = Path(_from_file_uri(path)).absolute()
            if not original.exists():
                raise StorageError(f"{original}, a file that the job needs, does not exist")
            os.symlink(original, self._path_in_dist_cache_dir(name, step_num))
        for name, path in self._working_dir_mgr.name_to_path("archive").items():
            unarchive(_from_file_uri(path), self._path_in_dist_cache_dir(name, step_num))

    def _split_mapper_input(self, input_paths: Iterable[str], step_num: int) -> list[dict[str, Any]]:
        if step_num == 0 and self._uses_input_manifest():
            # The manifest is mrjob's own list of the input files, already a line and a task for each.
            splits: list[dict[str, Any]] = super()._split_mapper_input(input_paths, step_num)
            return splits
        splits = []
        for task_num, path in enumerate(input_paths):
            if is_compressed(path):
                raise UsageError(f"input {path} is compressed; expected plain files, which may name compressed ones")
            link = self._task_input_path("mapper", step_num, task_num)
            self.fs.mkdir(os.path.dirname(link))
            os.symlink(os.path.abspath(path), link)
            splits.append({"file": path, "start": 0, "length": os.path.getsize(path)})
        return splits

    def _sort_input_func(self) -> Callable[[Sequence[str], str], None]:
        return functools.partial(
            local_tasks.sort_lines, sort_values=bool(self._sort_values), tmp_dir=self._get_local_tmp_dir()
        )

    def _sort_reducer_input(self, step_num: int, num_map_tasks: int) -> None:
        left = self._left_as_mapped(step_num, num_map_tasks)
        for task_num, path in enumerate(left):
            os.rename(path, self._task_output_path("reducer", step_num, task_num))
        self._reduces = not left
        if self._reduces:
            mapped = [self._task_output_path("mapper", step_num, task_num) for task_num in range(num_map_tasks)]
            spent.current().bytes(shuffled=sum(map(os.path.getsize, mapped)))
            with spent.current().part("shuffle"):
                super()._sort_reducer_input(step_num, num_map_tasks)

    def _left_as_mapped(self, step_num: int, num_map_tasks: int) -> list[str]:
        """Return the output of the map tasks, if the reader of the job's output gets it as it is."""
        step = self._get_step(step_num)
        is_last = step_num == self._num_steps() - 1
        if not is_last or "mapper" not in step or "combiner" in step or self._reduce_tasks(step_num) is not None:
            return []
        paths = [self._task_output_path("mapper", step_num, task_num) for task_num in range(num_map_tasks)]
        return paths if sum(map(os.path.getsize, paths)) < self._mrjob_cls.REDUCE_FROM_BYTES else []

    def _reduce_tasks(self, step_num: int) -> Any:
        jobconf = self._jobconf_for_step(step_num)
        return next((jobconf[name] for name in REDUCE_TASKS if jobconf.get(name) is not None), None)

    def _split_reducer_input(self, step_num: int) -> int:
        if not self._reduces:
            return 0
        wanted = self._reduce_tasks(step_num)
        if wanted is None:
            wanted = 1
        if not str(wanted).isdecimal() or int(wanted) < 1:
            raise UsageError(f"{REDUCE_TASKS[0]} is {wanted!r}; expected a number of reduce tasks from 1 on")
        paths = [self._task_input_path("reducer", step_num, task_num) for task_num in range(int(wanted))]
        for path in paths:
            self.fs.mkdir(os.path.dirname(path))
        local_tasks.cut_between_keys(self._sorted_reducer_input_path(step_num), paths, light=self._mrjob_cls.LIGHT_KEYS)
        return len(paths)

    def _run_mappers_and_combiners(self, step_num: int, map_splits: Sequence[Mapping[str, Any]]) -> None:
        self._task_names = [
            f"map task {task_num} of step {step_num} (input {split['file']})"
            for task_num, split in enumerate(map_splits)
        ]
        with spent.current().part("map"):
            super()._run_mappers_and_combiners(step_num, map_splits)

    def _run_reducers(self, step_num: int, num_reducer_tasks: int) -> None:
        self._task_names = [f"reduce task {task_num} of step {step_num}" for task_num in range(num_reducer_tasks)]
        with spent.current().part("reduce") if num_reducer_tasks else nullcontext():
            super()._run_reducers(step_num, num_reducer_tasks)

    def _invoke_task_func(self, task_type: str, step_num: int, task_num: int) -> Callable[..., None]:
        reads = "manifest" if step_num == 0 and task_type == "mapper" and self._uses_input_manifest() else "lines"
        arguments = self._args_for_task(step_num, task_type)
        return functools.partial(local_tasks.run_task, self._class_loader(), arguments, reads)

    def _class_loader(self) -> Callable[[], Any]:
        return lambda: self._mrjob_cls

    def _run_multiple(self, funcs: Iterable[Callable[[], None]], num_processes: int | None = None) -> None:
        with self._stage() as stage:
            for name, task in zip(self._task_names, funcs, strict=True):
                try:
                    task()
                except KeyboardInterrupt:
                    raise
                except BaseException as error:
                    known = task_errors.as_mr_ml_error(error, where=name)
                    if known is error:
                        raise
                    raise known from error
                stage.advance()

    def _stage(self) -> AbstractContextManager[progress.Stage]:
        kind = next((name.partition(" ")[0] for name in self._task_names), "map")
        return progress.stage(f"{kind} tasks", unit="tasks", total=len(self._task_names))


class WarmLocalRunner(InlineRunner):
    """Run the tasks in the driver's pool of warm worker processes, task i of a kind always in the same one.

    mrjob's option `num_cores` is the number of workers; by default, as many as the processors this process may use.
    """

    alias = "local"

    _STEP_TYPES = frozenset({"streaming"})

    def _class_loader(self) -> Callable[[], Any]:
        return functools.partial(local_tasks.import_class, *local_tasks.class_reference(self._mrjob_cls))

    def _num_cores(self) -> int:
        return int(self._opts["num_cores"] or len(os.sched_getaffinity(0)))

    def _run_multiple(self, funcs: Iterable[Callable[[], None]], num_processes: int | None = None) -> None:
        # Tasks on other runners import this module with their job class, and never need worker processes.
        from mr_ml.runners.local import workers

        with self._stage() as stage:
            pool = workers.shared_pool(self._num_cores())
            pool.run(list(funcs), names=self._task_names, ended=stage.advance)


@dataclass(frozen=True)
class JobOutput:
    """What a job left: iterate over it for the lines.

    Attributes
    ----------
    lines : list of bytes
        The output, without line ends; none if the job writes to an output folder that the user named.
    counters : list of dict
        For every step, {group: {counter: count}}.
    """

    lines: list[bytes]
    counters: list[dict[str, dict[str, int]]]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.lines)


def run_job(job: Any) -> JobOutput:
    """Run a job on the runner that its options name and return its output; temporary files are gone afterwards.

    Parameters
    ----------
    job : mrjob.job.MRJob
        With its options; mrjob's progress messages are silenced unless they say `--verbose`.

    Raises
    ------
    MrMlError
        What a task raised, unchanged.
    InternalError
        If a task raised anything else, exited, or its process died.
    StorageError
        If an input, or a file that the job needs, cannot be read, or a temporary file cannot be written.
    """
    with only_from(logging.NOTSET if job.options.verbose else logging.WARNING, "mrjob"):
        try:
            with job.make_runner() as runner:
                runner.run()
                chunks = [] if job.options.output_dir else runner.cat_output()
                return JobOutput([line.removesuffix(b"\n") for line in to_lines(chunks)], runner.counters())
        except OSError as error:
            known = of_machine(error, what=f"{type(job).__name__} could not run")
            assert known is not None
            raise known from error


@contextmanager
def only_from(level: int, logger_name: str) -> Iterator[None]:
    """Silence a logger below a level, for a while."""
    logger = logging.getLogger(logger_name)
    before = logger.level
    if level > logger.getEffectiveLevel():
        logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
