"""Checkpoints of a run: the optimizer's state after each pass, of which the last ones are kept.

passes/000012/state    the state
passes/000012/pair     the pair of vectors that this pass brought, where states are so large that every pair is
                       written once only: such a state names the passes of its pairs
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hdfs_layout import Layout, NotFoundError, Store
from mr_ml import frame
from mr_ml.optimize.line import LineMethod, LineState

KEPT_STATES = 2
# Bytes of a vector from which on pairs lie in files of their own.
PAIRS_APART_FROM = 1 << 16


@dataclass
class Checkpoints:
    """Of one run; `save` follows `load`, or a start from nothing."""

    store: Store
    layout: Layout
    run: str
    optimizer: LineMethod
    # pass numbers of the pairs of the states that are kept, the last state's last; and the vectors of that one
    _pair_passes: list[list[int]] = field(default_factory=list)
    _vectors: list[object] = field(default_factory=list)

    def save(self, state: LineState) -> None:
        """Write the state of a pass, and forget those before the last ones."""
        outer: dict[str, object] = {"optimizer": self.optimizer.name}
        number = state.n_passes
        if state.point.nbytes >= PAIRS_APART_FROM:
            outer["pairs"] = self._save_pairs(state)
            state = replace(state, pairs_s=(), pairs_y=())
        meta, arrays = self.optimizer.encode(state)
        data = frame.encode("state", {**outer, "state": meta}, arrays)
        self.store.write(self.layout.pass_state(self.run, number), data)
        self._forget_before(number - KEPT_STATES + 1)

    def load(self) -> LineState | None:
        """The last state that was saved; None if there is none."""
        for number in sorted(self._passes(), reverse=True):
            path = self.layout.pass_state(self.run, number)
            if self.store.exists(path):
                opened = frame.decode(self.store.read(path), kind="state", where=self.store.uri(path))
                state = self.optimizer.decode(opened.meta["state"], dict(opened.arrays))
                return self._with_pairs(state, opened.meta["pairs"]) if "pairs" in opened.meta else state
        return None

    def _save_pairs(self, state: LineState) -> list[int]:
        known = dict(zip(map(id, self._vectors), self._pair_passes[-1] if self._pair_passes else [], strict=True))
        numbers = []
        for s, y in zip(state.pairs_s, state.pairs_y, strict=True):
            if id(s) not in known:
                data = frame.encode("pair", {}, {"s": s, "y": y})
                self.store.write(self.layout.pass_pair(self.run, state.n_passes), data)
            numbers.append(known.get(id(s), state.n_passes))
        self._vectors = list(state.pairs_s)
        self._pair_passes = [*self._pair_passes, numbers][-KEPT_STATES:]
        return numbers

    def _with_pairs(self, state: LineState, numbers: Sequence[int]) -> LineState:
        paths = [self.layout.pass_pair(self.run, number) for number in numbers]
        opened = [frame.decode(self.store.read(path), kind="pair", where=self.store.uri(path)) for path in paths]
        pairs_s = tuple(found.arrays["s"] for found in opened)
        pairs_y = tuple(found.arrays["y"] for found in opened)
        self._vectors, self._pair_passes = list(pairs_s), [list(numbers)]
        return replace(state, pairs_s=pairs_s, pairs_y=pairs_y)

    def _forget_before(self, first_kept: int) -> None:
        if first_kept < 1:
            return
        if not self._pair_passes:
            self.store.remove_tree(self.layout.run_pass(self.run, first_kept - 1))
            return
        needed = {number for numbers in self._pair_passes for number in numbers}
        for number in self._passes():
            if number < first_kept and number not in needed:
                self.store.remove_tree(self.layout.run_pass(self.run, number))
            elif number == first_kept - 1:
                self.store.remove(self.layout.pass_state(self.run, number))

    def _passes(self) -> list[int]:
        try:
            found = self.store.list(self.layout.passes(self.run))
        except NotFoundError:
            return []
        return [int(name) for name in found if name.isdigit()]
