"""Worker processes: which call goes where, what it sees, what its errors say."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import threadpoolctl
import toy_calls
from processes import notes, wait_for_end

from mr_ml.errors import BadDataError, InternalError, StorageError
from mr_ml.runners.local.fork_server import prepare
from mr_ml.runners.local.workers import WorkerPool, shared_pool
from mr_ml.runners.variables import BLAS_VARIABLES


class TestAffinity:
    @pytest.mark.parametrize(("n_workers", "n_calls"), [(1, 3), (2, 5), (3, 7), (3, 2)])
    def test_call_i_goes_to_worker_i_modulo_n_in_every_run(self, tmp_path, n_workers, n_calls):
        runs = []
        with WorkerPool(n_workers) as pool:
            for run in ("a", "b"):
                folder = tmp_path / run
                folder.mkdir()
                pool.run([partial(toy_calls.note, str(folder), f"{i}") for i in range(n_calls)])
                runs.append(notes(folder))
        first, second = runs
        assert len(first) == len(second) == n_calls
        for i in range(n_calls):
            assert first[str(i)][0] == second[str(i)][0] == first[str(i % n_workers)][0]
        assert len({pid for pid, _ in first.values()}) == min(n_workers, n_calls)
        # In order within a worker, and the second run finds the first one's module state.
        for i in range(n_calls):
            per_run = len(range(i % n_workers, n_calls, n_workers))
            assert first[str(i)][1] == i // n_workers + 1
            assert second[str(i)][1] == per_run + i // n_workers + 1

    def test_starts_no_worker_before_it_is_needed(self, pool, tmp_path):
        assert pool.pids() == ()
        pool.run([])
        assert pool.pids() == ()
        pool.run([partial(toy_calls.note, str(tmp_path), "0")])
        assert len(pool.pids()) == 1

    def test_refuses_no_workers(self):
        with pytest.raises(ValueError, match="at least 1"):
            WorkerPool(0)

    def test_shared_pool_is_kept_while_the_number_stays(self, tmp_path):
        first = shared_pool(1)
        first.run([partial(toy_calls.note, str(tmp_path), "0")])
        (pid,) = first.pids()
        assert shared_pool(1) is first
        try:
            assert shared_pool(2) is not first
            wait_for_end(pid)
        finally:
            shared_pool(2).close()


class TestWhatWorkersSee:
    def saved(self, pool, tmp_path, what):
        path = tmp_path / "saved"
        pool.run([partial(toy_calls.save, str(path), what)])
        return pickle.loads(path.read_bytes())

    def test_environment_is_the_drivers_but_for_blas(self, pool, tmp_path, monkeypatch):
        monkeypatch.setenv("TOY", "seen")
        monkeypatch.setenv("OMP_NUM_THREADS", "7")
        before = dict(os.environ)
        seen = self.saved(pool, tmp_path, "environment")
        assert dict(os.environ) == before
        assert seen == {**before, **dict.fromkeys(BLAS_VARIABLES, "1")}

    def test_environment_is_that_of_the_moment(self, pool, tmp_path, monkeypatch):
        monkeypatch.setenv("TOY", "gone later")
        assert "TOY" in self.saved(pool, tmp_path, "environment")
        monkeypatch.delenv("TOY")
        monkeypatch.setenv("OTHER_TOY", "new")
        assert self.saved(pool, tmp_path, "environment") == {**os.environ, **dict.fromkeys(BLAS_VARIABLES, "1")}

    def test_heavy_modules_are_there_before_the_first_call(self, pool, tmp_path):
        assert {"numpy", "mrjob.job"} <= set(self.saved(pool, tmp_path, "modules"))

    def test_modules_named_beforehand_are_there_too(self, tmp_path):
        script = tmp_path / "script.py"
        script.write_text(
            "from functools import partial\n"
            "import toy_calls\n"
            "from mr_ml.runners.local.fork_server import prepare\n"
            "from mr_ml.runners.local.workers import WorkerPool\n"
            "prepare(['colorsys', 'no_such_module'])\n"
            "with WorkerPool(1) as pool:\n"
            f"    pool.run([partial(toy_calls.save, {str(tmp_path / 'saved')!r}, 'modules')])\n"
        )
        path = os.pathsep.join(filter(None, [str(Path(toy_calls.__file__).parent), os.environ.get("PYTHONPATH")]))
        subprocess.run([sys.executable, script], check=True, env={**os.environ, "PYTHONPATH": path})
        assert "colorsys" in pickle.loads((tmp_path / "saved").read_bytes())

    def test_never_the_drivers_main(self, pool, tmp_path):
        assert getattr(sys.modules["__main__"], "__file__", None) is not None
        assert self.saved(pool, tmp_path, "main") is None

    def test_blas_has_one_thread(self, pool, tmp_path):
        path = tmp_path / "threads"
        here = threadpoolctl.threadpool_info()
        pool.run([partial(toy_calls.blas_threads, str(path))])
        assert threadpoolctl.threadpool_info() == here
        threads = pickle.loads(path.read_bytes())
        assert threads
        assert set(threads) == {1}

    def test_interrupts_are_left_to_the_driver(self, pool, tmp_path):
        assert self.saved(pool, tmp_path, "sigint")
        pool.run([toy_calls.interrupt_self])

    def test_the_drivers_folder_may_vanish(self, pool, tmp_path, monkeypatch):
        folder = tmp_path / "gone"
        folder.mkdir()
        monkeypatch.chdir(folder)
        pool.run([partial(toy_calls.note, str(tmp_path), "0")])
        folder.rmdir()
        pool.run([partial(toy_calls.save, str(tmp_path / "saved"), "folder")])

    def test_prepare_twice_changes_nothing_here(self):
        before, main = dict(os.environ), sys.modules["__main__"]
        prepare()
        prepare()
        assert dict(os.environ) == before
        assert sys.modules["__main__"] is main


class TestErrors:
    def test_an_error_of_ours_keeps_class_and_message(self, pool):
        with pytest.raises(BadDataError) as caught:
            pool.run([toy_calls.bad_data])
        assert type(caught.value) is BadDataError
        assert str(caught.value) == "part-00003: expected 7 rows, found 6; pack again"
        assert "in bad_data" in "".join(caught.value.__notes__)

    @pytest.mark.parametrize(
        ("call", "message"),
        [("two_part_error", "a.csv:3 is bad"), ("local_error", "of a function")],
    )
    def test_one_of_another_class_becomes_its_relative(self, pool, call, message):
        with pytest.raises(BadDataError) as caught:
            pool.run([getattr(toy_calls, call)])
        assert type(caught.value) is BadDataError
        assert str(caught.value) == message
        assert caught.value.exit_code == 65

    def test_any_other_exception_is_internal_with_its_traceback(self, pool):
        with pytest.raises(InternalError) as caught:
            pool.run([toy_calls.divide_by_zero], names=["map task 3"])
        first, _, rest = str(caught.value).partition("\n")
        assert first.startswith("map task 3 in worker process ")
        assert first.endswith("failed: ZeroDivisionError: division by zero")
        assert "in divide_by_zero" in rest
        assert "return number / 0" in rest
        assert str(pool.pids()[0]) in first

    def test_a_full_disk_is_a_storage_error(self, pool):
        with pytest.raises(StorageError, match=r"No space left.*Free some space"):
            pool.run([toy_calls.disk_full])

    @pytest.mark.parametrize("code", [0, 1])
    def test_sys_exit(self, pool, code):
        with pytest.raises(InternalError, match=rf"task 0 .*called sys.exit\({code}\)"):
            pool.run([partial(toy_calls.sys_exit, code)])

    @pytest.mark.parametrize("code", [0, 3])
    def test_os_exit(self, pool, code):
        with pytest.raises(InternalError, match=rf"task 0 failed: its worker .*exit status {code} in"):
            pool.run([partial(toy_calls.os_exit, code)])

    def test_sigkill_mentions_memory(self, pool):
        with pytest.raises(InternalError, match=r"map task 0 failed: .* was killed by SIGKILL.*memory"):
            pool.run([partial(toy_calls.kill_self, signal.SIGKILL)], names=["map task 0"])

    def test_other_signals(self, pool):
        with pytest.raises(InternalError, match=r"was killed by SIGSEGV$"):
            pool.run([partial(toy_calls.kill_self, signal.SIGSEGV)])

    def test_a_worker_that_loses_its_pipe(self, pool):
        with pytest.raises(InternalError, match="task 0 failed: its worker process"):
            pool.run([toy_calls.close_everything])

    def test_what_cannot_be_sent(self, pool):
        with pytest.raises(InternalError, match="task 1 cannot be sent"):
            pool.run([toy_calls.interrupt_self, lambda: None])

    def test_what_the_worker_cannot_import(self, pool, monkeypatch):
        def function() -> None: ...

        function.__module__, function.__qualname__ = "__main__", "only_in_the_driver"
        monkeypatch.setattr(sys.modules["__main__"], "only_in_the_driver", function, raising=False)
        with pytest.raises(InternalError, match="importable from a module, not defined in the running script"):
            pool.run([function])

    @pytest.mark.parametrize(
        "failing",
        [toy_calls.divide_by_zero, toy_calls.bad_data, partial(toy_calls.os_exit, 0), partial(toy_calls.kill_self, 9)],
    )
    def test_the_next_run_works(self, pool, tmp_path, failing):
        calls = [partial(toy_calls.note, str(tmp_path), str(i)) for i in range(4)]
        pool.run(calls)
        with pytest.raises((InternalError, BadDataError)):
            pool.run([failing, *calls])
        pool.run(calls)
        pids = {name: pid for name, (pid, _) in notes(tmp_path).items()}
        assert pids["0"] == pids["2"] != pids["1"] == pids["3"]

    @pytest.mark.parametrize("failing", [toy_calls.meet_then_fail, toy_calls.meet_then_die])
    def test_a_failure_ends_the_other_calls_and_nothing_of_them_is_left(self, pool, fifo, tmp_path, failing):
        folder = tmp_path / "notes"
        folder.mkdir()
        with pytest.raises((BadDataError, InternalError), match=r"first failure|SIGKILL"):
            pool.run([partial(failing, fifo), partial(toy_calls.meet_then_hang, fifo, str(tmp_path))])
        wait_for_end(int((tmp_path / "hung").read_text()))
        calls = [partial(toy_calls.note, str(folder), str(i)) for i in range(6)]
        pool.run(calls)
        assert len(notes(folder)) == 6
        with pytest.raises(BadDataError):
            pool.run([*calls, toy_calls.bad_data])

    def test_after_a_failure_no_further_call_starts(self, tmp_path):
        calls = [partial(toy_calls.note, str(tmp_path), str(i)) for i in range(2)]
        with WorkerPool(1) as pool, pytest.raises(BadDataError):
            pool.run([calls[0], toy_calls.bad_data, calls[1]])
        assert set(notes(tmp_path)) == {"0"}

    def test_a_worker_that_died_idle_is_replaced(self, pool, tmp_path):
        calls = [partial(toy_calls.note, str(tmp_path), str(i)) for i in range(2)]
        pool.run(calls)
        victim, survivor = pool.pids()
        os.kill(victim, signal.SIGKILL)
        wait_for_end(victim)
        pool.run(calls)
        assert notes(tmp_path)["1"] == (survivor, 2)
        assert notes(tmp_path)["0"][1] == 1

    def test_a_child_of_a_dead_worker_does_not_hide_its_death(self, pool, fifo):
        try:
            with pytest.raises(InternalError, match="SIGKILL"):
                pool.run([partial(toy_calls.leave_a_child_and_die, fifo)])
        finally:
            with open(fifo, "wb"):
                pass
