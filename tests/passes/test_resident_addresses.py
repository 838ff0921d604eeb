"""Where the driver listens and what its tasks are told, where a router or a container is between them too."""

from __future__ import annotations

import queue
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import resident_tasks
from resident_cases import N_FEATURES, bits, ended, make_case
from resident_tasks import ThreadSeats, ThreadTasks

from mr_ml.errors import MrMlError
from mr_ml.passes.resident import addresses
from mr_ml.passes.resident.addresses import driver_addresses
from mr_ml.passes.resident.application import NoTasksError
from mr_ml.passes.resident.invitation import Invitation
from mr_ml.passes.resident.members import Reception
from mr_ml.sums.moments import MomentsQuery

# for documentation, of nobody (RFC 5737)
ELSEWHERE = "198.51.100.7"


@pytest.mark.parametrize(
    ("named", "listens", "told"),
    [
        (None, "127.0.0.1", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2", "127.0.0.2"),
        ("localhost", "localhost", "127.0.0.1"),
        (ELSEWHERE, "127.0.0.1", ELSEWHERE),
        ("0.0.0.0", "0.0.0.0", "127.0.0.1"),
    ],
)
def test_an_address_of_this_machine_is_listened_at_and_another_one_is_told(
    named: str | None, listens: str, told: str
) -> None:
    assert driver_addresses(named, towards=("127.0.0.1", 80)) == (listens, told)


def test_a_name_that_means_the_machine_itself_only_here_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_way_to", lambda host, port: "192.0.2.9")
    assert driver_addresses("localhost", towards=("a NameNode", 80)) == ("192.0.2.9", "localhost")


def test_what_is_listened_at_is_said_where_tasks_are_told_otherwise() -> None:
    with closing(Reception(host="127.0.0.1", ports=[0], secret=b"", events=queue.SimpleQueue())) as one:
        assert str(one) == f"127.0.0.1 port {one.address[1]}"
    with closing(
        Reception(host="127.0.0.1", told=ELSEWHERE, ports=[0], secret=b"", events=queue.SimpleQueue())
    ) as other:  # fmt: skip
        assert str(other) == f"{ELSEWHERE} port {other.address[1]} (it listens at 127.0.0.1)"


@dataclass
class BehindARouter(ThreadSeats):
    """Seats whose tasks come to the driver by a router's address, which leads to it if `leads`."""

    leads: bool = True
    told: list[tuple[str, int]] = field(default_factory=list)

    def start(
        self, job: Any, *, request: bytes, n_tasks: int, ended: Callable[[MrMlError | None], None]
    ) -> ThreadTasks:  # fmt: skip
        invitation = Invitation.decode(request)
        self.told += invitation.addresses
        # nobody listens at the first port
        led = tuple(("127.0.0.1", port if self.leads else 1) for _, port in invitation.addresses)
        return super().start(job, request=replace(invitation, addresses=led).encode(), n_tasks=n_tasks, ended=ended)


def test_tasks_come_by_a_router(tmp_path: Path) -> None:
    with resident_tasks.web() as web:
        case = make_case(tmp_path, web, [[3], [3]])
        seats = BehindARouter(tmp_path, host=ELSEWHERE)
        query = MomentsQuery(N_FEATURES)
        with ended(case.engine(seats)) as engine:
            assert bits(engine.run(query)) == bits(case.oracle.run(query))
        ((host, port),) = seats.told
        assert host == ELSEWHERE
        nobody = BehindARouter(tmp_path / "nobody", host=ELSEWHERE, leads=False)
        with ended(case.engine(nobody)) as engine, pytest.raises(NoTasksError) as raised:
            engine.run(query)
        assert f"at {ELSEWHERE} port {nobody.told[0][1]} (it listens at 127.0.0.1)" in str(raised.value)
        assert port
