"""The kinds of one noun (losses, stores, runners, ...), by name.

Built-in kinds are loaded when they are first asked for. Others join by `register`, in this process, or as an installed
package: an entry point of the registry's group, which every process finds, tasks included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from hdfs_layout.errors import UsageError
from hdfs_layout.suggestions import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Registry(Generic[T]):
    """Name -> kind.

    Parameters
    ----------
    noun
        What a kind is called in messages, such as "loss".
    group
        Entry point group of installed packages, such as "mr_ml.losses".
    built_in
        Name -> "module:attribute", in the order in which they are listed.
    late_modules
        Those that built-in kinds load only once they are used.
    """

    def __init__(self, noun: str, *, group: str, built_in: Mapping[str, str], late_modules: Sequence[str] = ()) -> None:
        self.noun = noun
        self.group = group
        self._places = dict(built_in)
        self._late_modules = tuple(late_modules)
        self._loaded: dict[str, T] = {}

    @property
    def built_in(self) -> tuple[str, ...]:
        """Names of the built-in kinds, in their order; needs no look at the installed packages."""
        return tuple(self._places)

    @property
    def modules(self) -> list[str]:
        """Modules of the built-in kinds, for processes that load them ahead."""
        first = (place.partition(":")[0] for place in self._places.values())
        return list(dict.fromkeys([*first, *self._late_modules]))

    def check(self, name: str) -> None:
        """Check a name without loading what it stands for.

        Raises
        ------
        UsageError
            If there is no such kind.
        """
        if name not in self:
            guess = did_you_mean(name, self)
            raise UsageError(f"{self.noun} {name!r} is not known{guess}; choose one of {', '.join(self)}")

    def register(self, name: str, kind: T) -> None:
        """Add a kind to this process.

        Raises
        ------
        UsageError
            If the name is taken.
        """
        if name in self:
            raise UsageError(f"{self.noun} {name!r} exists already; choose another name")
        self._loaded[name] = kind

    def unregister(self, name: str) -> None:
        """Undo `register`."""
        del self._loaded[name]

    def get(self, name: str) -> T:
        """Return the kind of this name.

        Raises
        ------
        UsageError
            If there is none.
        """
        if name not in self._loaded:
            if name in self._places:
                module, _, attribute = self._places[name].partition(":")
                self._loaded[name] = getattr(import_module(module), attribute)
            elif (installed := self._installed().get(name)) is not None:
                self._loaded[name] = cast("T", installed.load())
            else:
                self.check(name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._loaded or name in self._places or name in self._installed()

    def __iter__(self) -> Iterator[str]:
        """All names: the built-in ones first, in their order."""
        return iter(dict.fromkeys((*self._places, *self._loaded, *sorted(self._installed()))))

    def _installed(self) -> dict[str, EntryPoint]:
        # only when a name is not one of ours: it reads the metadata of every installed package
        from importlib.metadata import entry_points

        return {point.name: point for point in entry_points(group=self.group)}
