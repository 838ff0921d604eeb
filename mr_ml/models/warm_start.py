"""Where a search begins that knows an earlier model, and what that model did not know of the data, or knew in vain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.readers.rows import counted, excerpt, listed

# As many names are told.
MOST_NAMES = 10


@dataclass(frozen=True, kw_only=True)
class Changed:
    """How many features or labels, and the names of the first of them."""

    count: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str]) -> Changed:
        """Make it of all names."""
        return cls(count=len(names), names=tuple(names[:MOST_NAMES]))

    @classmethod
    def among(cls, places: NDArray[np.int64], name_of: Callable[[int], str]) -> Changed:
        """Make it of places that have names; there may be millions."""
        return cls(count=len(places), names=tuple(name_of(k) for k in places[:MOST_NAMES].tolist()))

    def __str__(self) -> str:
        return f"{self.count} ({listed(self.names)}{', ...' if self.count > len(self.names) else ''})"


@dataclass(frozen=True, kw_only=True)
class WarmFile:
    """A file of coefficients that a search begins with, as a spec has it; a copy lies in the folder of the run.

    Attributes
    ----------
    name
        Of the file, without folders.
    format
        One of `mr_ml.coefficients.COEFFICIENT_FILES`.
    sha256
        Of its bytes.
    """

    name: str
    format: stored.Name
    sha256: stored.Sha256

    @property
    def title(self) -> str:
        """What it is called in messages, printable whatever a stored document says."""
        name = self.name if self.name.isprintable() else excerpt(self.name.encode())
        return f"the coefficients of {name} ({self.format}, sha256 {self.sha256[:12]})"


@dataclass(frozen=True, eq=False, kw_only=True)
class WarmStart:
    """Where a search begins that knows an earlier model.

    Attributes
    ----------
    model
        The model, ``ctr@7``; or what it began with besides, such as a file.
    point
        (size,) its function as the coefficients that are searched for.
    appeared
        Features that rows have and the model does not know, or has 0 for; they begin at 0.
    vanished
        Features that count for the model and that no row has; they are left out.
    new_labels, old_labels
        Classes likewise: the new ones begin as they do without a model.
    n_features, n_known
        Of how many features there are coefficients, and how many of these are features of the dataset.
    file, notes
        The file that the coefficients are from, and what is to be known of it; None for a model.
    """

    model: str
    point: NDArray[np.float64]
    appeared: Changed
    vanished: Changed
    new_labels: Changed
    old_labels: Changed
    n_features: int = 0
    n_known: int = 0
    file: WarmFile | None = None
    notes: tuple[str, ...] = ()

    @property
    def event(self) -> dict[str, Any]:
        """What the run's log says of it."""
        changes = {name: asdict(changed) for name, changed in self._changes.items()}
        if self.file is None:
            return {"event": "warm_start", "model": self.model, **changes}
        counts = {"n_features": self.n_features, "n_known": self.n_known}
        return {"event": "warm_start", "file": asdict(self.file), **counts, "notes": self.notes, **changes}

    @property
    def text(self) -> str:
        """What the user is told."""
        words = {
            "appeared": "features that it does not use, which begin at 0: ",
            "vanished": "features that no row has, which are left out: ",
            "new_labels": "labels that it does not know: ",
            "old_labels": "labels that no row has any more: ",
        }
        told = [words[name] + str(changed) for name, changed in self._changes.items() if changed.count]
        if self.file is None:
            return "; ".join([f"begins where {self.model} ended", *told])
        first = f"begins with {self.model}: {self.n_known} of its {counted(self.n_features, 'feature')} are known here"
        return "; ".join([first, *self.notes, *told])

    @property
    def _changes(self) -> dict[str, Changed]:
        return {
            "appeared": self.appeared, "vanished": self.vanished, "new_labels": self.new_labels,
            "old_labels": self.old_labels,
        }  # fmt: skip
