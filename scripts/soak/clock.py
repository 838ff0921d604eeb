"""Clocks: nights of a year in which they are put forward and back, clocks that are set, and no time zone at all.

    python clock.py [N] [FOLDER] [--faketime libfaketime.so.1]

N is how many nights of a year, in each time zone. With libfaketime (Debian: package libfaketime) whole processes see
another time; without it only the Python of a retraining does.
"""

from __future__ import annotations

import collections
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import forked
from daily import FIRST as FIRST_DAY
from daily import day
from figures import Figures, parsed
from table import Table, warm_up

from mr_ml.retraining import zones
from mr_ml.retraining.timetable import Schedule
from mr_ml.retraining.window import InputRules, find_window

# Clocks change at 2:00, at 2:00 too, and in the southern half of the year; by half an hour in the last.
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
# In the hour that is left out or comes twice, and outside of it.
CRON, SYSTEMD = "15 2 * * *", "30 4 * * *"
START = datetime(2027, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def run(n: int, folder: Path, *, seed: int = 1, faketime: str | None = None) -> Figures:
    """Run nights by other clocks; return what came of them."""
    folder.mkdir(parents=True)
    faults: list[str] = []
    figures: Figures = {"windows found": {}}
    _write_days(folder / "year", n + 10)
    for zone in ZONES:
        for how, expression in (("cron", CRON), ("systemd", SYSTEMD)):
            found = year(folder / "year", zone, how, expression, n)
            faults += [f"{zone}, {how} {expression}: {fault}" for fault in _skipped_or_doubled(found)]
            figures["windows found"][f"{zone}, {how} {expression}"] = len(found)
    figures["retrainings by a clock that is set back"] = set_back(folder / "back", faults, random.Random(seed))
    library = faketime or _library()
    figures["libfaketime"] = library is not None
    if library is not None:
        figures["processes under libfaketime"] = whole_processes(folder / "fake", library, faults)
    figures["faults"] = faults
    return figures


def year(folder: Path, zone: str, how: str, expression: str, n: int) -> list[tuple[datetime, str]]:
    """Find the window of each night of a schedule; return instants and windows."""
    schedule, place = Schedule.parse(expression), ZoneInfo(zone)
    by = schedule.by_cron if how == "cron" else schedule.by_systemd
    rules = InputRules(location=f"{folder}/dt={{date}}", days=3)
    found = []
    before = vars(zones)["datetime"]
    try:
        for instant in islice(by(place, START), n):
            forked.set_clock(instant)
            found.append((instant, find_window(rules, timezone=zone).label))
            vars(zones)["datetime"] = before
    finally:
        vars(zones)["datetime"] = before
    return found


def _skipped_or_doubled(found: list[tuple[datetime, str]]) -> Iterator[str]:
    """Hold windows against the calendar: each is that of the day before, and they follow one another."""
    for instant, label in found:
        if label != str(instant.date() - DAY):
            yield f"at {instant} the window is {label}"
    for (_, first), (instant, second) in pairwise(found):
        if date.fromisoformat(second) - date.fromisoformat(first) != DAY:
            yield f"at {instant} the window {second} comes after {first}"


def _write_days(folder: Path, n: int) -> None:
    for k in range(-5, n):
        place = folder / f"dt={(START + k * DAY).date()}"
        place.mkdir(parents=True)
        (place / "rows").write_text("1\n")


def set_back(folder: Path, faults: list[str], rng: random.Random) -> int:
    """Retrain by a clock that is set back by an hour, between runs and after kills; return how many runs there were."""
    folder.mkdir()
    table = Table(folder)
    table.daily.add(0, 12)
    # without a rule for runs, so that journals stay: who has none of a window retrains it
    table.configure()
    table.settings.write_text(table.settings.read_text().replace(", runs: {days: 0}", ""))
    ids: collections.Counter[str] = collections.Counter()
    n_runs = 0
    for k in range(4, 10):
        now = datetime.combine(day(k + 1), datetime.min.time(), UTC) + HOUR / 2
        killed = table.run(None, today=now, fault=forked.Fault(at=rng.randint(40, 200), signal=signal.SIGKILL))
        # half past midnight is now half past eleven of the day before
        back = table.run(None, today=now - HOUR)
        on = table.run(None, today=now)
        again = table.run(None, today=now + HOUR)
        n_runs += 4
        if killed.code != -signal.SIGKILL:
            faults.append(f"night {k}: not killed: {killed.code}")
        if back.code or back.result["window"] != str(day(k - 1)) or (k > 4 and not back.result["repeated"]):
            faults.append(f"night {k}, set back: {back.code} {back.text[-300:]}")
        if on.code or on.result["window"] != str(day(k)) or on.result["repeated"]:
            faults.append(f"night {k}: {on.code} {on.text[-300:]}")
        if again.code or not again.result["repeated"]:
            faults.append(f"night {k}, an hour later: {again.code} {again.text[-300:]}")
        ids[on.result["run"]] += 1
    faults += [f"run {run} is that of {count} windows" for run, count in ids.items() if count > 1]
    versions = [version or 0 for action, version in table.actions() if action == "promote"]
    if versions != sorted(set(versions)):
        faults.append(f"promoted by a clock that is set back: {versions}")
    return n_runs


def whole_processes(folder: Path, library: str, faults: list[str]) -> int:
    """Run the command under another time: in nights in which clocks change, without TZ, and set back in its middle."""
    folder.mkdir()
    count = 0
    for name, changes, zone in (
        ("forward", date(2026, 3, 29), "Europe/Berlin"), ("back", date(2026, 10, 25), "Europe/Berlin"),
        ("apart", date(2026, 11, 1), "America/New_York"),
    ):  # fmt: skip
        table = Table(folder / name)
        table.folder.mkdir()
        first = (changes - FIRST_DAY).days - 6
        table.daily.add(first, first + 10)
        table.configure(more=f"timezone: {zone}\n")
        runs, windows = [], []
        for k, environment in enumerate(({}, {"TZ": "Asia/Tokyo"}, {"TZ": zone}, {"TZ": ""})):
            # a quarter past two on the clocks there: on the day of the change it is left out, or comes twice
            wall = datetime.combine(changes + (k - 1) * DAY, datetime.min.time()).replace(hour=2, minute=15)
            instant = wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
            ended = _process(table, library, instant, environment)
            count += 1
            if ended.code:
                faults.append(f"{name}, {instant}: exit {ended.code}: {ended.text[-400:]}")
                continue
            runs.append(ended.result["run"])
            windows.append(ended.result["window"])
        if windows != [str(changes + (k - 2) * DAY) for k in range(4)] or len(set(runs)) != len(runs):
            faults.append(f"{name}: windows {windows}, runs {runs}")
    return count + _set_back_in_the_middle(folder / "middle", library, faults)


def _set_back_in_the_middle(folder: Path, library: str, faults: list[str]) -> int:
    """Set the clock back by an hour while a retraining is at work."""
    folder.mkdir()
    table = Table(folder)
    table.daily.add(0, 9)
    table.configure(runner="local, workers: 1")
    quiet = table.copy(folder / "quiet")
    runs = []
    for k, after in enumerate((0.5, 1.5, 2.5)):
        now = datetime.combine(day(5 + k), datetime.min.time(), UTC) + 3 * HOUR
        clock = folder / "clock"
        _set(clock, now)
        running = _start(table, library, clock, {})
        if running.wait_seconds(after) is None:
            _set(clock, now - HOUR)
        ended = running.wait()
        if ended.code or ended.result["window"] != str(day(4 + k)):
            faults.append(f"set back in the middle: exit {ended.code}: {ended.text[-400:]}")
            continue
        runs.append(ended.result["run"])
        undisturbed = quiet.run(4 + k)
        candidate = ended.result["candidate"]
        if undisturbed.code or quiet.coefficients(candidate) != table.coefficients(candidate):
            faults.append(f"set back in the middle: other bits than {undisturbed.code} {undisturbed.text[-200:]}")
    if len(set(runs)) != 3:
        faults.append(f"set back in the middle: runs {runs}")
    return 3


def _process(table: Table, library: str, instant: datetime, environment: dict[str, str]) -> forked.Ended:
    clock = table.folder / "clock"
    _set(clock, instant)
    return _start(table, library, clock, environment).wait()


def _start(table: Table, library: str, clock: Path, environment: dict[str, str]) -> forked.Running:
    """Start the command as a process of its own; without TZ, unless it is given."""
    output = table.folder / "fake.txt"
    given = {name: value for name, value in os.environ.items() if name != "TZ"}
    given |= {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    # only what is the time of the day: a clock that is set does not change how long something takes
    given |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1", **environment}
    with output.open("wb") as file:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "mr_ml", "retrain", str(table.settings), "--json"],
            stdout=file, stderr=file, env=given,
        )  # fmt: skip
    return forked.Running(pid=process.pid, output=output, began=began)


def _set(clock: Path, instant: datetime) -> None:
    """Let the clock stand at an instant from now on, and go on from there."""
    # libfaketime reads it as the local time of the process, unless it is an offset
    offset = instant.timestamp() - time.time()
    temporary = clock.with_suffix(".new")
    temporary.write_text(f"{offset:+.0f}\n")
    temporary.replace(clock)


def _library() -> str | None:
    places = ("/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib64/faketime")
    found = (Path(place) / "libfaketime.so.1" for place in places)
    return next((str(path) for path in found if path.exists()), None)


if __name__ == "__main__":
    parsed(__doc__, run, warm_up, default=366, faketime="path of libfaketime.so.1, if it is not where Debian has it")
