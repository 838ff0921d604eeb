"""The fork server of a command: a fork of itself, with nothing of it but what it has loaded."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from processes import HERE, PATIENCE_SECONDS, ROOT

SCRIPT = """
    import json, multiprocessing.forkserver, os, sys, threading
    from functools import partial
    import toy_calls
    from mr_ml import interrupts
    from mr_ml.runners.local import fork_server
    from mr_ml.runners.local.workers import WorkerPool

    def process(pid):
        links = [f"/proc/{pid}/fd/{number}" for number in os.listdir(f"/proc/{pid}/fd") if int(number) > 2]
        # but that of the folder just listed
        files = [os.readlink(link) for link in links if os.path.lexists(link)]
        status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status"))
        return {"command": open(f"/proc/{pid}/cmdline").read(), "files": files, "blocked": int(status["SigBlk"], 16)}

    folder, how = sys.argv[1:]
    if how != "library":
        interrupts.install()
    if how == "threads":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    mine = open(f"{folder}/mine", "w")
    fork_server.fork(["colorsys", "no_such_module"])
    with WorkerPool(1) as pool:
        for what in ("modules", "main", "path", "environment", "sigint"):
            pool.run([partial(toy_calls.save, f"{folder}/{what}", what)])
        pool.run([partial(toy_calls.blas_threads, f"{folder}/threads")])
        pool.run([partial(toy_calls.large_array_on_heap, f"{folder}/heap")])
        worker, = pool.pids()
        server = multiprocessing.forkserver._forkserver._forkserver_pid
        print(json.dumps({"mine": process(os.getpid()), "server": process(server), "worker": process(worker)}))
"""


def of_a_command(tmp_path: Path, how: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the script; return what it says of the processes, and what its worker saw."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    path = os.pathsep.join(filter(None, [HERE, ROOT, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, script, tmp_path, how], env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    names = ("modules", "main", "path", "environment", "sigint", "threads", "heap")
    return json.loads(done.stdout), {name: pickle.loads((tmp_path / name).read_bytes()) for name in names}


@pytest.mark.parametrize("how", ["command", "threads", "library"])
def test_workers_of_a_command_are_as_those_of_any_program(tmp_path: Path, how: str) -> None:
    processes, seen = of_a_command(tmp_path, how)
    is_fork = how == "command"
    assert (processes["server"]["command"] == processes["mine"]["command"]) is is_fork
    assert (processes["worker"]["command"] == processes["mine"]["command"]) is is_fork
    for name in ("server", "worker"):
        assert str(tmp_path / "mine") in processes["mine"]["files"]
        assert str(tmp_path / "mine") not in processes[name]["files"]
        # Ctrl-C and what supervisors send to all is for the command alone
        assert processes[name]["blocked"] & 0b100000000000011 == 0b100000000000011
    assert {"colorsys", "numpy", "mrjob.job"} <= set(seen["modules"])
    assert seen["main"] is None
    assert str(tmp_path) in seen["path"]
    assert seen["environment"]["PYTHONPATH"].startswith(HERE)
    assert seen["sigint"]
    assert set(seen["threads"]) == {1}
    # what is freed there is used again, and no page of it cleared anew
    assert seen["heap"]
