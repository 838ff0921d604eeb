"""Worker processes: how they and their drivers end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import toy_calls
from processes import HERE, PATIENCE_SECONDS, ROOT, notes, wait_for_end

from mr_ml.errors import InternalError
from mr_ml.runners.local.workers import WorkerPool


class TestEnds:
    def test_an_interrupt_stops_all_workers(self, pool, tmp_path):
        calls = [partial(toy_calls.note, str(tmp_path), str(i)) for i in range(2)]
        pool.run(calls)
        pids = pool.pids()
        with pytest.raises(KeyboardInterrupt):
            pool.run([partial(toy_calls.interrupt_and_hang, os.getpid()), calls[1]])
        assert pool.pids() == ()
        for pid in pids:
            wait_for_end(pid)
        pool.run(calls)
        assert set(notes(tmp_path).values()).isdisjoint({(pid, 2) for pid in pids})

    def test_with_block_and_close(self, tmp_path):
        with WorkerPool(2) as pool:
            pool.run([partial(toy_calls.note, str(tmp_path), str(i)) for i in range(2)])
            pids = pool.pids()
        for pid in pids:
            wait_for_end(pid)
        assert pool.pids() == ()
        pool.close()

    def test_a_closed_pool_starts_again(self, pool, tmp_path):
        call = partial(toy_calls.note, str(tmp_path), "0")
        pool.run([call])
        pool.close()
        pool.run([call])
        assert notes(tmp_path)["0"][1] == 1

    def test_forgotten_pool(self, tmp_path):
        pool = WorkerPool(1)
        pool.run([partial(toy_calls.note, str(tmp_path), "0")])
        (pid,) = pool.pids()
        del pool
        wait_for_end(pid)

    def test_a_fork_of_the_driver_leaves_the_workers_alone(self, pool, tmp_path):
        call = partial(toy_calls.note, str(tmp_path), "0")
        pool.run([call])
        pool.owner += 1  # as it looks from a forked child
        pool.close()
        with pytest.raises(InternalError, match="belong to process"):
            pool.run([call])
        pool.owner -= 1
        pool.run([call])
        assert notes(tmp_path)["0"][1] == 2


DRIVER = """
    import sys
    from functools import partial
    import toy_calls
    from mr_ml.runners.local.workers import WorkerPool
    toy_calls.append(sys.argv[1], "main ran")
    pool = WorkerPool(2)
    pool.run([partial(toy_calls.note, sys.argv[2], str(i)) for i in range(2)])
"""
BUSY_DRIVER = """
    import sys
    from functools import partial
    import toy_calls
    from mr_ml.runners.local.workers import WorkerPool
    pool = WorkerPool(3)
    pool.run([partial(toy_calls.note, sys.argv[2], str(i)) for i in range(3)])
    pool.run([partial(toy_calls.announce_and_hang, sys.argv[1]) for _ in range(2)])
"""


def start_driver(*arguments: str, path: Sequence[str] = (), **options: Any) -> subprocess.Popen[Any]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, HERE, *path])},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


class TestDrivers:
    """No kind of driver is imported by the workers, and all kinds take their workers along when they end."""

    @pytest.mark.parametrize("kind", ["script", "module", "command", "stdin", "interactive"])
    def test_main_runs_once_and_no_worker_is_left(self, tmp_path, kind):
        ran, folder = tmp_path / "ran", tmp_path / "notes"
        folder.mkdir()
        code = textwrap.dedent(DRIVER)
        (tmp_path / "unguarded.py").write_text(code)
        arguments = {
            "script": ["unguarded.py"],
            "module": ["-m", "unguarded"],
            "command": ["-c", code],
            "stdin": ["-"],
            "interactive": ["-i", "-"],
        }
        driver = start_driver(*arguments[kind], str(ran), str(folder), cwd=tmp_path)
        _, errors = driver.communicate(code.encode(), timeout=PATIENCE_SECONDS)
        assert driver.returncode == 0, errors.decode()
        assert b"Traceback" not in errors, errors.decode()
        assert ran.read_text() == "main ran\n"
        pids = {pid for pid, _ in notes(folder).values()}
        assert len(pids) == 2
        for pid in pids:
            wait_for_end(pid)

    def test_modules_in_the_current_folder_shadow_nothing(self, tmp_path):
        for name in ("scripts", "notes"):
            (tmp_path / name).mkdir()
        (tmp_path / "scripts" / "driver.py").write_text(textwrap.dedent(DRIVER))
        for name in ("selectors", "numpy", "mr_ml"):
            (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('the wrong {name}')")
        driver = start_driver("scripts/driver.py", str(tmp_path / "ran"), str(tmp_path / "notes"), cwd=tmp_path)
        _, errors = driver.communicate(timeout=PATIENCE_SECONDS)
        assert (driver.returncode, errors) == (0, b"")

    @pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, -15), (signal.SIGINT, -2)])
    @pytest.mark.parametrize("to", ["driver", "group"])
    def test_workers_do_not_outlive_a_driver_that_is_stopped_while_they_work(self, tmp_path, fifo, number, status, to):
        folder = tmp_path / "notes"
        folder.mkdir()
        # Open at both ends, so that neither side sees it end.
        announcements = os.open(fifo, os.O_RDWR)
        driver = start_driver("-c", textwrap.dedent(BUSY_DRIVER), fifo, str(folder), start_new_session=True)
        try:
            with open(announcements) as lines:
                busy = {int(lines.readline()) for _ in range(2)}
            everybody = {pid for pid, _ in notes(folder).values()}
            assert len(everybody) == 3
            assert busy < everybody
            if to == "driver":
                driver.send_signal(number)
            else:
                os.killpg(driver.pid, number)
            _, errors = driver.communicate(timeout=PATIENCE_SECONDS)
        finally:
            driver.kill()
            driver.wait()
        assert driver.returncode == status, errors.decode()
        assert errors.decode().count("Traceback") == (number == signal.SIGINT)
        for pid in everybody:
            wait_for_end(pid)
