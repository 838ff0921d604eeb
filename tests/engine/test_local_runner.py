from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
import toy_calls
import toy_jobs

from mr_ml.engine import local_runner, local_tasks, scratch, workers
from mr_ml.engine.local_runner import InlineRunner, WarmLocalRunner, run_job
from mr_ml.errors import BadDataError, InternalError, StorageError, UsageError

HERE = str(Path(__file__).parent)
ROOT = str(Path(__file__).parents[2])


@pytest.fixture(params=["inline", "local"])
def runner(request):
    return request.param


@pytest.fixture(scope="module", autouse=True)
def workers_of_this_module():
    yield
    workers.shared_pool(2).close()


@pytest.fixture
def folder(tmp_path):
    """Where jobs put their temporary files; empty at the end."""
    path = tmp_path / "scratch"
    path.mkdir()
    yield path
    assert list(path.iterdir()) == []


@pytest.fixture
def run(runner, folder):
    def run(job_class, *arguments):
        return run_job(make(job_class, runner, folder, *arguments))

    return run


def make(job_class, runner, folder, *arguments):
    return job_class(["-r", runner, "--num-cores", "2", "--local-tmp-dir", str(folder), *map(str, arguments)])


def write(folder, **files):
    paths = []
    for name, text in files.items():
        path = folder / name
        path.write_text(text)
        paths.append(path)
    return paths


def pairs(output):
    return [tuple(json.loads(part) for part in line.split(b"\t")) for line in output]


WORDS = {"a": "to be or not to be\n", "b": "be\nor\n", "c": ""}
COUNTED = [("be", 3), ("not", 1), ("or", 2), ("to", 2)]


class TestResults:
    def test_word_count(self, run, tmp_path):
        output = run(toy_jobs.WordCount, *write(tmp_path, **WORDS))
        assert pairs(output) == COUNTED
        assert output.counters == [{"toy": {"combined": 6, "words": 4}}]

    def test_two_steps(self, run, tmp_path):
        assert pairs(run(toy_jobs.TwoSteps, *write(tmp_path, **WORDS))) == [
            (1, ["not"]),
            (2, ["or", "to"]),
            (3, ["be"]),
        ]

    def test_values_in_order(self, run, tmp_path):
        inputs = write(tmp_path, a="k 3\nk 1\n", b="j 9\nk 2\n")
        assert pairs(run(toy_jobs.SortedValues, *inputs)) == [("j", ["9"]), ("k", ["1", "2", "3"])]

    def test_the_sort_program_gives_the_same(self, run, tmp_path, monkeypatch):
        inputs = write(tmp_path, a="ä b a A\nz ab\n", b="B a-b a.b a b\n")
        expected = run(toy_jobs.WordCount, *inputs)
        monkeypatch.setattr(local_tasks, "SORT_IN_MEMORY_BYTES", 0)
        monkeypatch.setattr(local_tasks, "_sort_in_memory", None)
        assert run(toy_jobs.WordCount, *inputs).lines == expected.lines

    def test_printed_text_goes_where_it_goes_on_hadoop(self, run, tmp_path):
        lines = run(toy_jobs.Prints, *write(tmp_path, a="one\n")).lines
        assert lines == ["printed äöü".encode(), b"one", b"carriage\rreturn", b""]

    def test_raw_files(self, run, tmp_path):
        assert pairs(run(toy_jobs.RawFiles, *write(tmp_path, b="2\n", a="1\n"))) == [("b", "2\n"), ("a", "1\n")]

    def test_output_folder(self, run, tmp_path):
        inputs, out = write(tmp_path, **WORDS), tmp_path / "out"
        assert run(toy_jobs.WordCount, "--output-dir", out, *inputs).lines == []
        assert [path.name for path in out.iterdir()] == ["part-00000"]
        assert pairs((out / "part-00000").read_bytes().splitlines()) == COUNTED
        with pytest.raises(UsageError, match="is not empty"):
            run(toy_jobs.WordCount, "--output-dir", out, *inputs)

    def test_lines_longer_than_a_chunk(self, run, tmp_path):
        long = "x" * (3 << 20)
        assert pairs(run(toy_jobs.WordCount, *write(tmp_path, a=long + " y\n"))) == [(long, 1), ("y", 1)]

    def test_options_do_not_leak_from_job_to_job(self, run, tmp_path):
        inputs = write(tmp_path, a="x\n")
        assert pairs(run(toy_jobs.Options, "--number", "5", "--word", "p", "--word", "q", *inputs)) == [
            ("x", [5, ["p", "q"], None])
        ]
        assert pairs(run(toy_jobs.Options, *inputs)) == [("x", [1, None, None])]
        assert pairs(run(toy_jobs.Options, "--word", "r", *inputs)) == [("x", [1, ["r"], None])]
        assert pairs(run(toy_jobs.Options, "--jobconf", "a=b", *inputs)) == [("x", [1, None, None])]
        assert pairs(run(toy_jobs.Options, "--jobconfig=-c", *inputs)) == [("x", [1, None, "-c"])]
        for _ in range(2):
            with pytest.raises(ValueError, match="invalid int value"):
                run(toy_jobs.Options, "--number", "five", *inputs)

    def test_standard_input(self, run, folder, runner):
        job = make(toy_jobs.WordCount, runner, folder).sandbox(stdin=[b"be be\n", b"to"])
        assert pairs(run_job(job)) == [("be", 2), ("to", 1)]


class TestTasks:
    def test_one_map_task_per_file_whatever_its_size(self, run, tmp_path):
        texts = {"a": "x\n" * 5000, "b": "", "c": "last line without end", "d": "y\n"}
        found = dict(pairs(run(toy_jobs.MapTasks, *write(tmp_path, **texts))))
        assert {i: lines for i, (_, _, lines) in found.items()} == {
            i: text.splitlines() for i, text in enumerate(texts.values())
        }

    def test_input_is_never_copied(self, run, tmp_path):
        inputs = write(tmp_path, a="x\n", b="y\n")
        found = dict(pairs(run(toy_jobs.MapTasks, *inputs)))
        assert [found[i][1] for i in range(2)] == [str(path) for path in inputs]

    def test_relative_input(self, run, tmp_path, monkeypatch):
        write(tmp_path, a="x\n")
        monkeypatch.chdir(tmp_path)
        assert [pair[1][2] for pair in pairs(run(toy_jobs.MapTasks, "a"))] == [["x"]]

    def test_a_folder_means_its_files_in_order_of_names(self, run, tmp_path):
        inputs = tmp_path / "inputs"
        inputs.mkdir()
        for i in (3, 0, 11, 2, 1):
            (inputs / f"{i:05}").write_text(f"{i}\n")
        found = dict(pairs(run(toy_jobs.MapTasks, inputs)))
        assert [found[i][2] for i in range(5)] == [["0"], ["1"], ["2"], ["3"], ["11"]]

    @pytest.mark.parametrize("name", ["[ab]", "a*", "what?", "a b", "ä", "a#b", "{x}", "$HOME", "~"])
    def test_hostile_names(self, run, tmp_path, name):
        inputs = tmp_path / name
        inputs.mkdir()
        (inputs / name).write_text(name)
        write(tmp_path, a="decoy\n", b="decoy\n", ab="decoy\n")
        for given in (inputs, inputs / name):
            assert [pair[1][2] for pair in pairs(run(toy_jobs.MapTasks, given))] == [[name]]

    def test_wildcards(self, run, tmp_path):
        write(tmp_path, a1="1\n", a2="2\n", b="3\n")
        assert sorted(pair[1][2] for pair in pairs(run(toy_jobs.MapTasks, tmp_path / "a*"))) == [["1"], ["2"]]

    @pytest.mark.parametrize("name", ["a.gz", "a.bz2"])
    def test_compressed_input_is_refused(self, run, tmp_path, name):
        (tmp_path / name).write_bytes(b"anything")
        with pytest.raises(UsageError, match="is compressed"):
            run(toy_jobs.MapTasks, tmp_path / name)

    def test_missing_input(self, run, tmp_path):
        with pytest.raises(StorageError, match=r"MapTasks could not run: .*nowhere.*does not exist"):
            run(toy_jobs.MapTasks, tmp_path / "nowhere")

    def test_one_reduce_task_unless_asked(self, run, tmp_path):
        inputs = write(tmp_path, a="d a c b\n", b="a b\n")
        assert pairs(run(toy_jobs.ReduceTasks, *inputs)) == [(0, [["a", 2], ["b", 2], ["c", 1], ["d", 1]])]

    @pytest.mark.parametrize("n", [2, 3, 7])
    def test_as_many_reduce_tasks_as_asked(self, run, tmp_path, n):
        words = [f"w{i:02}" for i in range(20)] * 3 + ["w05"] * 200
        found = dict(pairs(run(toy_jobs.ReduceTasks, "--reduces", n, *write(tmp_path, a=" ".join(words)))))
        assert sorted(found) == list(range(n))
        assert [pair for i in range(n) for pair in found[i]] == [list(item) for item in sorted(Counter(words).items())]

    def test_more_reduce_tasks_than_keys(self, run, tmp_path):
        found = dict(pairs(run(toy_jobs.ReduceTasks, "--reduces", 4, *write(tmp_path, a="a b"))))
        assert sorted(found) == [0, 1, 2, 3]
        assert sorted(key for keys in found.values() for key, _ in keys) == ["a", "b"]

    @pytest.mark.parametrize("number", ["0", "-1", "many", "1.5"])
    def test_nonsense_reduce_tasks(self, run, tmp_path, number):
        with pytest.raises(UsageError, match=r"mapreduce\.job\.reduces"):
            run(toy_jobs.ReduceTasks, f"--reduces={number}", *write(tmp_path, a="a"))

    def test_files_of_the_job_are_linked(self, run, tmp_path, monkeypatch):
        write(tmp_path, query="coefficients", a="x\n")
        monkeypatch.chdir(tmp_path)
        assert pairs(run(toy_jobs.ReadsFile, "--query", "query", "a")) == [
            ("x", ["coefficients", str(tmp_path / "query")])
        ]
        with pytest.raises(StorageError, match="a file that the job needs, does not exist"):
            run(toy_jobs.ReadsFile, "--query", "gone", "a")

    def test_local_workers_stay_warm_and_keep_their_tasks(self, folder, tmp_path):
        inputs = write(tmp_path, a="a\n", b="b\n", c="c\n")
        first = dict(pairs(run_job(make(toy_jobs.Warm, "local", folder, *inputs))))
        second = dict(pairs(run_job(make(toy_jobs.Warm, "local", folder, *inputs))))
        assert first["a"][0] == first["c"][0] != first["b"][0]
        assert os.getpid() not in {pid for pid, _ in first.values()}
        assert [second[key][0] for key in "abc"] == [first[key][0] for key in "abc"]
        assert [second[key][1] - first[key][1] for key in "abc"] == [2, 1, 2]

    def test_inline_runs_here(self, folder, tmp_path):
        ((_, (pid, _)),) = pairs(run_job(make(toy_jobs.Warm, "inline", folder, *write(tmp_path, a="a\n"))))
        assert pid == os.getpid()


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
            with pytest.raises(UsageError, match=r"cannot be imported by worker processes.*-r inline"):
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
        monkeypatch.setattr(workers, "shared_pool", lambda n: asked.append(n) or workers.WorkerPool(1))
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
        assert local_runner.WarmLocalMixin.SCRATCH_BYTES
