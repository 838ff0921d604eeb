"""mr-ml schedule: what it prints is read by shells, by systemd and by the clock as it was meant."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.cli import crontab, main
from mr_ml.cli.schedule import window_jumps
from mr_ml.errors import UsageError
from mr_ml.retraining.timetable import Schedule, around, changes, zone_of_machine

BERLIN = ZoneInfo("Europe/Berlin")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")

# As Debian's cron 3.0pl1 was seen to do when its clock was led across such nights, and as systemd 252 says.
# Schedule -> local times of the runs in the night of 2027-03-28 and of 2026-10-25, in Europe/Berlin.
NIGHTS = [
    ("30 2 * * *", "cron", ["03:00+02"], ["02:30+02"]),
    ("30 2 * * *", "systemd", [], ["02:30+02"]),
    ("15 1-4 * * *", "cron", ["01:15+01", "03:00+02", "03:15+02", "04:15+02"],
     ["01:15+02", "02:15+02", "03:15+01", "04:15+01"]),
    ("15 1-4 * * *", "systemd", ["01:15+01", "03:15+02", "04:15+02"], ["01:15+02", "02:15+02", "03:15+01", "04:15+01"]),
    ("15 * * * *", "cron", ["00:15+01", "01:15+01", "03:15+02", "04:15+02"],
     ["00:15+02", "01:15+02", "02:15+02", "02:15+01", "03:15+01", "04:15+01"]),
    ("15 * * * *", "systemd", ["00:15+01", "01:15+01", "03:15+02", "04:15+02"],
     ["00:15+02", "01:15+02", "02:15+02", "03:15+01", "04:15+01"]),
    ("30 2 * * 0", "systemd", [], ["02:30+02"]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "by", "spring", "autumn"), NIGHTS)
def test_runs_across_changes_of_the_clock(expression: str, by: str, spring: list[str], autumn: list[str]) -> None:
    schedule = Schedule.parse(expression)
    runs = schedule.by_cron if by == "cron" else schedule.by_systemd
    for (month, day), expected in (((3, 28), spring), ((10, 25), autumn)):
        year = 2027 if month == 3 else 2026
        start = datetime(year, month, day, tzinfo=BERLIN) - timedelta(seconds=1)
        end = datetime(year, month, day, 4, 59, tzinfo=BERLIN)
        found = [run for run in islice(runs(BERLIN, start), 12) if run.astimezone(UTC) <= end.astimezone(UTC)]
        assert [run.strftime("%H:%M%z")[:8] for run in found] == expected


def test_no_run_lies_in_the_past() -> None:
    """Also for who asks in an hour that comes twice, the second time."""
    start = datetime(2026, 10, 25, 1, 20, tzinfo=UTC)
    schedule = Schedule.parse("30 2 * * *")
    for runs in (schedule.by_cron, schedule.by_systemd):
        assert next(runs(BERLIN, start)) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


FIELDS = st.tuples(
    st.sampled_from(["0", "7,30", "59"]), st.sampled_from(["2", "0-3", "1-23/5", "4"]),
    st.sampled_from(["*", "1", "15,31", "*/9"]), st.sampled_from(["*", "3", "3,10", "*/3"]),
    st.sampled_from(["*", "0", "7", "1-5"]),
)  # fmt: skip


@needs_systemd
@examples(15)
@given(FIELDS)
def test_systemd_runs_when_we_say(fields: tuple[str, ...]) -> None:
    """systemd-analyze, about what we print: it says when, in a zone that changes its clocks."""
    schedule = Schedule.parse(" ".join(fields))
    calendars = schedule.on_calendar()
    base = datetime(2027, 3, 25, tzinfo=UTC)
    found: set[datetime] = set()
    for calendar in calendars:
        command = ["systemd-analyze", "calendar", "--iterations=8", f"--base-time={base:%Y-%m-%d %H:%M:%S} UTC"]
        done = subprocess.run(
            [*command, f"{calendar} Europe/Berlin"],
            capture_output=True,
            text=True,
            check=True,
            env={"TZ": "UTC", "LC_ALL": "C"},
        )
        texts = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ ([-0-9]+ [:0-9]+) UTC", done.stdout)
        found |= {datetime.fromisoformat(text).replace(tzinfo=UTC) for text in texts}
    assert [run.astimezone(UTC) for run in islice(schedule.by_systemd(BERLIN, base), 8)] == sorted(found)[:8]


@pytest.mark.parametrize(
    "expression",
    ["", "1 2 3 4", "0 0 0 2 * *", "61 2 * * *", "5/10 2 * * *", "0 2 L * *", "0 2 * * 1#2", "0 2 30 2 *", "@reboot",
     "0 2 * * *; rm", "0 2 * * *\n", "0 24 * * *", "0 2 31 2,4 *", "a b c d e", "0 -1 * * *", "0 5-2 * * *"],
)  # fmt: skip
def test_what_cron_would_not_take_is_refused(expression: str) -> None:
    if expression.endswith("\n"):
        assert Schedule.parse(expression).expression == expression.strip()
    else:
        with pytest.raises(UsageError, match="`cron`: "):
            Schedule.parse(expression)


def test_nicknames_and_times_of_the_day() -> None:
    assert Schedule.parse("@daily").expression == "0 0 * * *"
    assert Schedule.daily("02:15").expression == "15 2 * * *"
    for wrong in ("24:00", "2", "02:60", "\u0660\u0662:15", "-1:00"):
        with pytest.raises(UsageError, match="`at`: "):
            Schedule.daily(wrong)


def test_changes_of_the_clock() -> None:
    """The rules of the European Union, of New Zealand, and of an island that moves its clocks by half an hour."""
    start = datetime(2026, 12, 1, tzinfo=UTC)
    found = {name: changes(ZoneInfo(name), start) for name in ("Europe/Berlin", "Australia/Lord_Howe", "UTC")}
    berlin = [(change.at.isoformat(), change.is_gap) for change in found["Europe/Berlin"]]
    assert berlin == [("2027-03-28T01:00:00+00:00", True), ("2027-10-31T01:00:00+00:00", False)]
    assert [change.last - change.first for change in found["Australia/Lord_Howe"]] == [timedelta(minutes=30)] * 2
    assert found["UTC"] == []
    spring = found["Europe/Berlin"][0]
    named = {text: Schedule.daily(text).matches(spring) for text in ("01:59", "02:00", "02:59", "03:00")}
    assert named == {"01:59": False, "02:00": True, "02:59": True, "03:00": False}
    assert len(around(Schedule.parse("* * * * *").by_cron, BERLIN, spring)) <= 8


def test_the_zone_of_the_machine_is_not_that_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    zone = tmp_path / "zoneinfo" / "Europe" / "Berlin"
    zone.parent.mkdir(parents=True)
    zone.touch()
    (tmp_path / "localtime").symlink_to(zone)
    assert zone_of_machine(tmp_path / "localtime") == "Europe/Berlin"
    assert zone_of_machine(tmp_path / "none") == "UTC"
    (tmp_path / "copied").write_bytes(b"TZif")
    with pytest.raises(UsageError, match="`timezone`"):
        zone_of_machine(tmp_path / "copied")


def test_daily_runs_near_midnight_of_another_zone_jump() -> None:
    start = datetime(2026, 12, 1, tzinfo=UTC)

    def jumps(at: str) -> list[str]:
        return window_jumps(islice(Schedule.daily(at).by_cron(UTC, start), 370), BERLIN)

    assert jumps("12:00") == jumps("02:15") == []
    left_out, twice = jumps("22:30")
    # 23:30 in winter, 00:30 in summer
    assert left_out.startswith("the run at 2027-03-28 22:30+00:00 leaves out a date")
    assert twice.startswith("the run at 2027-10-31 22:30+00:00 is on the same date")


HOSTILE = [
    "/a b/c",
    "/a'b",
    '/a"b',
    "/a$HOME`id`;x",
    "/100%/%h",
    "/ä/*?[x]",
    "/#x",
    "/a&b|c>d",
    "/{x}~!",
    "-x",
    "/a\\b",
    "$X",
]


def job(*paths: str, **changed: object) -> crontab.Job:
    known = {"name": "ctr", "log": "/var/log/x", "user": "ml", "environment": {}, "secrets": []}
    return crontab.Job(command=["/opt/my venv/bin/mr-ml", "retrain", *paths], **{**known, **changed})  # type: ignore[arg-type]


def as_cron_runs_it(line: str) -> str:
    """What cron gives the shell: up to the first % without a backslash, which escapes it."""
    command = re.split(r"(?<!\\)%", line)[0]
    return command.replace("\\%", "%")


@pytest.mark.parametrize("path", [path for path in HOSTILE if "\\" not in path])
def test_a_shell_reads_the_words_of_the_crontab(path: str) -> None:
    text = crontab.crontab(job(path, log=path), "15 2 * * *")
    assert text.endswith("\n")
    schedule, command = text[:11], as_cron_runs_it(text.rstrip("\n")[11:])
    assert schedule == "15 2 * * * "
    assert shlex.split(command) == [
        "/opt/my venv/bin/mr-ml",
        "retrain",
        path,
        *shlex.split(f">>{shlex.quote(path)}"),
        "2>&1",
    ]
    subprocess.run(["sh", "-n", "-c", command], check=True)
    # a shell, with the program replaced by one that shows its words
    shown = command.replace("'/opt/my venv/bin/mr-ml'", "printf '%s\\0'").rpartition(" >>")[0]
    done = subprocess.run(["sh", "-c", shown], capture_output=True, check=True, cwd="/")
    assert done.stdout.decode() == f"retrain\0{path}\0"


@pytest.mark.parametrize("path", ["/a\nb", "/a\rb", "/a\0b", "/a\\b", "/a\x1bb"])
def test_what_cron_cannot_say_is_refused(path: str) -> None:
    for wrong in (job(path), job(log=path)):
        with pytest.raises(UsageError, match="expected paths without"):
            crontab.crontab(wrong, "15 2 * * *")
    with pytest.raises(UsageError, match="at most"):
        crontab.crontab(job("/" + "x" * 1000), "15 2 * * *")
    with pytest.raises(UsageError, match="expected a value of X"):
        crontab.crontab(job("/x", environment={"X": 'a"\nb'}), "15 2 * * *")


def test_cron_d_has_a_user_and_a_name_without_dots() -> None:
    made = job("/x.yaml", name="ctr.v2", secrets=["HOOK"], environment={"JAVA_HOME": "/opt/java"})
    assert made.unit == "mr_ml-ctr_v2"
    *lines, last = crontab.cron_d(made, "15 2 * * *").splitlines()
    assert last.startswith("15 2 * * * ml '/opt/my venv/bin/mr-ml' retrain /x.yaml >>")
    assert lines[0] == 'JAVA_HOME="/opt/java"'
    assert any(line.startswith("# HOOK=") for line in lines)


@needs_systemd
@pytest.mark.parametrize("path", HOSTILE)
def test_systemd_reads_the_units(tmp_path: Path, path: str) -> None:
    program = tmp_path / "my venv" / "mr-ml"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    made = crontab.Job(
        name="ctr", command=[str(program), "retrain", path], log="", user="root", environment={"A": "b c%"}, secrets=[]
    )
    calendars = Schedule.parse("0 3 1,15 * 1").on_calendar()
    (tmp_path / f"{made.unit}.service").write_text(crontab.service(made))
    (tmp_path / f"{made.unit}.timer").write_text(crontab.timer(made, [*calendars, "*-*-* 02:15:00 Europe/Berlin"]))
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"]
    units = [str(tmp_path / f"{made.unit}.{kind}") for kind in ("service", "timer")]
    done = subprocess.run([*command, *units], capture_output=True, text=True)
    said = [line for line in (done.stdout + done.stderr).splitlines() if str(tmp_path) in line or made.unit in line]
    assert (done.returncode, said) == (0, [])


def test_systemd_words() -> None:
    """By the rules of systemd.syntax(7) and systemd.service(5): C escapes in quotes, %% and $$."""
    words = ["/opt/a$b/mr-ml", "50%", 'say "x"', "a\\b", "$HOME", "ä"]
    assert crontab.exec_line(words) == '"/opt/a$b/mr-ml" "50%%" "say \\"x\\"" "a\\\\b" "$$HOME" "ä"'
    with pytest.raises(UsageError):
        crontab.exec_line(["/x", "a\nb"])


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "re train.yaml"
    path.write_text(
        "model: ctr\ntimezone: Europe/Berlin\ninput: {location: 'raw/{date}', days: 7, delay_days: 2}\n"
        "notify: [{on: [failure], webhook: '${HOOK}'}]\n"
    )
    monkeypatch.setenv("HOOK", "https://hooks.example/very-secret")
    return path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["schedule", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_prints_a_crontab(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, str(file), "--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--root", "ro ot")
    assert code == 0
    assert "very-secret" not in out + err
    # as a whole it is a crontab: one line that runs, the others are comments, variables or empty
    active = [line for line in out.splitlines() if line and not line.startswith("#") and not re.match(r"\w+=", line)]
    (line,) = active
    words = shlex.split(line)
    assert words[:5] == ["30", "2", "*", "*", "*"]
    assert Path(words[5]).is_absolute()
    assert Path(words[5]).exists()
    assert words[6:10] == ["retrain", str(file), "--root", str(Path.cwd() / "ro ot")]
    assert re.search(r"on 20\d\d-03-\d\d the times from 02:00 to 03:00 are left out in Europe/Berlin", err)
    assert "CRON_TZ" in err or zone_of_machine() == "Europe/Berlin"


def test_the_command_says_everything_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, str(file), "--at", "02:15", "--systemd", "--timezone", "UTC", "--json", "--quiet")
    assert code == 0
    said = json.loads(out)
    assert "OnCalendar=*-*-* 02:15:00 UTC\n" in said["timer"]
    assert "EnvironmentFile=/etc/mr_ml/mr_ml-ctr.env\n" in said["service"]
    assert len(said["runs"]) == 5
    for found in said["runs"]:
        local = datetime.fromisoformat(found["local"])
        assert (local.hour, local.minute, local.utcoffset()) == (2, 15, timedelta(0))
        # 02:15 in UTC is the same day in Berlin
        assert found["last_day"] == (local.date() - timedelta(days=2)).isoformat()


def test_a_user_is_a_name(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, str(file), "--at", "02:15", "--user", "ml\n* * * * * root rm")
    assert (code, out) == (2, "")
    assert "--user: expected the name of a user" in err.replace("`", "")


def test_wrong_settings_are_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("modle: x\nsplit: {test_share: 0.5}\n")
    code, _, err = run(capsys, str(file), "--at", "02:15")
    assert code == 2
    # keys of the file, not options of the command line
    assert f'{file}:1: modle: unknown key; did you mean "model"?' in err
    code, _, err = run(capsys, str(file.parent / "no.yaml"), "--at", "02:15")
    assert code == 74
