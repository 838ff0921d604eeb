"""Where a search begins that knows an earlier model, and what that model did not know of the data, or knew in vain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.readers.rows import listed

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


@dataclass(frozen=True, eq=False, kw_only=True)
class WarmStart:
    """Where a search begins that knows an earlier model.

    Attributes
    ----------
    model
        The model, ``ctr@7``.
    point
        (size,) its function as the coefficients that are searched for.
    appeared
        Features that rows have and the model does not know, or has 0 for; they begin at 0.
    vanished
        Features that count for the model and that no row has; they are left out.
    new_labels, old_labels
        Classes likewise: the new ones begin as they do without a model.
    """

    model: str
    point: NDArray[np.float64]
    appeared: Changed
    vanished: Changed
    new_labels: Changed
    old_labels: Changed

    @property
    def event(self) -> dict[str, Any]:
        """What the run's log says of it."""
        changes = {name: asdict(changed) for name, changed in self._changes.items()}
        return {"event": "warm_start", "model": self.model, **changes}

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
        return "; ".join([f"begins where {self.model} ended", *told])

    @property
    def _changes(self) -> dict[str, Changed]:
        return {
            "appeared": self.appeared, "vanished": self.vanished, "new_labels": self.new_labels,
            "old_labels": self.old_labels,
        }  # fmt: skip
