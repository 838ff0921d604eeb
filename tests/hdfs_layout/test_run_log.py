"""The log of a run: events come back in order, and half a line at the end is no event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdfs_layout import LocalStore, append_events, read_events
from mr_ml.errors import BadDataError, StorageError

LOG = "runs/run-1/log.jsonl"
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
EVENTS = st.dictionaries(st.text(), VALUES | st.lists(VALUES, max_size=3), max_size=4)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "root"))


def test_no_log_is_no_events(store: LocalStore) -> None:
    assert read_events(store, LOG) == ()


@given(batches=st.lists(st.lists(EVENTS, max_size=3), max_size=4))
def test_events_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[dict[str, Any]]]
) -> None:
    store = LocalStore(str(tmp_path_factory.mktemp("root")))
    for batch in batches:
        append_events(store, LOG, iter(batch))
    events = [event for batch in batches for event in batch]
    assert read_events(store, LOG) == tuple(events)
    if events:
        lines = [json.loads(line) for line in store.read(LOG).decode("ascii").splitlines()]
        assert [{key: event[key] for key in event if key != "crc32"} for event in lines] == events


def test_a_diverging_run_can_say_so(store: LocalStore) -> None:
    event = {"objective": float("nan"), "steps": [float("inf"), (1.5, -float("inf"))], "x": {"y": 1e300}}
    append_events(store, LOG, [event])
    assert read_events(store, LOG) == ({"objective": "nan", "steps": ["inf", [1.5, "-inf"]], "x": {"y": 1e300}},)


def test_half_a_line_at_the_end_is_left_out_and_then_overwritten(store: LocalStore) -> None:
    append_events(store, LOG, [{"pass": 1}, {"pass": 2}])
    whole = store.read(LOG)
    first = whole.index(b"\n") + 1
    for length in range(len(whole)):
        store.write(LOG, whole[:length])
        # a line that only lacks its end is whole
        expected = tuple({"pass": k} for k in range(1, (length >= first - 1) + (length >= len(whole) - 1) + 1))
        assert read_events(store, LOG) == expected
        append_events(store, LOG, [{"pass": 3}])
        assert read_events(store, LOG) == (*expected, {"pass": 3})


@pytest.mark.parametrize("line", [b"", b"[1]", b'{"a": 1', b"\xff", b"\x1b[31m", b"[" * 100_000])
def test_another_damaged_line_is_named(store: LocalStore, line: bytes) -> None:
    store.write(LOG, b'{"pass": 1}\n' + line + b'\n{"pass": 2}\n')
    with pytest.raises(BadDataError, match=r"runs/run-1/log\.jsonl:2; found") as refused:
        read_events(store, LOG)
    assert str(refused.value).isprintable()


def test_a_changed_line_is_told(store: LocalStore) -> None:
    event = {"event": "pass", "objective": 0.125, "number": 7}
    append_events(store, LOG, [event])
    line = store.read(LOG)
    for position in range(len(line) - 1):
        store.write(LOG, line[:position] + bytes([line[position] ^ 1]) + line[position + 1 :])
        try:
            (found,) = read_events(store, LOG)
        except BadDataError:
            continue
        # the key of the checksum itself
        assert {key: found[key] for key in event} == event


def test_lines_of_earlier_releases_have_no_checksum(store: LocalStore) -> None:
    store.write(LOG, b'{"pass": 1}\n{}\n')
    append_events(store, LOG, [{"pass": 2}])
    assert read_events(store, LOG) == ({"pass": 1}, {}, {"pass": 2})


def test_a_log_that_cannot_be_read_is_not_taken_for_an_empty_one(store: LocalStore) -> None:
    store.make_folder(LOG)
    with pytest.raises(StorageError, match="folder"):
        append_events(store, LOG, [{}])
    with pytest.raises(StorageError, match="folder"):
        read_events(store, LOG)
