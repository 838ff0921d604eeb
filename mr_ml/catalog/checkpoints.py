"""Checkpoints of a run: the optimizer's state after a pass, of which the last ones are kept, and the run's log.

passes/000012/state    the state
passes/000012/pairs    the rows that came since the state before of the arrays that the optimizer calls histories, where
                       states are so large that every row is written once only: such a state names the pass and the
                       place of each of its rows (called pairs, since L-BFGS has two histories)

Of two states the older one serves where the newer is damaged. Neither is taken by another run, nor for another spec or
dataset.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from types import TracebackType
from typing import Annotated, Any, ClassVar

from numpy.typing import NDArray

from hdfs_layout import NotFoundError, Root, append_events
from hdfs_layout.dataclass import dataclass
from hdfs_layout.limits import MAX_PASS
from hdfs_layout.paths import pass_of
from mr_ml.catalog.states import DamagedError, Owner, seal, unseal
from mr_ml.data import stored
from mr_ml.errors import BadDataError, MrMlError
from mr_ml.optimize.base import Cost, Optimizer, Stored, stacked

KEPT_STATES = 2
# Bytes of a vector from which on histories are stored in files of their own.
HISTORIES_APART_FROM = 1 << 16
# Seconds of passes that a driver which is killed may have to do again.
AT_STAKE_SECONDS = 1.0

# of a row of all histories: pass, and place in its file
Place = tuple[Annotated[int, stored.at_least(1), stored.at_most(MAX_PASS)], stored.Count]


@dataclass(frozen=True)
class _StateFile:
    """What the file of a state holds besides arrays; `pairs` are the places of the histories' rows elsewhere."""

    optimizer: str
    state: dict[str, Any]
    pairs: tuple[Place, ...] | None = None

    may_lack: ClassVar[frozenset[str]] = frozenset({"pairs"})


@dataclass
class Checkpoints:
    """The checkpoints of one run; `save` follows `load`, or a start from nothing.

    Attributes
    ----------
    size
        Number of coefficients.
    say
        Called with a sentence for each damaged state.
    """

    root: Root
    owner: Owner
    optimizer: Optimizer[Any, Any, Any]
    size: int
    say: Callable[[str], None]
    # the states that are kept, oldest first, by their passes: where the rows of their histories are; and the rows of
    # the last one
    _kept: dict[int, list[Place]] = field(default_factory=dict)
    _rows: list[tuple[object, ...]] = field(default_factory=list)
    # passes with a folder, and those of them whose folder has a state
    _folders: set[int] = field(default_factory=set)
    _states: set[int] = field(default_factory=set)

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.owner.run

    def save(self, state: Any) -> None:
        """Write the state of a pass, and forget those before the last ones."""
        outer: dict[str, object] = {"optimizer": self.optimizer.name}
        number = self.optimizer.progress(state).passes
        meta, arrays = self.optimizer.encode(state)
        rows: list[tuple[object, ...]] = []
        places: list[Place] = []
        self._folders.add(number)
        if 8 * self.size >= HISTORIES_APART_FROM:
            rows = self._rows_of(arrays)
            outer["pairs"] = places = self._save_rows(number, rows)
            arrays |= dict.fromkeys(self.optimizer.histories, ())
        data = seal("state", {**outer, "state": meta}, stacked(arrays, self.size), owner=self.owner)
        self.root.store.write(self.root.layout.pass_state(self.run, number), data)
        # only now: a save that failed may be tried again
        self._states.add(number)
        self._kept[number], self._rows = places, rows
        self._forget()

    def load(self, is_good: Callable[[Any], bool] = lambda state: True) -> Any | None:
        """Read the last whole state that was saved; None if none was.

        Parameters
        ----------
        is_good
            Says of a state whether it will do; else an earlier one is read.

        Raises
        ------
        BadDataError
            If all are damaged, or the last whole one is of another run, spec or dataset.
        """
        self._folders = set(self._passes())
        self._states = set(self._folders)
        damaged: list[str] = []
        for number in sorted(self._folders, reverse=True):
            try:
                checkpoint = self._read(number)
            except NotFoundError:
                continue
            except DamagedError as error:
                damaged.append(str(error))
                continue
            state, places, rows = checkpoint
            if not is_good(state):
                continue
            for message in damaged:
                self.say(f"warning: {message}; going on from pass {number}, which changes nothing of what comes out")
            self._kept, self._rows = {number: places}, rows
            return state
        if damaged:
            passes = self.root.store.uri(self.root.layout.passes(self.run))
            raise BadDataError(
                f"{'; '.join(damaged)}. No state is whole: restore one, or remove {passes} to start over"
            )
        return None

    def _read(self, number: int) -> tuple[Any, list[Place], list[tuple[object, ...]]]:
        """Read the state of a pass; where the rows of its histories are, and these, if they are stored apart."""
        path = self.root.layout.pass_state(self.run, number)
        where, data = self.root.store.uri(path), self.root.store.read(path)
        content, arrays = unseal(data, kind="state", owner=self.owner, where=where)
        try:
            file = stored.read(_StateFile, content, where=where)
        except BadDataError as error:
            raise DamagedError(str(error)) from error
        try:
            if file.optimizer != self.optimizer.name:
                raise ValueError(f"of optimizer {file.optimizer}, not {self.optimizer.name}")
            whole: dict[str, Stored] = {**arrays, **(self._rows_at(file.pairs) if file.pairs is not None else {})}
            state = self.optimizer.decode(file.state, whole, size=self.size)
            # what is not there would have a default
            meta, again = self.optimizer.encode(state)
            if (meta.keys(), again.keys()) != (file.state.keys(), arrays.keys()):
                raise ValueError(
                    f"{sorted(file.state)} and arrays {sorted(arrays)}, not {sorted(meta)} and {sorted(again)}"
                )
            if (passes := self.optimizer.progress(state).passes) != number:
                raise ValueError(f"a state after {passes} passes")
        # another mr_ml's, or nonsense
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise DamagedError(f"{where}: not a state of this run after {number} passes: {error!r}") from error
        return state, list(file.pairs or ()), self._rows_of(again) if file.pairs is not None else []

    def _rows_of(self, arrays: Mapping[str, Stored]) -> list[tuple[object, ...]]:
        return list(zip(*(arrays[name] for name in self.optimizer.histories), strict=True))

    def _save_rows(self, number: int, rows: Sequence[tuple[Any, ...]]) -> list[Place]:
        """Write the rows that the last state did not have; where all of them are."""
        last = next(reversed(self._kept.values()), [])
        known = {id(row[0]): place for row, place in zip(self._rows, last, strict=True)}
        places: list[Place] = []
        arrays: dict[str, NDArray[Any]] = {}
        n_new = 0
        for row in rows:
            if id(row[0]) not in known:
                known[id(row[0])] = number, n_new
                arrays.update(zip(self._names(n_new), row, strict=True))
                n_new += 1
            places.append(known[id(row[0])])
        if arrays:
            data = seal("pairs", {}, arrays, owner=self.owner)
            self.root.store.write(self.root.layout.pass_pairs(self.run, number), data)
        return places

    def _rows_at(self, places: Sequence[Place]) -> dict[str, Stored]:
        """Histories whose rows are at these places."""
        files = {number: self._pairs(number) for number in dict.fromkeys(number for number, _ in places)}
        rows = [[files[number][name] for name in self._names(place)] for number, place in places]
        return {name: tuple(row[k] for row in rows) for k, name in enumerate(self.optimizer.histories)}

    def _names(self, place: int) -> list[str]:
        """Name the row at a place as it is named in its file, once for each history."""
        return [f"{prefix}{place}" for prefix in self.optimizer.histories.values()]

    def _pairs(self, number: int) -> Mapping[str, Any]:
        path = self.root.layout.pass_pairs(self.run, number)
        where = self.root.store.uri(path)
        try:
            data = self.root.store.read(path)
        except NotFoundError:
            raise DamagedError(f"{where} is missing") from None
        return unseal(data, kind="pairs", owner=self.owner, where=where)[1]

    def _forget(self) -> None:
        for number in list(self._kept)[:-KEPT_STATES]:
            del self._kept[number]
        needed = {number for places in self._kept.values() for number, _ in places}
        for number in sorted(self._folders - self._kept.keys()):
            if number not in needed:
                self.root.store.remove_tree(self.root.layout.run_pass(self.run, number))
                self._folders.remove(number)
            elif number in self._states:
                self.root.store.remove(self.root.layout.pass_state(self.run, number))
            self._states.discard(number)

    def _passes(self) -> list[int]:
        try:
            names = self.root.store.list(self.root.layout.passes(self.run))
        except NotFoundError:
            return []
        return [number for name in names if (number := pass_of(name)) is not None]


def state_bytes(cost: Cost, size: int) -> int:
    """Say how many bytes of memory states over `size` coefficients take, also while they are written."""
    # small histories are copied when a state is written, others are not
    copies = 3 if 8 * size < HISTORIES_APART_FROM else 1
    return cost.state_bytes + copies * cost.history_bytes


class Journal:
    """Writes a run's checkpoints and the lines of its log: after each pass, or once a second where passes are short.

    At the end of a `with` block, however that comes, everything is written.

    Parameters
    ----------
    share
        Of the time that writing may take, where states are so large that it takes more than a moment.
    keeps_two
        Whether at the end the state before the last is written too, where states are small: from there a run with more
        passes or a smaller tolerance goes on. Large ones are written pass by pass anyway, their passes being long.
    """

    def __init__(self, checkpoints: Checkpoints, *, share: float = 1.0, keeps_two: bool = False) -> None:
        self._checkpoints, self._share, self._rest = checkpoints, share, AT_STAKE_SECONDS
        self._keeps_two = keeps_two and 8 * checkpoints.size < HISTORIES_APART_FROM
        self._state: Any | None = None
        self._before: Any | None = None
        self._events: list[Mapping[str, Any]] = []
        self._written = time.monotonic()

    def __enter__(self) -> Journal:
        """Nothing is written before the first pass."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Write what is left; what fails then is an error only if nothing failed before."""
        if kind is None:
            if self._before is not None:
                self._checkpoints.save(self._before)
            self._write()
            return
        # the user must be told of what failed first
        with suppress(MrMlError):
            self._write()

    def add(self, state: Any, event: Mapping[str, Any]) -> None:
        """Take the state after a pass, and the log's event of that pass."""
        if self._keeps_two:
            self._before = self._state
        self._state = state
        self._events.append(event)
        if time.monotonic() - self._written >= self._rest:
            self._write()

    def _write(self) -> None:
        if self._state is None:
            return
        kept, began = self._checkpoints, time.monotonic()
        kept.save(self._state)
        append_events(kept.root.store, kept.root.layout.run_log(kept.run), self._events)
        self._state, self._before, self._events = None, None, []
        self._written = time.monotonic()
        self._rest = max(AT_STAKE_SECONDS, (self._written - began) * (1 / self._share - 1))
