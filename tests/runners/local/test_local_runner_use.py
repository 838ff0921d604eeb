"""Jobs on this machine: what goes wrong, scripts, log messages, settings."""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
import toy_calls
import toy_jobs
from processes import HERE, ROOT
from runs import WORDS, make, pairs, write

from mr_ml.errors import BadDataError, InternalError, UsageError
from mr_ml.runners.local import scratch, workers
from mr_ml.runners.local.runner import InlineRunner, WarmLocalRunner, run_job

pytestmark = pytest.mark.usefixtures("workers_of_this_module")


class TestFailures:
    @pytest.mark.parametrize("where", ["mapper", "combiner", "reducer"])
    def test_an_error_of_ours_arrives_unchanged(self, run, tmp_path, where):
        with pytest.raises(BadDataError) as caught:
            run(toy_jobs.Fails, "--where", where, *write(tmp_path, a="x\n", b="y\n"))
        assert type(caught.value) is BadDataError
        assert str(caught.value) == "part-00001: expected 5 blocks, found 4"
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize(
        ("where", "task"), [("mapper", "map task 0"), ("combiner", "map task 0"), ("reducer", "reduce task 0")]
    )
    @pytest.mark.parametrize(
        ("how", "what"), [("key_error", "KeyError: 'missing'"), ("sys_exit", "it called sys.exit(0)")]
    )
    def test_anything_else_is_internal_and_says_where(self, run, tmp_path, where, task, how, what):
        (path,) = write(tmp_path, a="x\n")
        with pytest.raises(InternalError) as caught:
            run(toy_jobs.Fails, "--where", where, "--how", how, path)
        first, _, rest = str(caught.value).partition("\n")
        assert first.startswith(f"{task} of step 0")
        assert (f"(input {path})" in first) == task.startswith("map")
        assert f"failed: {what}" in first
        assert f"in {where}" in rest

    @pytest.mark.parametrize("where", ["mapper", "combiner", "reducer"])
    @pytest.mark.parametrize(("how", "what"), [("os_exit", "exit status 0"), ("kill", "SIGKILL")])
    def test_a_worker_dies_half_way(self, folder, tmp_path, where, how, what):
        inputs = write(tmp_path, a="x\n", b="y\n")
        with pytest.raises(InternalError, match=rf"task \d of step 0.* failed: its worker process \d+ .*{what}"):
            run_job(make(toy_jobs.Fails, "local", folder, "--where", where, "--how", how, *inputs))
        assert pairs(run_job(make(toy_jobs.Fails, "local", folder, "--where", "nowhere", *inputs))) == [
            ("x", 1),
            ("y", 1),
        ]

    @pytest.mark.parametrize("how", ["change_everything", "change_everything_and_go_on"])
    def test_this_process_is_as_it_was(self, run, tmp_path, how):
        def state():
            return os.getcwd(), dict(os.environ), list(sys.path), sys.stdin, sys.stdout, sys.stderr

        before = state()
        with pytest.raises(InternalError, match="changed everything") if how == "change_everything" else nullcontext():
            run(toy_jobs.Fails, "--how", how, *write(tmp_path, a="x\n", b="y\n"))
        assert state() == before
        assert not any("job-" in str(entry) for entry in sys.path_importer_cache)

    @pytest.mark.parametrize("how", ["change_everything", "change_everything_and_go_on"])
    def test_the_workers_are_as_they_were(self, folder, tmp_path, how):
        def state():
            whats = "environment", "folder", "path", "streams"
            for what in whats:
                workers.shared_pool(2).run([partial(toy_calls.save, str(tmp_path / what), what)])
            return workers.shared_pool(2).pids(), [pickle.loads((tmp_path / what).read_bytes()) for what in whats]

        before = state()
        with pytest.raises(InternalError, match="changed everything") if how == "change_everything" else nullcontext():
            run_job(make(toy_jobs.Fails, "local", folder, "--how", how, *write(tmp_path, a="x\n")))
        assert state() == before

    def test_interrupted_inline_job(self, folder, tmp_path, monkeypatch):
        def interrupt():
            raise KeyboardInterrupt

        monkeypatch.setitem(toy_jobs.FAILURES, "bad_data", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_job(make(toy_jobs.Fails, "inline", folder, *write(tmp_path, a="x\n")))

    def test_a_class_that_workers_cannot_import(self, folder, tmp_path, monkeypatch):
        (path,) = write(tmp_path, a="x\n")

        class Within(toy_jobs.WordCount):
            pass

        assert pairs(run_job(make(Within, "inline", folder, path))) == [("x", 1)]
        for module in (Within.__module__, "__main__"):
            monkeypatch.setattr(Within, "__module__", module)
            with pytest.raises(UsageError, match=r"cannot be imported by worker processes.*`runner` inline"):
                run_job(make(Within, "local", folder, path))

    @pytest.mark.parametrize("name", ["t[mp]", "t*", "t?", "t#mp"])
    def test_the_folder_for_temporary_files_has_a_hostile_name(self, runner, tmp_path, monkeypatch, name):
        (path,) = write(tmp_path, a="x\n")
        with pytest.raises(UsageError, match=r"set TMPDIR to a path without"):
            run_job(make(toy_jobs.WordCount, runner, tmp_path / name, path))
        monkeypatch.setenv("TMPDIR", str(tmp_path / name))
        monkeypatch.setattr(tempfile, "tempdir", None)
        (tmp_path / name).mkdir()
        with pytest.raises(UsageError, match=r"set TMPDIR to a path without"):
            run_job(toy_jobs.WordCount(["-r", runner, str(path)]))


class TestAsCommand:
    """`python -m toy_jobs` and `python toy_jobs.py`, as mrjob's documentation teaches."""

    def command(self, tmp_path, *arguments):
        return subprocess.run(
            [
                sys.executable,
                *arguments,
                "-r",
                "local",
                "--num-cores",
                "1",
                "--quiet",
                *write(tmp_path, a="be to be\n"),
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, HERE])},
            capture_output=True,
            timeout=60,
            check=False,
        )

    def test_module(self, tmp_path):
        done = self.command(tmp_path, "-m", "toy_jobs")
        assert (done.returncode, done.stderr) == (0, b"")
        assert pairs(done.stdout.splitlines()) == [("be", 2), ("to", 1)]

    def test_script(self, tmp_path):
        done = self.command(tmp_path, f"{HERE}/toy_jobs.py")
        assert done.returncode != 0
        assert b"UsageError: job class WordCount cannot be imported by worker processes" in done.stderr


class TestQuiet:
    def test_nothing_is_logged(self, run, tmp_path, caplog):
        caplog.set_level(logging.INFO)
        run(toy_jobs.WordCount, *write(tmp_path, **WORDS))
        with pytest.raises(BadDataError):
            run(toy_jobs.Fails, *write(tmp_path, a="x\n"))
        assert caplog.record_tuples == []
        assert logging.getLogger("mrjob").level == logging.NOTSET

    def test_but_real_warnings_and_what_verbose_asks_for(self, run, tmp_path, caplog):
        inputs = write(tmp_path, a="x\n")
        run(toy_jobs.Partitioned, *inputs)
        assert "ignoring partitioner" in caplog.text
        caplog.set_level(logging.INFO)
        run(toy_jobs.WordCount, "--verbose", *inputs)
        assert "Running step 1 of 1" in caplog.text

    def test_never_more_talkative_than_the_user_wants(self, run, tmp_path, caplog):
        root = logging.getLogger()
        before = root.level
        root.setLevel(logging.ERROR)
        try:
            run(toy_jobs.Partitioned, *write(tmp_path, a="x\n"))
        finally:
            root.setLevel(before)
        assert caplog.record_tuples == []


class TestSettings:
    @pytest.fixture(autouse=True)
    def default_place(self, tmp_path, monkeypatch):
        monkeypatch.delenv("TMPDIR", raising=False)
        for name in ("memory", "disk"):
            (tmp_path / name).mkdir()
        monkeypatch.setattr(scratch, "SHARED_MEMORY", tmp_path / "memory")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk"))

    @pytest.mark.parametrize(("job_class", "place"), [(toy_jobs.WordCount, "memory"), (toy_jobs.OnDisk, "disk")])
    def test_temporary_files_go_to_memory_unless_they_grow_with_the_data(self, runner, tmp_path, job_class, place):
        job = job_class(["-r", runner, *map(str, write(tmp_path, **WORDS))])
        with job.make_runner() as made:
            made.run()
            (parent,) = (tmp_path / place).iterdir()
            (job_folder,) = parent.glob("job-*")
            assert Path(made.get_output_dir()).is_relative_to(job_folder)
            assert job_folder.stat().st_mode & 0o077 == 0
        assert list(parent.glob("job-*")) == []

    def test_mrjob_conf_is_read_only_if_named(self, runner, tmp_path, monkeypatch):
        conf = tmp_path / "mrjob.conf"
        conf.write_text(json.dumps({"runners": {runner: {"local_tmp_dir": str(tmp_path / "asked"), "num_cores": 1}}}))
        monkeypatch.setenv("MRJOB_CONF", str(conf))
        (path,) = write(tmp_path, a="x\n")
        with toy_jobs.WordCount(["-r", runner, str(path)]).make_runner() as made:
            made.run()
        assert not (tmp_path / "asked").exists()
        with toy_jobs.WordCount(["-r", runner, "--conf-path", str(conf), str(path)]).make_runner() as made:
            made.run()
            assert len(list((tmp_path / "asked").iterdir())) == 1

    def test_debugging_may_keep_the_files_of_a_failed_job(self, tmp_path):
        job = toy_jobs.Fails(
            [
                "--cleanup-on-failure",
                "NONE",
                "--local-tmp-dir",
                str(tmp_path / "kept"),
                *map(str, write(tmp_path, a="x\n")),
            ]
        )
        with pytest.raises(BadDataError):
            run_job(job)
        assert len(list((tmp_path / "kept").iterdir())) == 1

    def test_which_runner(self, monkeypatch):
        assert toy_jobs.WordCount([])._runner_class() is InlineRunner
        assert toy_jobs.WordCount(["-r", "inline"])._runner_class() is InlineRunner
        assert toy_jobs.WordCount(["-r", "local"])._runner_class() is WarmLocalRunner
        assert toy_jobs.WordCount(["-r", "hadoop"])._runner_class().alias == "hadoop"

    def test_as_many_workers_as_processors(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5})
        asked = []

        def shared_pool(n):
            asked.append(n)
            return workers.WorkerPool(1)

        monkeypatch.setattr(workers, "shared_pool", shared_pool)
        run_job(toy_jobs.WordCount(["-r", "local", *map(str, write(tmp_path, a="x\n"))]))
        assert set(asked) == {3}

    def test_a_driver_without_standard_input(self, runner, folder, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "stdin", None)
        assert pairs(run_job(make(toy_jobs.WordCount, runner, folder, *write(tmp_path, a="x\n")))) == [("x", 1)]
        assert run_job(make(toy_jobs.WordCount, runner, folder)).lines == []

    def test_parsers_of_classes_and_of_the_command_line_are_their_own(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "argv", ["job", "--number", "x"])
        for _ in range(2):
            assert toy_jobs.Options([]).options.number == 1
            with pytest.raises(ValueError, match="unrecognized arguments"):
                toy_jobs.WordCount(["--number", "3"])
            with pytest.raises(SystemExit):
                toy_jobs.Options()
        assert "invalid int value" in capsys.readouterr().err
