"""Whether tasks could stay for passes: what a check of nodes finds out beside all else."""

from __future__ import annotations

import queue
import secrets
from collections.abc import Callable
from contextlib import ExitStack

from hdfs_layout import Store
from mr_ml.passes.resident.application import NoTasksError, open_reception
from mr_ml.passes.resident.wire import SECRET_BYTES
from mr_ml.runners.base import Runner
from mr_ml.runners.node_check import Findings


def check(runner: Runner, store: Store, *, n_tasks: int, say: Callable[[str], None]) -> Findings:
    """Have tasks tell what there is on their machines, and whether they reach this process.

    They try the address at which tasks that stay would be told to find it, while it listens there. Raises as
    `Runner.check`.
    """
    seats, driver, why = runner.tasks.seats, None, None
    with ExitStack() as listening:
        if seats is not None:
            try:
                addresses = store.addresses("any", offset=0, length=1)
                if not addresses:
                    raise NoTasksError(f"they have no address at which they could read {store.root} by themselves")
                secret = secrets.token_bytes(SECRET_BYTES)
                reception = open_reception(seats, url=addresses[0].url, secret=secret, events=queue.SimpleQueue())
                listening.callback(reception.close)
                driver = reception.address
            except NoTasksError as error:
                why = str(error)
        findings = runner.check(n_tasks=n_tasks, say=say, driver=driver)
    if why is not None:
        findings.cannot_stay(why)
    return findings
