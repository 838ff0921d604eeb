"""What a task is told when it starts: where the driver listens, and the secret by which they know each other.

It is the request of the job, a file that only its owner may read: neither the job's properties, which everybody who may
look at the job sees, nor its environment or command line have any of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import field

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.errors import BadDataError
from mr_ml.passes.resident.wire import SECRET_BYTES

MOST_BYTES = 8 << 30
_SECRET = re.compile(rf"[0-9a-f]{{{2 * SECRET_BYTES}}}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """Of the tasks of one job.

    Attributes
    ----------
    addresses
        Host and port; the first that answers is taken.
    secret
        `wire.SECRET_BYTES` in hexadecimal digits.
    memory_bytes
        For decoded blocks, of each task; None for what its container leaves.
    connect_seconds
        For which a task tries to reach the driver, before it ends.
    idle_seconds
        For which it waits for a word of the driver, which says one every few seconds.
    """

    addresses: tuple[tuple[str, int], ...]
    secret: str = field(repr=False)
    memory_bytes: stored.Count | None = None
    connect_seconds: float = 20.0
    idle_seconds: float = 60.0

    def encode(self) -> bytes:
        """Return the file."""
        return json.dumps(vars(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Invitation:
        """Undo `encode`.

        Raises
        ------
        BadDataError
            If it is damaged.
        """
        where = "the invitation to a task"
        try:
            document = json.loads(data)
        except ValueError:
            # its text may have the secret
            raise BadDataError(f"{where} is not JSON") from None
        made = stored.read(cls, document, where=where)
        if not _SECRET.fullmatch(made.secret):
            raise BadDataError(f"{where} has no secret of {SECRET_BYTES} bytes")
        return made

    @property
    def key(self) -> bytes:
        """The secret."""
        return bytes.fromhex(self.secret)
