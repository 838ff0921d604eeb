"""The state that all line-search methods share, and how it is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.optimize.base import Evaluation, Floats, Kinks, Separation, Stop, Stored

PAIRS = ("pairs_s", "pairs_y")
_VECTORS = ("point", "gradient", "curvature", "direction")
_COUNTS = ("chosen", "shrinks", "n_passes", "n_iterations", "stalls", "suspicions")
# Stored only where they say something: that is how earlier releases wrote states.
_OF_SOME = {"fine": False, "missed": 0, "unsampled": 0}


@dataclass(frozen=True, eq=False)
class LineState:
    """Everything that the next pass depends on.

    Attributes
    ----------
    point, gradient, direction
        (n,) the last accepted point, the gradient there, and the direction of the open ask.
    curvature
        (n,) the Hessian's diagonal where the objective was `curvature_value`, here or some iterations ago.
    coupling
        `Evaluation.coupling` at the same place as `curvature`, by methods that ask for it; None where it is not known.
    pairs_s, pairs_y
        Changes (n,) of point and gradient in the last iterations, oldest first; none for methods that need none.
    value
        The objective at the point.
    steps, chosen
        Those of the open ask.
    shrinks
        How often the steps were replaced by much shorter ones, and then by those along one more direction.
    step
        The last accepted step; 0 if none was.
    n_passes, n_iterations
        Evaluations told, and accepted steps.
    stop
        Why the search has ended, or None.
    unit, fit_unit
        Those of the evaluation at the point.
    start_unit
        The fit's unit at the start.
    distance
        (g' H^-1 g)^1/2, as far as it is known.
    stalls, suspicions
        Counted by `stopping.judge`.
    separation
        That of the evaluation at the point.
    fine
        Whether the Hessian is asked for as a factor.
    left
        (n,) the subgradient of least size at the point, where the objective is not smooth; else None.
    missed, unsampled
        By methods that go by a sample of the rows: how often it led astray of late, and after which pass it was given
        up; 0 if it was not.
    kinks
        What is not smooth, as the last evaluation said; not stored, since the next one says it again.
    flat
        As of `Result`, by what all evaluations so far said.
    """

    point: Floats
    gradient: Floats
    curvature: Floats
    direction: Floats
    pairs_s: Sequence[NDArray[Any]]
    pairs_y: Sequence[NDArray[Any]]
    value: float
    curvature_value: float
    steps: tuple[float, ...]
    chosen: int
    shrinks: int
    step: float
    n_passes: int
    n_iterations: int
    stop: Stop | None
    unit: Floats = field(default_factory=lambda: np.ones(1))
    fit_unit: float = 1.0
    start_unit: float = 1.0
    distance: float = np.inf
    stalls: int = 0
    suspicions: int = 0
    separation: Separation | None = None
    fine: bool = False
    left: Floats | None = None
    missed: int = 0
    unsampled: int = 0
    kinks: Kinks | None = None
    flat: Floats | None = None
    coupling: Floats | None = None

    def curved(self, ev: Evaluation, value: float) -> LineState:
        """Return the state with the curvature of an evaluation, where the objective is `value`."""
        assert ev.curvature is not None
        return replace(self, curvature=ev.curvature, curvature_value=value, coupling=ev.coupling)

    @property
    def slopes(self) -> Floats:
        """What is to become 0, (n,): the gradient, or the subgradient of least size."""
        return self.gradient if self.left is None else self.left

    @property
    def gradient_norm(self) -> float:
        """Largest component of the gradient in its unit; those whose unit is 0 as they are."""
        size = np.abs(self.slopes)
        return float(np.divide(size, self.unit, out=size, where=self.unit > 0).max(initial=0.0))


def encode(state: LineState) -> tuple[dict[str, Any], dict[str, Stored]]:
    """Turn a state into JSON and arrays, the pairs into sequences of vectors."""
    arrays: dict[str, Stored] = {name: getattr(state, name) for name in (*_VECTORS, "unit", *PAIRS)}
    # as arrays: infinity has no JSON
    arrays["scalars"] = np.array([state.value, state.step, *state.steps])
    arrays["curved_value"] = np.array([state.curvature_value])
    arrays["fit"] = np.array([state.fit_unit, state.start_unit, state.distance])
    if state.separation is not None:
        arrays["leads"] = np.array(astuple(state.separation))
    if state.left is not None:
        arrays["left"] = state.left
    if state.flat is not None:
        arrays["flat"] = state.flat
    if state.coupling is not None:
        arrays["coupling"] = state.coupling
    meta = {name: getattr(state, name) for name in _COUNTS}
    some = {name: value for name in _OF_SOME if (value := getattr(state, name))}
    return {**meta, **some, "stop": state.stop and state.stop.name}, arrays


def decode(meta: Mapping[str, Any], arrays: Mapping[str, Stored], *, size: int) -> LineState:
    """Undo `encode`; earlier releases wrote less.

    Raises
    ------
    KeyError, TypeError, ValueError
        If no search over `size` coefficients can be in this state.
    """
    wrong = [name for name, array in arrays.items() if name not in PAIRS and np.asarray(array).dtype != np.float64]
    if wrong:
        raise ValueError(f"{wrong} are not of float64")
    given = {name: np.asarray(array) for name, array in arrays.items() if name not in PAIRS}
    value, step, *steps = given["scalars"].tolist()
    # states were without it once; then the curvature is asked for at the next pass
    (curvature_value,) = given.get("curved_value", np.array([np.inf])).tolist()
    # nor did they have what stopping now is judged by: until the next pass they are judged as they were then
    fit_unit, start_unit, distance = given.get("fit", np.array([1.0, 1.0, np.inf])).tolist()
    named: dict[str, Any] = {name: given[name] for name in _VECTORS}
    state = LineState(
        **named,
        pairs_s=tuple(arrays["pairs_s"]), pairs_y=tuple(arrays["pairs_y"]),
        value=value, curvature_value=curvature_value, step=step, steps=tuple(steps),
        **{name: meta.get(name, 0) for name in _COUNTS},
        stop=None if meta["stop"] is None else Stop[meta["stop"]],
        unit=given.get("unit", np.ones(1)), fit_unit=fit_unit, start_unit=start_unit, distance=distance,
        separation=Separation(*given["leads"].tolist()) if "leads" in given else None,
        left=given.get("left"), flat=given.get("flat"), coupling=given.get("coupling"),
        **{name: meta.get(name, default) for name, default in _OF_SOME.items()},
    )  # fmt: skip
    _check(state, size)
    return state


def _check(state: LineState, size: int) -> None:
    """Raise ValueError if no search over `size` coefficients can be in this state.

    A value or slope may be infinite or not a number, where the objective overflows; a point never is.
    """
    for name in _VECTORS:
        _check_vector(name, getattr(state, name), ((size,),), (np.float64,))
    if state.left is not None:
        _check_vector("left", state.left, ((size,),), (np.float64,))
    if state.coupling is not None and (state.coupling.ndim != 2 or state.coupling.size + len(state.coupling) != size):
        raise ValueError(f"coupling of shape {state.coupling.shape}, expected all of {size} but the last of each row")
    if state.flat is not None:
        n_columns = state.flat.shape[-1] if state.flat.ndim == 2 else 0
        if not n_columns or size % n_columns or len(state.flat) > n_columns or not np.isfinite(state.flat).all():
            raise ValueError(f"flat of shape {state.flat.shape}, or not finite")
    # a unit that is not known yet is one for all
    _check_vector("unit", state.unit, ((size,), (1,)), (np.float64,))
    for name in PAIRS:
        for vector in getattr(state, name):
            _check_vector(name, vector, ((size,),), (np.float32, np.float64))
    numbers = [getattr(state, item.name) for item in fields(state) if item.type == "float"]
    numbers += [] if state.separation is None else astuple(state.separation)
    if any(type(number) is not float for number in (*numbers, *state.steps)):
        raise ValueError(f"numbers {numbers} and steps {state.steps}")
    counts = [getattr(state, name) for name in (*_COUNTS, "missed", "unsampled")]
    if any(type(n) is not int or n < 0 for n in counts) or max(state.n_iterations, state.unsampled) > state.n_passes:
        raise ValueError(f"counts {counts}")
    if type(state.fine) is not bool:
        raise ValueError(f"fine {state.fine!r}")
    if state.chosen >= len(state.steps) or len(state.pairs_s) != len(state.pairs_y):
        raise ValueError(f"{len(state.steps)} steps, {len(state.pairs_s)} and {len(state.pairs_y)} vectors of pairs")
    if not (np.isfinite(state.point).all() and np.isfinite(state.steps).all()):
        raise ValueError("a point or steps that are not finite")


def _check_vector(
    name: str, vector: NDArray[Any], shapes: tuple[tuple[int, ...], ...], dtypes: tuple[Any, ...]
) -> None:
    if vector.shape not in shapes or vector.dtype not in dtypes:
        raise ValueError(f"{name} of {vector.dtype} and shape {vector.shape}, expected float64, {shapes[0]}")
