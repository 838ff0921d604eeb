"""Where the time of a pass went: told by who knows, kept with the pass, and never guessed."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import pytest

import mr_ml
from hdfs_layout import append_events, open_root
from mr_ml import spent
from mr_ml.catalog.pass_times import times_of, together
from mr_ml.catalog.run_log import PassEvent, read_log
from mr_ml.cli.times import by_pass, summary
from mr_ml.errors import BadDataError
from mr_ml.spent import Meter


def test_what_is_told_twice_is_added_up() -> None:
    with spent.metering() as meter:
        spent.current().seconds(map=1.5)
        spent.current().seconds(map=0.25, reduce=1.0)
        spent.current().bytes(sent=10)
        spent.current().task_seconds(map=3.0)
    assert meter.spent == {
        "seconds": {"map": 1.75, "reduce": 1.0}, "bytes": {"sent": 10}, "task_seconds": {"map": 3.0}
    }  # fmt: skip


def test_outside_of_a_pass_nobody_hears_it() -> None:
    spent.current().bytes(sent=10)
    with spent.metering() as meter:
        thread = threading.Thread(target=lambda: spent.current().bytes(sent=10))
        thread.start()
        thread.join()
    assert meter.spent == {}
    with pytest.raises(AssertionError):
        meter.seconds(sleeping=1.0)


def event(number: int, **more: object) -> PassEvent:
    made: dict[str, object] = {
        "event": "pass", "number": number, "objective": 0.5, "gradient_norm": 0.1, "step": 1.0, "rows_per_second": 50.0
    }  # fmt: skip
    return PassEvent(**{**made, **more})  # type: ignore[typeddict-item]


def test_what_is_left_is_the_drivers() -> None:
    times = times_of(event(1, seconds=4.0, spent={"seconds": {"reduce": 1.0, "map": 2.5, "later": 9.0}}))
    assert times.parts == {"map": 2.5, "reduce": 1.0, "driver": 0.5}
    assert list(times.parts) == ["map", "reduce", "driver"]


def test_a_log_that_says_nothing_of_parts() -> None:
    times = times_of(event(1), n_rows=100)
    assert (times.seconds, times.parts) == (2.0, {})
    assert math.isnan(times_of(event(1)).seconds)
    assert summary([event(1)]) == ""


def test_passes_together_and_as_text() -> None:
    passes = [
        event(1, seconds=30.0, spent={"seconds": {"start": 9.0, "map": 20.0}, "bytes": {"read": 5_000_000}}),
        event(2, seconds=2.0, spent={"task_seconds": {"map": 40.0}}),
    ]
    both = together([times_of(one) for one in passes])
    assert both.parts == {"start": 9.0, "map": 20.0, "driver": 1.0}
    assert summary(passes) == "2 passes took 32.0 s; start 9.000 s, map 20.0 s, driver 1.000 s; 5 MB read"
    header, first, second = by_pass(passes).split("\n")
    assert header.split() == ["pass", "took", "start", "map", "driver", "map", "tasks", "read"]
    assert first.split() == ["1", "30.0", "s", "9.000", "s", "20.0", "s", "1.000", "s", "-", "5", "MB"]
    assert second.split() == ["2", "2.000", "s", "-", "-", "-", "40.0", "s", "-"]


@pytest.mark.parametrize("told", [{"seconds": {"map": -1.0}}, {"seconds": [1]}, {"bytes": {"sent": "much"}}])
def test_a_log_is_checked(tmp_path: Path, told: object) -> None:
    root = open_root(str(tmp_path))
    path = root.layout.run_log("run")
    append_events(root.store, path, [dict(event(1, spent=told))])
    with pytest.raises(BadDataError, match="spent"):
        read_log(root, "run")


def test_passes_on_this_machine_say_where_their_time_went(tmp_path: Path) -> None:
    """Of the parts the sum is no more than the whole, and what tasks got and gave is counted."""
    rng = np.random.default_rng(1)
    text = "".join(f"{y} 1:{x:.3f}\n" for x, y in zip(rng.normal(size=60), rng.integers(0, 2, 60), strict=True))
    (tmp_path / "a.libsvm").write_text(text)
    root = str(tmp_path / "root")
    mr_ml.pack(root, str(tmp_path / "a.libsvm"), "d", format="libsvm", runner="inline")
    model = mr_ml.train(root, "d", "m", loss="logistic", runner="inline")
    passes = read_log(open_root(root), model.run).passes
    assert passes
    for one in passes:
        times = times_of(one)
        assert times.parts.keys() >= {"map", "driver"}
        assert 0 < times.parts["map"] <= times.seconds
        assert times.bytes["sent"] > 0
        assert times.bytes["received"] > 0


def test_a_part_is_told_also_when_it_fails() -> None:
    meter = Meter()
    with pytest.raises(ZeroDivisionError), meter.part("map"):
        _ = 1 / 0
    assert meter.spent["seconds"]["map"] >= 0
