"""Windows: which days they are, in any time zone, and which files a location has for each."""

from __future__ import annotations

import hashlib
import itertools
import os
import time
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dev_cluster import HadoopCluster
from examples import examples
from far_store import far_stores
from hypothesis import example, given
from hypothesis import strategies as st

from hdfs_layout import NotFoundError, Store, open_store
from mr_ml.errors import BadDataError, UsageError
from mr_ml.retraining.window import InputRules, Window, find_window
from mr_ml.retraining.zones import date_in, days_back, is_day, zone_named

TODAY = date(2026, 11, 27)
FIRST, LAST = date(2026, 11, 23), date(2026, 11, 26)


def window(location: str, *, last: date | None = None, **rules: Any) -> Window:
    return find_window(
        InputRules(location=location, **{"days": 4, **rules}), timezone="Europe/Berlin", today=TODAY, last=last
    )


def put(folder: Path, *names: str) -> None:
    """Make files that hold their names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))


# --- days -------------------------------------------------------------------------------------------------------------

ZONES = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})
# Days of 23, 24.5 and 25 hours, one that was left out, and one after which another offset begins at midnight.
ODD = [
    ("Europe/Berlin", datetime(2026, 3, 29, tzinfo=UTC)), ("Europe/Berlin", datetime(2026, 10, 25, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, tzinfo=UTC)), ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC)), ("Pacific/Kwajalein", datetime(1993, 8, 21, tzinfo=UTC)),
    ("Pacific/Kiritimati", datetime(1994, 12, 31, tzinfo=UTC)), ("Africa/Cairo", datetime(2010, 9, 10, tzinfo=UTC)),
]  # fmt: skip


def dates_around(zone: ZoneInfo, middle: datetime, *, days: int) -> list[date]:
    """All dates that the zone's calendars show, by looking at them every quarter of an hour."""
    quarters = (middle + timedelta(minutes=15 * k) for k in range(-96 * days, 96 * days))
    return [day for day, _ in itertools.groupby(instant.astimezone(zone).date() for instant in quarters)]


@examples(60)
@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(1980, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)),
)
def test_days_are_the_dates_that_calendars_show(name: str, middle: datetime) -> None:
    zone = zone_named(name)
    shown = dates_around(zone, middle, days=5)
    # clocks that are put back at midnight show a date once more
    inside = sorted(set(shown))[1:-1]
    back = itertools.takewhile(lambda day: day >= inside[0], days_back(inside[-1], zone))
    assert list(back) == inside[::-1]
    assert date_in(zone, now=middle) in inside


for _name, _middle in ODD:
    test_days_are_the_dates_that_calendars_show = example(_name, _middle)(test_days_are_the_dates_that_calendars_show)


@pytest.mark.parametrize(("name", "middle"), ODD)
@pytest.mark.parametrize("delay", [0, 2])
def test_nights_in_a_row_leave_out_no_day_and_double_none(
    tmp_path: Path, name: str, middle: datetime, delay: int
) -> None:
    """As a scheduler starts them, a moment after each change of date: every window is one day further."""
    zone = ZoneInfo(name)
    shown = dates_around(zone, middle, days=8)
    put(tmp_path, *(f"{day}.csv" for day in shown))
    nights = shown[6:-1]
    found = [
        find_window(
            InputRules(location=f"{tmp_path}/{{date}}.csv", days=2, delay_days=delay), timezone=name, today=night
        )
        for night in nights
    ]
    assert [each.last for each in found] == shown[6 - delay : len(shown) - 1 - delay]
    assert [[day.date for day in each.days] for each in found] == [
        shown[k - 1 - delay : k + 1 - delay] for k in range(6, len(shown) - 1)
    ]
    assert all(each.first == each.days[0].date and not each.missing for each in found)


def test_a_clock_that_is_put_back_gives_the_window_of_the_day_before(tmp_path: Path) -> None:
    put(tmp_path, "2026-11-25.csv", "2026-11-26.csv")
    zone = ZoneInfo("Europe/Berlin")
    before, after = (datetime(2026, 11, 26, hour, 30, tzinfo=UTC) for hour in (22, 23))
    labels = [
        find_window(
            InputRules(location=f"{tmp_path}/{{date}}.csv", days=1), timezone=zone.key, today=date_in(zone, now=now)
        ).label
        for now in (before, after, before, after)
    ]
    assert labels == ["2026-11-25", "2026-11-26"] * 2


@pytest.mark.parametrize("machine", [None, "UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "nonsense"])
def test_the_zone_of_the_machine_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str | None
) -> None:
    if machine is None:
        monkeypatch.delenv("TZ", raising=False)
    else:
        monkeypatch.setenv("TZ", machine)
    time.tzset()
    try:
        utc = datetime.now(UTC).date()
        put(tmp_path, *(f"{utc + timedelta(days=k)}.csv" for k in range(-5, 3)))
        for hours, name in ((14, "Pacific/Kiritimati"), (-11, "Pacific/Pago_Pago"), (0, "UTC")):
            # neither has changes of clocks
            allowed = {(datetime.now(UTC) + timedelta(hours=hours)).date()}
            rules = InputRules(location=f"{tmp_path}/{{date}}.csv", days=1, delay_days=0)
            found = find_window(rules, timezone=name).last
            assert found in allowed | {(datetime.now(UTC) + timedelta(hours=hours)).date()}
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Berlin", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("America/New York", "America/New_York"),
        ("America", "did you mean"), ("../etc/passwd", "take one"), ("localtime", "take one"), ("", "UTC"),
        ("/etc/localtime", "take one"), ("Europe/Berlin\n", "Europe/Berlin"), ("\0", "UTC"),
    ],
)  # fmt: skip
def test_a_zone_that_is_none_is_said_with_those_that_may_be_meant(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=r"`timezone`: expected the name of a time zone, found") as raised:
        zone_named(name)
    assert hint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_machine_without_zones_is_told_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(UsageError, match="install tzdata"):
        zone_named("UTC")


@pytest.mark.parametrize(
    ("last", "said"),
    [(date(2026, 11, 28), "to 2026-11-27, which is today in Europe/Berlin"), (date(1969, 12, 31), "from 1970-01-01")],
)
def test_a_last_day_that_cannot_be_one(tmp_path: Path, last: date, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        window(f"{tmp_path}/{{date}}", last=last)


def test_a_date_that_was_left_out_is_no_last_day(tmp_path: Path) -> None:
    assert not is_day(date(2011, 12, 30), ZoneInfo("Pacific/Apia"))
    with pytest.raises(UsageError, match="2011-12-30, which was left out there"):
        find_window(
            InputRules(location=f"{tmp_path}/{{date}}", days=2), timezone="Pacific/Apia", last=date(2011, 12, 30)
        )


def test_the_last_day_may_be_chosen(tmp_path: Path) -> None:
    put(tmp_path, "2026-02-28", "2026-03-01")
    found = window(f"{tmp_path}/{{date}}", days=3, last=date(2026, 3, 1))
    assert (found.label, found.first) == ("2026-03-01", date(2026, 2, 27))
    assert [day.date.isoformat() for day in found.days] == ["2026-02-28", "2026-03-01"]


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["local", "far", "hdfs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Store]]:
    """Where files are: how locations begin, and the store."""
    if request.param == "hdfs":
        cluster: HadoopCluster = request.getfixturevalue("hadoop_cluster")
        patch = request.getfixturevalue("monkeypatch")
        patch.setenv("HADOOP_CONF_DIR", cluster.environment["HADOOP_CONF_DIR"])
        raw = f"{cluster.hdfs_uri}/user/tests/{tmp_path.name}"
        yield raw, open_store(raw)
        return
    with far_stores():
        raw = str(tmp_path / "raw") if request.param == "local" else f"far://{tmp_path}/raw"
        yield raw, open_store(raw)


LOCATIONS: list[tuple[str, dict[str, Any], list[str]]] = [
    # location, further rules, and the names of files of 2026-11-24 and 26
    ("dt={date}", {}, ["dt=2026-11-24/a", "dt=2026-11-24/deep/b", "dt=2026-11-26/a"]),
    ("dt={date}/", {}, ["dt=2026-11-24/a", "dt=2026-11-24/deep/b", "dt=2026-11-26/a"]),
    ("dt={date}/part-*", {}, ["dt=2026-11-26/part-0", "dt=2026-11-26/part-1.gz"]),
    ("{date:%Y/%m/%d}", {}, ["2026/11/24/a", "2026/11/26/b"]),
    ("y={date:%Y}/m={date:%-m}/d={date:%-d}", {}, ["y=2026/m=11/d=26/a"]),
    ("{date:%y%j}.csv", {}, ["26328.csv", "26330.csv"]),
    ("{date}.csv.gz", {}, ["2026-11-24.csv.gz", "2026-11-26.csv.gz"]),
    ("{date}/*.{csv,tsv}", {}, ["2026-11-26/a.csv", "2026-11-26/b.tsv"]),
    ("*/{date}/rows", {}, ["east/2026-11-24/rows", "east/2026-11-26/rows", "west/2026-11-26/rows"]),
    ("ok={date}", {"complete_marker": "_SUCCESS"}, ["ok=2026-11-26/a"]),
    ("ok={date}/a*", {"complete_marker": "_SUCCESS"}, ["ok=2026-11-26/a"]),
    ("{date}.txt", {"complete_marker": "{date}.done"}, ["2026-11-24.txt"]),
    ("{date}.txt", {"complete_marker": ".seen/{date}"}, ["2026-11-26.txt"]),
]
OTHERS = [
    "dt=2026-11-24/_SUCCESS", "dt=2026-11-24/.hidden", "dt=2026-11-24/_tmp/x", "dt=2026-11-22/a", "dt=2026-11-27/a",
    "dt=2026-11-26/_part-2", "dt=2026-11-25/_SUCCESS", "2026/11/27/c", "y=2026/m=1/d=26/a", "26331.csv",
    "2026-11-26.csv", "2026-11-26/c.txt", "ok=2026-11-24/a", "ok=2026-11-26/_SUCCESS", "2026-11-26.txt",
    "2026-11-24.done", ".seen/2026-11-26", "dt=2026-11-24/.dots/x",
]  # fmt: skip


def test_every_location_finds_its_files(place: tuple[str, Store]) -> None:
    raw, store = place
    for name in {*itertools.chain(*(names for _, _, names in LOCATIONS)), *OTHERS}:
        store.write(name, name.encode())
    # what a folder holds belongs to its day
    more = {"dt={date}": ["dt=2026-11-26/part-0", "dt=2026-11-26/part-1.gz"]}
    more["dt={date}/"] = more["dt={date}"]
    for location, rules, names in LOCATIONS:
        found = window(f"{raw}/{location}", **rules)
        expected = sorted([*names, *more.get(location, [])])
        assert [file.path for file in found.files] == [store.uri(name) for name in expected], location
        for file, name in zip(found.files, expected, strict=True):
            assert file.size == len(name)
            if not raw.startswith("hdfs:"):
                assert file.checksum == f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        days = {day.date.isoformat() for day in found.days}
        assert days == {file.day for file in found.files}
        assert days | {day.isoformat() for day in found.missing} == {f"2026-11-{d}" for d in range(23, 27)}
        assert (found.first, found.last) == (FIRST, LAST)


def test_nothing_at_all_says_what_was_looked_for(place: tuple[str, Store]) -> None:
    raw, store = place
    for marker in (None, "_DONE"):
        with pytest.raises(NotFoundError) as raised:
            window(f"{raw}/dt={{date}}", complete_marker=marker)
        said = str(raised.value)
        assert f"looked for {raw}/dt=2026-11-23 to {raw}/dt=2026-11-26" in said
        assert ("complete with _DONE" in said) == (marker is not None)
        store.write("dt=2026-11-26/empty", b"")
        store.write("dt=2026-11-25/_full", b"1")
    store.write("dt=2026-11-26/_DONE", b"")
    store.write("dt=2026-11-26/full", b"1")
    # an empty file beside others is one of the day's
    assert [file.size for file in window(f"{raw}/dt={{date}}", complete_marker="_DONE").files] == [0, 1]


def test_late_days_are_listed_and_are_in_the_next_window(tmp_path: Path) -> None:
    put(tmp_path, "2026-11-23", "2026-11-24")
    late = window(f"{tmp_path}/{{date}}", late_days=1)
    assert [day.isoformat() for day in late.missing] == ["2026-11-25", "2026-11-26"]
    assert late.days_behind == 2
    put(tmp_path, "2026-11-25", "2026-11-26")
    there = window(f"{tmp_path}/{{date}}", late_days=1)
    assert (there.missing, there.days_behind, there.label) == ((), 0, late.label)
    assert there.fingerprint != late.fingerprint
    (tmp_path / "2026-11-24").unlink()
    gap = window(f"{tmp_path}/{{date}}")
    assert (gap.missing, gap.days_behind) == ((date(2026, 11, 24),), 0)


def test_a_fingerprint_is_of_days_names_sizes_and_contents(tmp_path: Path) -> None:
    put(tmp_path, "2026-11-24/a", "2026-11-24/b", "2026-11-25/a")
    location = f"{tmp_path}/{{date}}"
    seen = [window(location).fingerprint]
    os.utime(tmp_path / "2026-11-24/a", (1, 1))
    put(tmp_path, "2026-11-24/_later")
    assert window(location).fingerprint == seen[0]
    for change in (
        lambda: (tmp_path / "2026-11-24/a").write_text("2026-11-24/A"),
        lambda: (tmp_path / "2026-11-24/a").write_text("longer than that"),
        lambda: (tmp_path / "2026-11-24/a").rename(tmp_path / "2026-11-24/c"),
        lambda: (tmp_path / "2026-11-25").rename(tmp_path / "2026-11-26"),
        lambda: (tmp_path / "2026-11-24/b").unlink(),
    ):
        change()
        seen.append(window(location).fingerprint)
    assert len(set(seen)) == len(seen)


def test_the_newest_days_are_the_test(tmp_path: Path) -> None:
    put(tmp_path, "2026-11-23/a", "2026-11-24/a", "2026-11-24/b", "2026-11-25/a")
    found = window(f"{tmp_path}/{{date}}")
    assert found.by_time(test_days=1) == {
        "train": [f"{tmp_path}/2026-11-{name}" for name in ("23/a", "24/a", "24/b")],
        "test": [f"{tmp_path}/2026-11-25/a"],
    }
    assert found.by_time(test_days=2)["train"] == [f"{tmp_path}/2026-11-23/a"]
    with pytest.raises(BadDataError, match=r"more than 3 days with data in 2026-11-23 to 2026-11-26.*found 3"):
        found.by_time(test_days=3)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"location": "/raw/clicks"}, "with {date} in it, found '/raw/clicks'"),
        ({"location": "/raw/{Date}"}, "with {date} in it"),
        ({"location": "/raw/{date:%B}"}, "expected in {date:...} %Y, %y, %m, %d, %j, %-m, %-d, %%, found '%B'"),
        ({"location": "/raw/{date:%d%}"}, "found '%'"),
        ({"location": "/raw/{date:%m-%d}"}, "another path for each day"),
        ({"location": "/raw/{date:%Y%-m%-d}"}, "another path for each day"),
        ({"location": "/raw/{date:%Y/%m}/*"}, "another path for each day"),
        ({"location": "/raw/{date}/../x"}, "folders called . or .."),
        ({"location": "hdfs://{date}"}, "a folder before the date"),
        ({"location": "/raw/\x1b[2J{date}"}, "without control characters, found '/raw/\\x1b"),
        ({"location": "/raw/\udc80{date}"}, "UTF-8"),
        ({"location": "gs:///raw/{date}"}, "for which there is no store"),
        ({"location": "hdfs:/raw/{date}"}, "Write two slashes"),
        ({"days": 0}, "`days`: expected a number of at least 1, found 0"),
        ({"days": True}, "`days`: expected a whole number"),
        ({"days": 10_001}, "`days`: expected a number of at most 10000"),
        ({"delay_days": -1}, "`delay_days`: expected a number of at least 0"),
        ({"late_days": 4}, "expected late_days below the 4 days, found 4"),
        ({"min_days": 5}, "expected min_days up to the 4 days, found 5"),
        ({"min_rows": 0}, "`min_rows`"),
        ({"complete_marker": "../x"}, "complete_marker the name of a file, found '../x'"),
        ({"complete_marker": ""}, "complete_marker the name of a file"),
        ({"location": "/raw/*/dt={date}", "complete_marker": "_SUCCESS"}, "no pattern among the folders"),
    ],
)
def test_rules_that_cannot_be(rules: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        window(**{"location": "/raw/{date}", **rules})
    assert said in str(raised.value)
    assert raised.value.exit_code == 2
    assert str(raised.value).isprintable()


def test_how_many_days_are_enough() -> None:
    rules: dict[str, Any] = {"location": "/raw/{date}", "days": 28, "late_days": 2}
    assert InputRules(**rules).least_days == 26
    assert InputRules(**rules, min_days=21).least_days == 21


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\x7fb", "a\u2028b", os.fsdecode(b"a\xffb"), "deep\n/a"])
def test_names_that_cannot_be_passed_on_are_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"dt=2026-11-26/{name}")
    for location in (f"{tmp_path}/dt={{date}}", f"far://{tmp_path}/dt={{date}}"):
        with far_stores(), pytest.raises((BadDataError, UsageError)) as raised:
            window(location)
        assert str(raised.value).isprintable()


@pytest.mark.parametrize("name", ["; rm -rf $HOME #", "a*b", "[a]", "{date}", "=1+1", "-rf", "a b", "'\"", "ä", "~"])
def test_other_names_are_passed_on_as_they_are(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"dt=2026-11-26/{name}", "dt=2026-11-26/axb")
    with far_stores():
        for start in ("", "far://"):
            found = window(f"{start}{tmp_path}/dt={{date}}")
            assert {file.path for file in found.files} == {
                f"{start}{tmp_path}/dt=2026-11-26/{each}" for each in (name, "axb")
            }


def test_links_and_what_is_no_file(tmp_path: Path) -> None:
    """As packing treats them: a link to a folder is followed, one file by two names and a pipe are refused."""
    put(tmp_path, "elsewhere/a", "raw/2026-11-25/a")
    (tmp_path / "raw/2026-11-26").symlink_to("../elsewhere")
    found = window(f"{tmp_path}/raw/{{date}}")
    assert [file.path for file in found.files] == [f"{tmp_path}/raw/2026-11-{day}/a" for day in (25, 26)]
    (tmp_path / "raw/2026-11-24").symlink_to("2026-11-25")
    with pytest.raises(UsageError, match="one file by two names"):
        window(f"{tmp_path}/raw/{{date}}")
    (tmp_path / "raw/2026-11-24").unlink()
    os.mkfifo(tmp_path / "raw/2026-11-24")
    with pytest.raises(UsageError, match="a named pipe"):
        window(f"{tmp_path}/raw/{{date}}")
    (tmp_path / "raw/2026-11-24").unlink()
    (tmp_path / "raw/2026-11-24").symlink_to("nowhere")
    with pytest.raises(UsageError, match="a symbolic link to nothing"):
        window(f"{tmp_path}/raw/{{date}}")


def test_a_pattern_that_gives_a_file_to_two_days(tmp_path: Path) -> None:
    put(tmp_path, "2026-1-12")
    with pytest.raises(UsageError, match="named more than once"):
        window(f"{tmp_path}/{{date:%Y-%-m-%-d}}*", days=15, last=date(2026, 1, 14))
