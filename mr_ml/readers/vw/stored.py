"""What Vowpal Wabbit's text adds to options, to a schema and to the summary of a scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.readers.schema import Schema

#: More are to be hashed.
MAX_NAMES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class VwOptions:
    """What the user says of the text.

    Attributes
    ----------
    hash_bits
        Features are hashed to so many bits; None: they have names, of which all are known.
    unseen
        What a feature is whose name the schema does not have: it makes its row a bad one, or is left out.
    """

    format: Literal["vw"] = "vw"
    hash_bits: Annotated[int, stored.at_least(1), stored.at_most(30)] | None = None
    unseen: Literal["error", "ignore"] = "error"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> VwOptions:
        """Read what `to_json` wrote.

        Raises
        ------
        BadDataError
            It is something else.
        """
        return stored.read(cls, document, where=cls.__name__)


@dataclass(frozen=True)
class VwPart:
    """A schema's part.

    Attributes
    ----------
    weighted, based
        Whether some rows have an importance, and a base; others have 1 and 0 then.
    """

    options: VwOptions
    weighted: bool
    based: bool

    @property
    def has_weights(self) -> bool:
        """Whether rows have a weight each."""
        return self.weighted

    @property
    def has_offsets(self) -> bool:
        """Whether rows have an offset each."""
        return self.based

    @property
    def categories(self) -> dict[str, range]:
        """Columns of categories: none."""
        return {}

    @property
    def hashes(self) -> tuple[range, ...]:
        """Features that are hashes: all, or none."""
        return () if self.options.hash_bits is None else (range(1 << self.options.hash_bits),)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"options": self.options.to_json(), "weighted": self.weighted, "based": self.based}

    def check(self, schema: Schema) -> None:
        """See `Part.check`."""
        if (schema.feature_names is None) != (self.options.hash_bits is not None):
            raise ValueError(f"hash_bits {self.options.hash_bits}, but names of features")


@dataclass(frozen=True, kw_only=True)
class VwFacts:
    """What a scan saw.

    Attributes
    ----------
    n_weights, n_bases
        Rows with an importance, and with a base.
    names
        Of all features; None if they are too many, or hashed.
    """

    n_weights: int = 0
    n_bases: int = 0
    names: tuple[str, ...] | None = ()
    format: Literal["vw"] = "vw"

    def __add__(self, other: VwFacts) -> VwFacts:
        """Return the facts of both texts together."""
        names = self.names
        if self.names != other.names:
            names = None
            if self.names is not None and other.names is not None:
                names = bounded({*self.names, *other.names})
        return VwFacts(
            n_weights=self.n_weights + other.n_weights, n_bases=self.n_bases + other.n_bases, names=names
        )  # fmt: skip

    def renamed(self, file: str) -> VwFacts:
        """Return the same: nothing is kept by file."""
        return self

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "names": None if self.names is None else list(self.names)}


def bounded(names: set[str]) -> tuple[str, ...] | None:
    """Return names sorted; None if they are too many."""
    return tuple(sorted(names)) if len(names) <= MAX_NAMES else None
