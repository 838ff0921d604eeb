"""The rows that a model is trained on: the text of the last days, as files.

    today             the date in the named time zone
    last day          `delay_days` before today
    window            `days` days, the last of which is the last day
    late              the `late_days` newest of these may still be without data

Every window is found anew, so a day that arrives late is in the window of the next night. Whether there are enough
days, and new ones, the gate judges.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from typing import Annotated, NamedTuple

from hdfs_layout import NotFoundError, Store
from hdfs_layout.dataclass import dataclass
from hdfs_layout.paths import join
from mr_ml.catalog.provenance import InputFile
from mr_ml.data import stored
from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.text.find import FOLDER, Tree, look_for
from mr_ml.retraining.location import UNPRINTABLE, Location, check_marker, with_date
from mr_ml.retraining.zones import date_in, days_back, is_day, zone_named

_THREADS = 8
#: The splits: models are fitted on one and compared on the other.
TRAIN, TEST = "train", "test"
# Before that, zones have other rules than their data says.
_EARLIEST = date(1970, 1, 1)

DayCount = Annotated[int, stored.at_least(1), stored.at_most(10_000)]


class _File(NamedTuple):
    """A file by its full name, its path in the store, and its size."""

    name: str
    path: str
    size: int


@dataclass(frozen=True, kw_only=True)
class InputRules:
    """The section `input:` of `retrain.yaml`: where the text is, and of which days.

    Attributes
    ----------
    location
        A path or URI with ``{date}`` in it. What is there for a date is the text of that day: a folder, with all files
        in it but those that begin with ``_`` or ``.``; a file; or files and folders that a pattern (``part-*``) names.
        ``{date}`` is 2026-11-26; ``{date:%Y/%m/%d}`` spells it otherwise, by %Y %y %m %d %j, and %-m and %-d without a
        leading zero.
    days
        How many days the window has.
    delay_days
        How many days before today its last day is: 1 is yesterday, 0 today, which is not over yet.
    late_days
        So many of the newest days may be without data, without being stale.
    min_days
        So many days must have data; None for all but `late_days`.
    min_rows
        So many rows must there be.
    complete_marker
        A day without this file has no data yet: its name in the folder of the day, or in the folder that the day's file
        is in; ``{date}`` may be part of it.
    """

    location: str
    days: DayCount
    delay_days: Annotated[int, stored.at_least(0), stored.at_most(10_000)] = 1
    late_days: stored.Count = 0
    min_days: stored.Positive | None = None
    min_rows: stored.Positive = 1
    complete_marker: str | None = None

    def check_stored(self) -> None:
        """Raise ValueError if values cannot be, or not together."""
        location = Location.parse(self.location)
        if self.late_days >= self.days:
            raise ValueError(f"expected late_days below the {self.days} days, found {self.late_days}")
        if self.min_days is not None and self.min_days > self.days:
            raise ValueError(f"expected min_days up to the {self.days} days, found {self.min_days}")
        if self.complete_marker is not None:
            check_marker(self.complete_marker, location)

    @property
    def least_days(self) -> int:
        """How many days must have data."""
        return self.days - self.late_days if self.min_days is None else self.min_days


@dataclass(frozen=True, kw_only=True)
class Day:
    """A day that has data.

    Attributes
    ----------
    date
        In the window's time zone.
    files
        Sorted by path; at least one is not empty.
    """

    date: date
    files: tuple[InputFile, ...]

    @property
    def n_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, kw_only=True)
class Window:
    """The days that a model is trained on, and what there is of them.

    Attributes
    ----------
    first, last
        Its first and its last day.
    timezone
        Whose dates these are.
    days
        Those that have data, ascending.
    missing
        Those that have not, ascending.
    """

    first: date
    last: date
    timezone: str
    days: tuple[Day, ...]
    missing: tuple[date, ...]

    @property
    def label(self) -> str:
        """The last day, by which the window is known: 2026-11-26."""
        return self.last.isoformat()

    @property
    def files(self) -> tuple[InputFile, ...]:
        """All files, day by day."""
        return tuple(file for day in self.days for file in day.files)

    @property
    def n_bytes(self) -> int:
        """Size of all files."""
        return sum(day.n_bytes for day in self.days)

    @property
    def days_behind(self) -> int:
        """How many of the newest days have no data: more than `InputRules.late_days` are stale."""
        newest = self.days[-1].date
        return sum(day > newest for day in self.missing)

    @property
    def fingerprint(self) -> str:
        """A sha256 of day, path, size and checksum of all files: another one means other data."""
        listed = [[file.day, file.path, file.size, file.checksum] for file in self.files]
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()

    def by_time(self, *, test_days: int) -> dict[str, list[str]]:
        """Return the paths by split: ``test`` is the newest days that have data, ``train`` the days before.

        Raises
        ------
        BadDataError
            If that leaves no day to train on.
        """
        if not 1 <= test_days < len(self.days):
            raise BadDataError(
                f"expected more than {test_days} days with data in {self.first} to {self.last}, to train on those "
                f"before the {test_days} that are tested on; found {len(self.days)}"
            )
        parts = {TRAIN: self.days[:-test_days], TEST: self.days[-test_days:]}
        return {split: [file.path for day in days for file in day.files] for split, days in parts.items()}


def find_window(rules: InputRules, *, timezone: str, today: date | None = None, last: date | None = None) -> Window:
    """Find the days of a window, and the files of each, with their checksums.

    Parameters
    ----------
    timezone
        Name of the time zone whose dates days are, such as Europe/Berlin.
    today
        The date there; by default that of now.
    last
        The last day of the window, instead of the one `delay_days` before today.

    Raises
    ------
    UsageError
        If there is no such time zone, day or store, or a file is there by two names.
    BadDataError
        If a file has a name that cannot be passed on.
    NotFoundError
        If no day has data.
    StorageError
        If something cannot be read.
    """
    days, store, found = _find(rules, timezone, today=today, last=last)
    waiting = [(day, file) for day, of_day in found.items() for file in of_day]
    files: dict[date, list[InputFile]] = {day: [] for day in found}
    with ThreadPoolExecutor(_THREADS) as threads:
        for (day, _), file in zip(waiting, threads.map(partial(_input, store), waiting), strict=True):
            files[day].append(file)
    return Window(
        first=days[0],
        last=days[-1],
        timezone=timezone,
        days=tuple(Day(date=day, files=tuple(of_day)) for day, of_day in files.items()),
        missing=tuple(day for day in days if day not in files),
    )


def missing_days(rules: InputRules, *, timezone: str, last: date | None = None) -> tuple[date, tuple[date, ...]]:
    """Find the last day of a window, and those of its days that have no data; reads no content. See `find_window`."""
    days, _, found = _find(rules, timezone, today=None, last=last)
    return days[-1], tuple(day for day in days if day not in found)


def _find(
    rules: InputRules, timezone: str, *, today: date | None, last: date | None
) -> tuple[list[date], Store, dict[date, list[_File]]]:
    """Return the days of a window, and the store and the files of those that have data."""
    stored.check(InputRules, vars(rules), what="`input`")
    days = _days(rules, timezone, today=today, last=last)
    store, found = _look(rules, days)
    if not found:
        raise _nothing(rules, days)
    return days, store, found


def _days(rules: InputRules, timezone: str, *, today: date | None, last: date | None) -> list[date]:
    """Return the days of the window, ascending."""
    zone = zone_named(timezone)
    now = date_in(zone) if today is None else today
    if last is None:
        last = next(itertools.islice(days_back(now, zone), rules.delay_days, None))
    if not is_day(last, zone):
        raise UsageError(f"expected a day of {timezone}, found {last}, which was left out there: take another one")
    if not _EARLIEST <= last <= now:
        raise UsageError(f"expected a last day from {_EARLIEST} to {now}, which is today in {timezone}; found {last}")
    return list(itertools.islice(days_back(last, zone), rules.days))[::-1]


def _look(rules: InputRules, days: Sequence[date]) -> tuple[Store, dict[date, list[_File]]]:
    """Return the store and the files of each day that has data: is complete, and has a file that is not empty."""
    location = Location.parse(rules.location)
    store, tree, start = location.open()
    complete = [day for day in days if _is_complete(day, rules.complete_marker, location, store, tree, start)]
    found = look_for([(tree, start + location.of(day)) for day in complete])
    return store, {
        day: [_File(file.name, file.path.removeprefix(start), file.status.size) for file in files]
        for day, files in zip(complete, found, strict=True)
        if any(file.status.size for file in files)
    }


def _is_complete(day: date, marker: str | None, location: Location, store: Store, tree: Tree, start: str) -> bool:
    if marker is None:
        return True
    place = location.of(day)
    status = tree.look(start + place)
    folder = place if status is not None and status.kind == FOLDER else place.rpartition("/")[0]
    return store.exists(join(folder, with_date(marker, day)))


def _input(store: Store, of_day: tuple[date, _File]) -> InputFile:
    day, file = of_day
    if UNPRINTABLE.search(file.name):
        raise BadDataError(
            f"expected a file name without control characters that UTF-8 can write, found {file.name!a}; rename it"
        )
    return InputFile(path=file.name, size=file.size, checksum=store.checksum(file.path), day=day.isoformat())


def _nothing(rules: InputRules, days: Sequence[date]) -> NotFoundError:
    location = Location.parse(rules.location)
    marked = "" if rules.complete_marker is None else f", complete with {rules.complete_marker}"
    first, last = (f"{location.folder}{location.of(day)}" for day in (days[0], days[-1]))
    return NotFoundError(
        f"expected files with data for some of the {len(days)} days from {days[0]} to {days[-1]}{marked}; found none: "
        f"looked for {first} to {last}. Check what `location` says, and whether the input has been written"
    )
