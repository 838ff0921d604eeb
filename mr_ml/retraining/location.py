"""Where the text of a day is: a path, or a pattern, that holds the day's date."""

from __future__ import annotations

import re
from datetime import date, timedelta

from hdfs_layout import Store, open_store, scheme_of
from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.errors import UsageError
from mr_ml.readers.text.find import Tree
from mr_ml.readers.text.local_tree import LOCAL_TREE
from mr_ml.readers.text.store_tree import StoreTree

_DATE = re.compile(r"\{date(?::([^{}]*))?\}")
_ISO = "%Y-%m-%d"
_DIRECTIVE = re.compile(r"%(-?.|$)", re.DOTALL)
_MAGIC = re.compile(r"[*?\[{]")
# Control characters, and what UTF-8 cannot write.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# More than a year and a month: two that are told apart here are told apart everywhere.
_TRIED_DAYS = [date(2023, 1, 1) + timedelta(days=k) for k in range(800)]


@dataclass(frozen=True)
class Location:
    """A location of the text of days, such as ``/raw/dt={date}`` or ``hdfs:///raw/{date:%Y/%m/%d}/part-*``.

    Attributes
    ----------
    folder
        The part before the first folder or file whose name holds a date or is a pattern.
    pattern
        The rest.
    """

    folder: str
    pattern: str

    @classmethod
    def parse(cls, text: str) -> Location:
        """Take a location apart.

        Raises
        ------
        ValueError
            If it is none; says what was expected.
        """
        if UNPRINTABLE.search(text):
            raise ValueError(
                f"expected as location a path or URI without control characters, found {stored.shown(text)}"
            )
        dated, magic = _DATE.search(text), _MAGIC.search(text)
        if dated is None or magic is None:
            raise ValueError(f"expected as location a path or URI with {{date}} in it, found {stored.shown(text)}")
        cut = text.rfind("/", 0, magic.start()) + 1
        location = cls(text[:cut], "/".join(part for part in text[cut:].split("/") if part))
        if not text[:cut].rpartition("://")[2] and scheme_of(text):
            raise ValueError(f"expected as location one with a folder before the date, found {stored.shown(text)}")
        if any(part in (".", "..") for part in location.pattern.split("/")):
            raise ValueError(f"expected as location one without folders called . or .., found {stored.shown(text)}")
        if len({location.of(day) for day in _TRIED_DAYS}) < len(_TRIED_DAYS):
            raise ValueError(
                "expected as location another path for each day, with its year, month and day in it, found "
                f"{stored.shown(text)}; {{date}} alone is {{date:{_ISO}}}"
            )
        return location

    def of(self, day: date) -> str:
        """Return the pattern of a day."""
        return with_date(self.pattern, day)

    def open(self) -> tuple[Store, Tree, str]:
        """Return the store that has the folder as its root, and the tree and the path in it where patterns begin.

        Raises
        ------
        UsageError
            If there is no store for it.
        """
        try:
            store = open_store(self.folder or ".")
        except UsageError as error:
            raise UsageError(f"`location` {self.folder}{self.pattern}: {error}") from error
        here = store.local_path("")
        # files of this machine may be links, pipes and the like, which stores do not tell
        return (store, StoreTree(store), "") if here is None else (store, LOCAL_TREE, f"{here.rstrip('/')}/")


def check_marker(marker: str, location: Location) -> None:
    """Raise ValueError if this cannot be the name of the file that says that a day is complete."""
    if UNPRINTABLE.search(marker) or any(part in ("", ".", "..") for part in marker.split("/")):
        raise ValueError(f"expected as complete_marker the name of a file, found {stored.shown(marker)}")
    with_date(marker, _TRIED_DAYS[0])
    folders = _DATE.sub("", location.pattern).rpartition("/")[0]
    if _MAGIC.search(folders):
        raise ValueError(
            f"expected no pattern among the folders of {location.folder}{location.pattern} with complete_marker, which "
            "is in one folder; found one: name the folders, or leave complete_marker out"
        )


def with_date(text: str, day: date) -> str:
    """Put a date where ``{date}`` and ``{date:...}`` stand.

    Raises
    ------
    ValueError
        If it is to be spelled in a way that there is not.
    """
    return _DATE.sub(lambda match: _spelled(day, _ISO if match[1] is None else match[1]), text)


def _spelled(day: date, spelling: str) -> str:
    # not strftime, whose words follow the machine's locale, and which has hours too
    parts = {
        "Y": f"{day.year:04d}", "y": f"{day.year % 100:02d}", "m": f"{day.month:02d}", "d": f"{day.day:02d}",
        "j": f"{day.timetuple().tm_yday:03d}", "-m": f"{day.month}", "-d": f"{day.day}", "%": "%",
    }  # fmt: skip

    def part(match: re.Match[str]) -> str:
        if match[1] not in parts:
            raise ValueError(f"expected in {{date:...}} {', '.join(f'%{name}' for name in parts)}, found {match[0]!r}")
        return parts[match[1]]

    return _DIRECTIVE.sub(part, spelling)
