#!/usr/bin/env bash
# Guess: CronSim yields the runs of a schedule that come after the moment it is given, whatever the clocks do.
# Happened: asked in the first part of an hour that clocks repeat, in its second pass, the first run of a daily schedule
#   lies in the past: 02:30 of the first pass, 40 minutes before. Schedules with a minute of every hour are right.
# Matters: a scheduler that sleeps until the next run finds it due at once and runs the night's job again; a monitor
#   that holds the last run against it raises an alarm. The README says that it follows Debian's cron, which runs once.
# Versions: cronsim 2.8, tzdata 2025.2. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install cronsim==2.8 tzdata==2025.2
observe <<'PY'
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from zoneinfo import ZoneInfo

from cronsim import CronSim

print(f"cronsim {version('cronsim')}")
print("expected: every run comes after the start")
nights = {"Europe/Berlin": (datetime(2026, 10, 25, 2, 10), "30 2 * * *"),
          "America/New_York": (datetime(2026, 11, 1, 1, 10), "30 1 * * *")}
as_seen = True
for zone, (clock, daily) in nights.items():
    for expression, in_past in ((daily, True), ("30 * * * *", False)):
        start = clock.replace(tzinfo=ZoneInfo(zone), fold=1).astimezone(UTC)
        first = next(CronSim(expression, start.astimezone(ZoneInfo(zone)))).astimezone(UTC)
        print(f"seen: {zone}, {expression!r} from {start:%H:%M} UTC: {first:%d %H:%M} UTC, "
              f"{(first - start).total_seconds() / 60:+.0f} minutes")
        as_seen &= (first <= start) == in_past
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
