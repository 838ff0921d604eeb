"""Checkpoints of a run: the optimizer's state after a pass, of which the last ones are kept, and the run's log.

passes/000012/state    the state
passes/000012/pairs    the pairs of vectors that came since the state before, where states are so large that every pair
                       is written once only: such a state names the pass and the place of each of its pairs

Of two states the older one serves where the newer is damaged. Neither is taken by another run, nor for another spec or
dataset.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import NotFoundError, Root, append_events
from hdfs_layout.paths import MAX_PASS, pass_of
from mr_ml.catalog.states import DamagedError, Owner, check_state, seal, unseal
from mr_ml.data import stored
from mr_ml.errors import BadDataError, MrMlError
from mr_ml.optimize.line_search import PAIRS, LineMethod, LineState

KEPT_STATES = 2
# Bytes of a vector from which on pairs lie in files of their own.
PAIRS_APART_FROM = 1 << 16
# Seconds of passes that a driver which is killed may have to do again.
AT_STAKE_SECONDS = 1.0

# pass and place in its file
Place = tuple[Annotated[int, stored.at_least(1), stored.at_most(MAX_PASS)], stored.Count]


@dataclass(frozen=True)
class _StateFile:
    """What the file of a state holds besides arrays; `pairs` where these are elsewhere."""

    optimizer: str
    state: dict[str, Any]
    pairs: tuple[Place, ...] | None = None

    may_lack: ClassVar[frozenset[str]] = frozenset({"pairs"})


@dataclass
class Checkpoints:
    """Of one run; `save` follows `load`, or a start from nothing.

    Attributes
    ----------
    size
        Numbers in a vector of the optimizer.
    say
        Told of states that are damaged.
    """

    root: Root
    owner: Owner
    optimizer: LineMethod
    size: int
    say: Callable[[str], None]
    # the states that are kept, oldest first, by their passes: where their pairs are; and the vectors of the last one
    _kept: dict[int, list[Place]] = field(default_factory=dict)
    _vectors: list[object] = field(default_factory=list)
    # passes with a folder, and those of them whose folder has a state
    _folders: set[int] = field(default_factory=set)
    _states: set[int] = field(default_factory=set)

    @property
    def run(self) -> str:
        return self.owner.run

    def save(self, state: LineState) -> None:
        """Write the state of a pass, and forget those before the last ones."""
        outer: dict[str, object] = {"optimizer": self.optimizer.name}
        number, places = state.n_passes, []
        vectors: list[object] = list(state.pairs_s)
        self._folders.add(number)
        if state.point.nbytes >= PAIRS_APART_FROM:
            outer["pairs"] = places = self._save_pairs(state)
            state = replace(state, pairs_s=(), pairs_y=())
        meta, arrays = self.optimizer.encode(state)
        data = seal("state", {**outer, "state": meta}, arrays, owner=self.owner)
        self.root.store.write(self.root.layout.pass_state(self.run, number), data)
        # only now: a save that failed may be tried again
        self._states.add(number)
        self._kept[number], self._vectors = places, vectors if places else []
        self._forget()

    def load(self) -> LineState | None:
        """The last whole state that was saved; None if none was.

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
                found = self._read(number)
            except NotFoundError:
                continue
            except DamagedError as error:
                damaged.append(str(error))
                continue
            state, places = found
            for message in damaged:
                self.say(f"warning: {message}; going on from pass {number}, which changes nothing of what comes out")
            self._kept, self._vectors = {number: places}, list(state.pairs_s) if places else []
            return state
        if damaged:
            passes = self.root.store.uri(self.root.layout.passes(self.run))
            raise BadDataError(
                f"{'; '.join(damaged)}. No state is whole: restore one, or remove {passes} to begin anew"
            )
        return None

    def _read(self, number: int) -> tuple[LineState, list[Place]]:
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
            narrow = [name for name, array in arrays.items() if array.dtype != np.float64 and name not in PAIRS]
            if narrow:
                raise ValueError(f"{narrow} are not of float64")
            state = self.optimizer.decode(file.state, arrays)
            # what is not there would have a default
            meta, again = self.optimizer.encode(state)
            if (meta.keys(), again.keys()) != (file.state.keys(), arrays.keys()):
                raise ValueError(
                    f"{sorted(file.state)} and arrays {sorted(arrays)}, not {sorted(meta)} and {sorted(again)}"
                )
            if file.pairs is not None:
                state = self._with_pairs(state, file.pairs)
            check_state(state, size=self.size, n_passes=number)
        # another mr_ml's, or nonsense
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise DamagedError(f"{where}: not a state of this run after {number} passes: {error!r}") from error
        return state, list(file.pairs or ())

    def _save_pairs(self, state: LineState) -> list[Place]:
        last = next(reversed(self._kept.values()), [])
        known = dict(zip(map(id, self._vectors), last, strict=True))
        places: list[Place] = []
        arrays: dict[str, NDArray[Any]] = {}
        for s, y in zip(state.pairs_s, state.pairs_y, strict=True):
            if id(s) not in known:
                place = len(arrays) // 2
                arrays.update({f"s{place}": s, f"y{place}": y})
                known[id(s)] = state.n_passes, place
            places.append(known[id(s)])
        if arrays:
            self.root.store.write(
                self.root.layout.pass_pairs(self.run, state.n_passes), seal("pairs", {}, arrays, owner=self.owner)
            )
        return places

    def _with_pairs(self, state: LineState, places: Sequence[Place]) -> LineState:
        files: dict[int, Mapping[str, Any]] = {}
        for number, _ in places:
            if number not in files:
                files[number] = self._pairs(number)
        pairs_s = tuple(files[number][f"s{place}"] for number, place in places)
        pairs_y = tuple(files[number][f"y{place}"] for number, place in places)
        return replace(state, pairs_s=pairs_s, pairs_y=pairs_y)

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
            found = self.root.store.list(self.root.layout.passes(self.run))
        except NotFoundError:
            return []
        return [number for name in found if (number := pass_of(name)) is not None]


class Journal:
    """Writes down how a run gets on, a checkpoint and lines of its log: after each pass, or each second of short ones.

    At the end of a `with` block, however that comes, everything is written.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._state: LineState | None = None
        self._events: list[Mapping[str, Any]] = []
        self._written = time.monotonic()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._write()
            return
        # what failed first is what the user must hear of
        with suppress(MrMlError):
            self._write()

    def add(self, state: LineState, event: Mapping[str, Any]) -> None:
        """Take the state after a pass, and what the log says of that."""
        self._state = state
        self._events.append(event)
        if time.monotonic() - self._written >= AT_STAKE_SECONDS:
            self._write()

    def _write(self) -> None:
        if self._state is None:
            return
        kept = self._checkpoints
        kept.save(self._state)
        append_events(kept.root.store, kept.root.layout.run_log(kept.run), self._events)
        self._state, self._events = None, []
        self._written = time.monotonic()
