"""mr-ml schedule: a retraining as a line of cron's or units of systemd's, and when it would run."""

from __future__ import annotations

import argparse
import getpass
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, pairwise
from typing import Any

from hdfs_layout.open import scheme_of
from mr_ml.cli import crontab
from mr_ml.cli.common import narrator, print_result, table
from mr_ml.errors import UsageError
from mr_ml.retraining.config import RetrainConfig, load_config
from mr_ml.retraining.timetable import Change, Schedule, around, changes, zone_of_machine
from mr_ml.retraining.zones import zone_named

_SHOWN = 5
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
# a year of daily runs
_LOOKED_AT = 370
# What a shell has from its profile, and cron and systemd have not.
_FORWARDED = (
    "HADOOP_HOME", "HADOOP_CONF_DIR", "HADOOP_USER_NAME", "JAVA_HOME", "KRB5CCNAME", "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE", "LANG", "LC_ALL",
)  # fmt: skip

Runs = Callable[[tzinfo, datetime], Iterator[datetime]]


def run(options: argparse.Namespace) -> None:
    """Print what a scheduler needs, and the next runs."""
    say = narrator(options)
    path = os.path.abspath(options.file)
    config = load_config(path)
    schedule = Schedule.daily(options.at) if options.cron is None else Schedule.parse(options.cron)
    here = zone_of_machine() if options.timezone is None else options.timezone
    zone = zone_named(here)
    if options.user is not None and not _USER.fullmatch(options.user):
        raise UsageError(f"`user`: expected the name of a user, found {options.user!a}")
    job = _job(options, path, config)
    runs: Runs = schedule.by_systemd if options.systemd else schedule.by_cron
    now = datetime.now(UTC)
    next_runs = [_described(moment, config) for moment in islice(runs(zone, now), _SHOWN)]
    data: dict[str, Any] = {"timezone": here, "runs": next_runs, "changes": []}
    if options.systemd:
        # without a zone, a timer goes by the machine's
        suffix = "" if options.timezone is None else f" {here}"
        calendars = [calendar + suffix for calendar in schedule.on_calendar()]
        texts = {"service": crontab.service(job), "timer": crontab.timer(job, calendars)}
    else:
        texts = {
            "crontab": crontab.crontab(job, schedule.expression),
            "cron_d": crontab.cron_d(job, schedule.expression),
        }
    touched = [change for change in changes(zone, now) if schedule.matches(change)]
    for change in touched:
        data["changes"].append(_change(schedule, zone, change, config))
        say("warning: " + _warning(schedule, change, here, is_systemd=options.systemd))
    jumps = window_jumps(islice(runs(zone, now), _LOOKED_AT), zone_named(config.timezone))
    if jumps:
        say(
            f"warning: {jumps[0]}; the days of the settings are those of {config.timezone}: take a time far "
            "from its midnight"
        )
    if not options.systemd and options.timezone is not None and (machine := _machine_zone()) != here:
        say(
            f"warning: cron goes by the time zone of the machine that it runs on, which here is {machine}; the times "
            f"below are those of a machine in {here}. Debian's cron does not know CRON_TZ"
        )
    print_result(options, {**data, **texts, "unit": job.unit}, _text(job, texts, data, here))


def window_jumps(runs: Iterable[datetime], zone: tzinfo) -> list[str]:
    """Say which of daily runs come on one date of a zone with the run before, or leave out a date."""
    found = []
    for before, run in pairwise(runs):
        if not timedelta(hours=20) < run - before < timedelta(hours=28):
            # no daily run, or one that a change of the clocks has moved
            continue
        days = (run.astimezone(zone).date() - before.astimezone(zone).date()).days
        if days != 1:
            what = "is on the same date as" if days == 0 else "leaves out a date after"
            found.append(f"the run at {run.isoformat(' ', 'minutes')} {what} the run before")
    return found


def _job(options: argparse.Namespace, path: str, config: RetrainConfig) -> crontab.Job:
    root = options.root if config.root is None else None
    command = [*_program(), "retrain", path]
    if root is not None:
        command += ["--root", root if scheme_of(root) else os.path.abspath(os.path.expanduser(root))]
    return crontab.Job(
        name=config.model,
        command=command,
        log=os.path.abspath(options.log or os.path.splitext(path)[0] + ".log"),
        user=options.user or getpass.getuser(),
        environment={name: os.environ[name] for name in _FORWARDED if os.environ.get(name)},
        secrets=config.variables,
    )


def _program() -> list[str]:
    """Return the words that start mr-ml, wherever they are said."""
    beside = os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "mr-ml")
    found = beside if os.access(beside, os.X_OK) else shutil.which("mr-ml")
    return [os.path.abspath(sys.executable), "-m", "mr_ml"] if found is None else [os.path.abspath(found)]


def _machine_zone() -> str:
    try:
        return zone_of_machine()
    except UsageError:
        return "not known"


def _described(moment: datetime, config: RetrainConfig) -> dict[str, str]:
    today = moment.astimezone(zone_named(config.timezone)).date()
    return {
        "local": moment.isoformat(" ", "minutes"),
        "utc": moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "minutes") + "Z",
        "last_day": (today - timedelta(days=config.input.delay_days)).isoformat(),
    }


def _change(schedule: Schedule, zone: tzinfo, change: Change, config: RetrainConfig) -> dict[str, Any]:
    by = {"cron": schedule.by_cron, "systemd": schedule.by_systemd}
    found = {name: [_described(run, config) for run in around(runs, zone, change)] for name, runs in by.items()}
    return {"at": change.at.isoformat(), "first": change.first.isoformat(), "last": change.last.isoformat(), **found}


def _warning(schedule: Schedule, change: Change, zone: str, *, is_systemd: bool) -> str:
    what = "are left out" if change.is_gap else "come twice"
    if is_systemd:
        then = "a run in them is left out" if change.is_gap else "a run in them comes the first time only"
    elif schedule.is_fixed:
        then = "a run in them comes right after" if change.is_gap else "a run in them comes the first time only"
    else:
        then = "there is no run in them" if change.is_gap else "runs in them come twice"
    advice = "`timezone` UTC" if is_systemd else "set the machine to UTC"
    return (
        f"on {change.first:%Y-%m-%d} the times from {change.first:%H:%M} to {change.last:%H:%M} {what} in {zone}: "
        f"{then}; take another hour, or {advice}"
    )


def _text(job: crontab.Job, texts: Mapping[str, str], data: Mapping[str, Any], zone: str) -> str:
    heads = {
        "crontab": f"# For `crontab -e` of {job.user}; the last line of the file must end.",
        "cron_d": f"# Or as a file /etc/cron.d/{job.unit} (no dot in its name), root's, and for nobody else to write:",
        "service": f"# /etc/systemd/system/{job.unit}.service",
        "timer": f"# /etc/systemd/system/{job.unit}.timer, which `systemctl enable --now {job.unit}.timer` starts",
    }
    # what is shown as a whole is a crontab, so only one of both lines may count
    shown = {**texts, "cron_d": "".join(f"# {line}\n" for line in texts.get("cron_d", "").splitlines())}
    parts = [f"{heads[name]}\n{shown[name]}" for name in texts]
    parts.append(_table(f"# next runs, {zone}", data["runs"]))
    for change in data["changes"]:
        same = change["cron"] == change["systemd"]
        for name in ("cron",) if same else ("cron", "systemd"):
            by = "cron and systemd" if same else name
            parts.append(_table(f"# {change['first'][:10]}, {by}", change[name]))
    return "\n".join(parts).rstrip("\n")


def _table(title: str, runs: list[dict[str, str]]) -> str:
    rows = [[f"#   {run['local']}", run["utc"], run["last_day"]] for run in runs]
    return table([title, "UTC", "last day of the data"], rows) + "\n"
