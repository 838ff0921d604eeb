"""How far a job is, from what Hadoop's client says while it waits for it.

The client logs the application when YARN has taken the job, an address where it can be watched, and from then on the
share of the map and reduce tasks' work that is done, whenever one of them is another.
"""

from __future__ import annotations

import re
from dataclasses import replace

from hdfs_layout.dataclass import dataclass

_APPLICATION = re.compile(r"\bapplication_[0-9]+_[0-9]+\b", re.ASCII)
# printable, and no more than an address
_URL = re.compile(r"\burl to track the job: (https?://[\x21-\x7e]{1,300})\s*$", re.ASCII | re.IGNORECASE)
_SHARES = re.compile(r"\bmap ([0-9]{1,3})% +reduce ([0-9]{1,3})%", re.ASCII)


@dataclass(frozen=True)
class JobSeen:
    """What is known of a job.

    Attributes
    ----------
    application, url
        Of YARN, and where it can be watched; empty until the client says them.
    map, reduce
        Percent of the work of map and reduce tasks; None until the client says them.
    """

    application: str = ""
    url: str = ""
    map: int | None = None
    reduce: int | None = None

    def after(self, line: str) -> JobSeen:
        """Return what is known after one more line of the client's; the same object if that says nothing new."""
        if (shares := _SHARES.search(line)) is not None:
            found = replace(self, map=min(int(shares[1]), 100), reduce=min(int(shares[2]), 100))
        elif (url := _URL.search(line)) is not None:
            found = replace(self, url=url[1])
        elif (application := _APPLICATION.search(line)) is not None:
            found = replace(self, application=application[0])
        else:
            return self
        return self if found == self else found

    @property
    def text(self) -> str:
        """What is known, for people."""
        shares = "" if self.map is None else f"map {self.map} %, reduce {self.reduce} %"
        return ", ".join(filter(None, (self.application, shares, self.url)))
