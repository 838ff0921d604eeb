"""Days of a named time zone, whatever the zone of this machine is.

A day is a date on the calendars of the zone. Clocks that are put forward or back change how long it is, not that it is
one day. A zone that crosses the date line leaves out a date: Pacific/Apia went from 29 to 31 December 2011. Such a date
is no day there: windows step over it, and no data can be missing for it.
"""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from mr_ml.data import stored
from mr_ml.errors import UsageError

_DAY = timedelta(days=1)


def zone_named(name: str) -> ZoneInfo:
    """Return the time zone of this name, such as Europe/Berlin.

    Raises
    ------
    UsageError
        If there is none, or this machine knows none.
    """
    # neither paths nor what is another zone on another machine, or none
    known = zoneinfo.available_timezones() - {"localtime", "Factory"}
    if name in known:
        return ZoneInfo(name)
    if not known:
        raise UsageError(
            "`timezone`: expected that this machine has data of time zones, found none; install tzdata: "
            "`pip install mr_ml[retrain]`"
        )
    by_word = {word.lower(): zone for zone in sorted(known) for word in (zone, zone.rpartition("/")[2])}
    close = difflib.get_close_matches(str(name).replace(" ", "_").lower(), by_word, n=3, cutoff=0.7)
    meant = " or ".join(dict.fromkeys(by_word[word] for word in close))
    hint = f"did you mean {meant}?" if meant else "take one such as UTC or Europe/Berlin"
    raise UsageError(f"`timezone`: expected the name of a time zone, found {stored.shown(name)}; {hint}")


def date_in(zone: ZoneInfo, *, now: datetime | None = None) -> date:
    """Return the date that it is in the zone at an instant with its own time zone; by default now."""
    return (now or datetime.now(UTC)).astimezone(zone).date()


def is_day(day: date, zone: ZoneInfo) -> bool:
    """Whether there was, or will be, such a date in the zone."""
    return any(_date_of(datetime.combine(day, time(hour), zone)) == day for hour in range(24))


def days_back(day: date, zone: ZoneInfo) -> Iterator[date]:
    """Yield the days of the zone from one back, this one if it is one."""
    while True:
        if is_day(day, zone):
            yield day
        day -= _DAY


def _date_of(wall: datetime) -> date:
    """Return the date on which the clock shows that, or would if that hour had not been left out."""
    return wall.astimezone(UTC).astimezone(wall.tzinfo).date()
