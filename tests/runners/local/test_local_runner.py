"""Jobs on this machine: their results and their tasks."""

from __future__ import annotations

import os
from collections import Counter

import pytest
import toy_jobs
from runs import COUNTED, WORDS, make, pairs, write

from mr_ml.errors import StorageError, UsageError
from mr_ml.runners.local import tasks as local_tasks
from mr_ml.runners.local.runner import run_job

pytestmark = pytest.mark.usefixtures("workers_of_this_module")


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

    def test_no_reduce_task_where_it_would_not_pay(self, run, tmp_path):
        few, many = write(tmp_path, a="d a\n", b="a b c d\n"), write(tmp_path, c="a b c d\n", d="a b c\n")
        assert pairs(run(toy_jobs.NeedNotReduce, *few)) == [(word, 1) for word in "daabcd"]
        reduced = [(0, [["a", 2], ["b", 2], ["c", 2], ["d", 1]])]
        assert pairs(run(toy_jobs.NeedNotReduce, *many)) == reduced
        assert pairs(run(toy_jobs.NeedNotReduce, "--reduces", 1, *few)) == [
            (0, [["a", 2], ["b", 1], ["c", 1], ["d", 2]])
        ]
        out = tmp_path / "out"
        run(toy_jobs.NeedNotReduce, "--output-dir", out, *few)
        assert sorted(path.name for path in out.iterdir()) == ["part-00000", "part-00001"]

    def test_reduce_tasks_of_steps_that_need_them(self, run, tmp_path):
        inputs = write(tmp_path, a="a b\n", b="a\n")
        assert pairs(run(toy_jobs.NeedNotReduceTwice, *inputs)) == [("a", [[1, 1]]), ("b", [[1]])]
        assert pairs(run(toy_jobs.OnlyReducesLast, *inputs)) == [("a", [[[[1, 1]]]]), ("b", [[[[1]]]])]

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
