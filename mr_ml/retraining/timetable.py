"""When a schedule runs, by cron and by systemd, also on days on which clocks are put forward or back.

cron (Debian's, which cronsim follows)
    A job whose minute and hour both are numbers runs once: one whose time is left out runs right after the gap, one
    whose time comes twice runs the first time. With `*` in front of the minute or the hour it runs by the clock.
systemd (252, held against ``systemd-analyze calendar``)
    A time that is left out does not run at all on that day; one that comes twice runs the first time, always.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from pathlib import Path
from typing import Any

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UnavailableError, UsageError

_HOUR = timedelta(hours=1)
_MOST_AROUND = 8
_YEAR = timedelta(days=366)
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
# What cron reads; cronsim knows more, which cron would refuse, or take for the command.
_TERM = r"(?:\*(?:/[0-9]+)?|[0-9]+-[0-9]+(?:/[0-9]+)?|[0-9]+|[A-Za-z]{3}(?:-[A-Za-z]{3})?)"
_FIELD = re.compile(rf"{_TERM}(?:,{_TERM})*", re.ASCII)
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of the clocks of a time zone.

    Attributes
    ----------
    at
        The instant.
    first, last
        Wall times from which and up to which a time is left out, or comes twice.
    is_gap
        Whether it is left out.
    """

    at: datetime
    first: datetime
    last: datetime
    is_gap: bool


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Five fields of cron: minute, hour, day of the month, month, day of the week.

    Attributes
    ----------
    expression
        The fields, one blank apart.
    """

    expression: str

    @classmethod
    def parse(cls, expression: str) -> Schedule:
        """Read five fields, or a nickname such as @daily.

        Raises
        ------
        UsageError
            If cron would not take it, or it never comes.
        UnavailableError
            If cronsim is not installed.
        """
        words = _NICKNAMES.get(expression.strip().lower(), expression).split()
        if len(words) != 5 or not all(map(_FIELD.fullmatch, words)):
            raise UsageError(
                "`cron`: expected five fields (minute, hour, day of the month, month, day of the week), such as "
                f"'15 2 * * *', found {expression!a}"
            )
        made = cls(expression=" ".join(words))
        try:
            next(made._wall(datetime(2024, 1, 1)))
        except (_cronsim().CronSimError, StopIteration) as error:
            raise UsageError(f"`cron`: {expression!a}: {str(error) or 'there is no such day'}") from None
        return made

    @classmethod
    def daily(cls, at: str) -> Schedule:
        """Read a time of the day, ``02:15``.

        Raises
        ------
        UsageError
            If it is none.
        """
        match = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", at, re.ASCII)
        if not match:
            raise UsageError(f"`at`: expected a time of the day, such as 02:15, found {at!a}")
        return cls.parse(f"{int(match[2])} {int(match[1])} * * *")

    @property
    def is_fixed(self) -> bool:
        """Whether cron takes it for a job at fixed times."""
        minute, hour, *_ = self.expression.split()
        return not minute.startswith("*") and not hour.startswith("*")

    def by_cron(self, zone: tzinfo, start: datetime) -> Iterator[datetime]:
        """Yield the runs after an instant, in the zone."""
        for run in _cronsim().CronSim(self.expression, start.astimezone(zone)):
            # of an hour that comes twice, cronsim yields the first also to who starts in the second
            if (there := run.astimezone(UTC)) > start:
                yield there.astimezone(zone)

    def by_systemd(self, zone: tzinfo, start: datetime) -> Iterator[datetime]:
        """Yield the runs after an instant, in the zone."""
        # a wall time that comes twice may still come, although the clock shows a later one
        wall = start.astimezone(zone).replace(tzinfo=None) - timedelta(days=1)
        for candidate in self._wall(wall):
            run = candidate.replace(tzinfo=zone)
            there = run.astimezone(UTC)
            if there > start and there.astimezone(zone).replace(tzinfo=None) == candidate:
                yield there.astimezone(zone)

    def matches(self, change: Change) -> bool:
        """Whether it names a time that a change leaves out or doubles."""
        found = next(self._wall(change.first - timedelta(minutes=1)), None)
        return found is not None and found < change.last

    def on_calendar(self) -> list[str]:
        """Return it as systemd's OnCalendar=; several, if cron takes one day or another."""
        parsed = _cronsim().CronSim(self.expression, datetime(2024, 1, 1))
        clock = f"{_listed(parsed.hours, range(24))}:{_listed(parsed.minutes, range(60))}:00"
        months = _listed(parsed.months, range(1, 13))
        days, weekdays = _listed(parsed.days, range(1, 32)), {day % 7 for day in parsed.weekdays}
        named = [_DAYS[day] for day in sorted(weekdays, key=lambda day: day or 7)]
        names = "" if len(named) == 7 else ",".join(named) + " "
        if not parsed.day_and and days != "*" and names:
            return [f"*-{months}-{days} {clock}", f"{names}*-{months}-* {clock}"]
        return [f"{names}*-{months}-{days} {clock}"]

    def _wall(self, after: datetime) -> Iterator[datetime]:
        """Yield what it names on a clock that is never changed."""
        found: Iterator[datetime] = _cronsim().CronSim(self.expression, after)
        return found


def changes(zone: tzinfo, start: datetime) -> list[Change]:
    """Return the changes of the clocks in the year after an instant."""
    found = []
    instant, end = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0), start + _YEAR
    while instant < end:
        after = instant + _HOUR
        before_offset, offset = (moment.astimezone(zone).utcoffset() for moment in (instant, after))
        if before_offset is not None and offset is not None and before_offset != offset:
            low, high = instant, after
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) // 2
                low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before_offset else (low, middle)
            at = high.replace(second=0, microsecond=0)
            walls = sorted((at + by).replace(tzinfo=None) for by in (before_offset, offset))
            found.append(Change(at=at, first=walls[0], last=walls[1], is_gap=offset > before_offset))
        instant = after
    return found


def around(runs: Callable[[tzinfo, datetime], Iterator[datetime]], zone: tzinfo, change: Change) -> list[datetime]:
    """Return the runs about a day before and after a change; of frequent ones those of a few hours."""
    for hours in (26, 3, 1):
        by, found = timedelta(hours=hours), runs(zone, change.at - timedelta(hours=hours))
        listed = [run for run in islice(found, _MOST_AROUND + 1) if run - change.at <= by]
        if len(listed) <= _MOST_AROUND:
            break
    return listed[:_MOST_AROUND]


def zone_of_machine(localtime: Path = Path("/etc/localtime")) -> str:
    """Return the name of the time zone by which cron and systemd run jobs here: not that of TZ, which is a user's.

    Raises
    ------
    UsageError
        If it has no name.
    """
    if not localtime.exists():
        return "UTC"
    parts = localtime.resolve().parts
    known = zoneinfo.available_timezones()
    for k in range(1, 4):
        if "/".join(parts[-k:]) in known:
            return "/".join(parts[-k:])
    raise UsageError(f"{localtime} does not say which time zone this machine is in: name it by `timezone`")


def _listed(numbers: set[int], every: range) -> str:
    return "*" if set(every) <= numbers else ",".join(f"{number:02d}" for number in sorted(numbers))


def _cronsim() -> Any:
    try:
        import cronsim
    except ImportError as error:
        raise UnavailableError(
            f"schedules need cronsim, which cannot be imported ({error}); run: pip install 'mr_ml[retrain]'"
        ) from None
    return cronsim
