"""A model of Vowpal Wabbit, as `--invert_hash` writes it: a head of `key:value`, then `name:index:weight` lines.

    Version 9.11.9
    ...
    bits:18
    options: --link logistic
    Checksum: 4223008588
    :0                                   or :1, and lines of numbers by name below it
    a^x:55432:0.158336 1.52845 2         namespace^feature, and what its updates remember behind the weight
    Constant:116060:0.0563117

Names are those that the format `vw` of rows has. `--readable_model` writes no names and is refused. An SGD with an L1
or L2 penalty keeps what it has not yet taken off the weights: a prediction takes min(|w|, l1_state) off, and multiplies
by l2_state (`trunc_weight` and `contraction` in VW's gd.cc).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from mr_ml.coefficients.base import CoefficientFile, Coefficients, checked
from mr_ml.data import stored
from mr_ml.errors import BadDataError
from mr_ml.readers.rows import excerpt

# Where `Constant` is, before as many bits of it are taken as there are.
_CONSTANT = 11650396
_MOST_LINES_OF_HEAD = 100
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# Options with which it is one weight for each feature and a constant; what others make of features has no name here.
_LINEAR = frozenset(
    {
        "adaptive", "bfgs", "bit_precision", "coin", "conjugate_gradient", "ftrl", "ftrl_alpha", "ftrl_beta", "hash",
        "hash_seed", "holdout_off", "ignore", "ignore_linear", "invariant", "keep", "l1", "l2", "link",
        "loss_function", "mem", "noconstant", "normalized", "pistol", "power_t", "predict_only_model",
        "preserve_performance_counters", "quantile_tau", "random_seed", "save_resume", "sgd", "sparse_weights",
    }
)  # fmt: skip


class VwText:
    """See `mr_ml.coefficients.base.CoefficientFile`."""

    title = "a model of Vowpal Wabbit by --invert_hash"

    def knows(self, data: bytes) -> bool:
        """See `CoefficientFile.knows`."""
        return re.match(rb"Version [0-9]+\.", data) is not None

    def read(self, data: bytes, *, where: str) -> Coefficients:
        """See `CoefficientFile.read`."""
        if not data.endswith(b"\n"):
            raise BadDataError(f"{where}: expected a line feed at the end, found none: the file is cut off")
        lines = _lines(data)
        head = _Head(lines, where=where)
        names: list[str] = []
        weights: list[float] = []
        constant, n_nameless = 0.0, 0
        for number, line in lines:
            name, index, weight = _weight(line, number, where=where)
            if not name:
                n_nameless += 1
            elif name == "Constant" and index == _CONSTANT & ((1 << head.bits) - 1):
                constant = weight
            else:
                names.append(name)
                weights.append(weight)
        if n_nameless and not names:
            raise BadDataError(
                f"{where}: expected names of features, found their hashes alone, as --readable_model writes them; "
                "write it by --invert_hash, in one pass over the same rows (-t -i MODEL)"
            )
        found = np.array([*weights, constant])
        with np.errstate(over="ignore"):
            found = np.sign(found) * np.maximum(np.abs(found) - head.l1, 0.0) * head.l2
        notes = (f"{n_nameless} weights without a name are left out",) if n_nameless else ()
        coefficients = Coefficients(
            weights=found[None, :-1], intercepts=found[-1:], names=tuple(names), labels=("-1", "1"),
            may_be_numbers=True, notes=notes,
        )  # fmt: skip
        return checked(coefficients, where=where)


class _Head:
    """What stands above the weights.

    Attributes
    ----------
    bits
        Of an index.
    l1, l2
        What an SGD has not yet taken off the weights, and what it multiplies them by.
    """

    def __init__(self, lines: Iterator[tuple[int, str]], *, where: str) -> None:
        self.bits, self.l1, self.l2 = 18, 0.0, 1.0
        self._where = where
        for number, line in lines:
            if line == ":0":
                return
            if line == ":1":
                self._read_state(lines)
                return
            if number > _MOST_LINES_OF_HEAD:
                break
            key, colon, value = line.partition(":")
            self._read(key if colon else "", value.strip())
        raise BadDataError(f"{where}: expected a line :0 or :1 above the weights, found none: the file is cut off")

    def _read(self, key: str, value: str) -> None:
        if key == "bits":
            if not (value.isascii() and value.isdigit() and 1 <= int(value[:4]) <= 62):
                raise BadDataError(f"{self._where}: expected as bits a number up to 62, found {stored.shown(value)}")
            self.bits = int(value)
        elif key == "options":
            self._check_options(value)
        elif (key == "lda" and value != "0") or (key.endswith((" ngram", " skip")) and not key.startswith("0 ")):
            raise BadDataError(
                f"{self._where}: expected a linear model of features as they are, found {stored.shown(key)} "
                f"{stored.shown(value)}"
            )

    def _check_options(self, value: str) -> None:
        for word in value.split():
            name = word.removeprefix("--").partition("=")[0]
            if word.startswith("--") and name not in _LINEAR:
                raise BadDataError(
                    f"{self._where}: expected one weight for each feature, found a model with "
                    f"--{excerpt(name.encode())}, which makes features or predictors of its own; train it without"
                )

    def _read_state(self, lines: Iterator[tuple[int, str]]) -> None:
        """Read up to the last of the numbers by name."""
        for number, line in lines:
            name, _, value = line.rpartition(" ")
            if name in ("l1_state", "l2_state"):
                state = _number(value)
                if state is None or state < 0:
                    raise BadDataError(
                        f"{self._where}:{number}: expected as {name} a number, found {stored.shown(value)}"
                    )
                self.l1, self.l2 = (state, self.l2) if name == "l1_state" else (self.l1, state)
            if name == "l2_state":
                return
            if number > _MOST_LINES_OF_HEAD:
                break
        raise BadDataError(
            f"{self._where}: expected a line l2_state above the weights, found none; write the model by "
            "--predict_only_model"
        )


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield numbered lines, without a list of all; those that are blank are left out."""
    start, number = 0, 0
    while start < len(data):
        end = data.find(b"\n", start)
        number += 1
        # whose bytes that are no UTF-8 are those of no name of ours
        line = data[start:end].decode(errors="replace").rstrip()
        start = end + 1
        if line:
            yield number, line


def _weight(line: str, number: int, *, where: str) -> tuple[str, int, float]:
    """Return name, index and weight of a line; an empty name if it has none."""
    rest, _, value = line.rpartition(":")
    name, _, index = rest.rpartition(":")
    weight = _number(value.partition(" ")[0])
    if not (index.isascii() and index.isdigit() and len(index) <= 20) or weight is None:
        raise BadDataError(
            f"{where}:{number}: expected NAME:INDEX:WEIGHT with a finite weight, found {excerpt(line.encode())}"
        )
    return name, int(index), weight


def _number(text: str) -> float | None:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else None


KIND: CoefficientFile = VwText()
