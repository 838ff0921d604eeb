"""The values of a categorical column: one that is a whole number is the same however it is spelled, 1 as 1.0.

So it is only where all values are whole numbers and none begins with a zero as codes do. Texts are compared, never
doubles, so that long ids stay apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from mr_ml.readers.csv.values import vocabulary
from mr_ml.readers.text.fields import I64, U8

MISSING_CATEGORY = "<missing>"

_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))(?:\.0*)?")
# after so many zeros behind the dot a field is taken as it is
_MOST_ZEROS = 32


def one_spelling(values: Iterable[str]) -> set[str]:
    """Return the values; of those that are the same whole number only the shortest."""
    known = sorted(values, key=lambda value: (len(value), value))
    forms = _forms(known)
    if forms is None:
        return set(known)
    shortest: dict[str, str] = {}
    for form, value in zip(forms, known, strict=True):
        shortest.setdefault(form, value)
    return set(shortest.values())


def are_whole(values: Sequence[str]) -> bool:
    """Whether values are whole numbers of which each spelling is one."""
    forms = _forms(values)
    # a dataset of earlier times may have two spellings, which are two features then
    return forms is not None and len(set(forms)) == len(forms)


class Categories:
    """The look-up of a column's values.

    Parameters
    ----------
    values : sequence of str
        Distinct.
    """

    def __init__(self, values: Sequence[str]) -> None:
        self._exact = vocabulary(tuple(values))
        self._whole = vocabulary(tuple(_forms(values) or ())) if are_whole(values) else None

    def find(self, buffer: U8, starts: I64, ends: I64) -> I64:
        """Position of each field among the values; -1 where it is none of them. As `Vocabulary.find`."""
        codes = self._exact.find(buffer, starts, ends)
        if self._whole is not None:
            others = np.flatnonzero(codes < 0)
            if len(others):
                codes[others] = self._whole.find(buffer, *_without_fraction(buffer, starts[others], ends[others]))
        return codes


def _forms(values: Iterable[str]) -> list[str] | None:
    forms = []
    for value in values:
        whole = _WHOLE.fullmatch(value)
        if whole is None and value != MISSING_CATEGORY:
            return None
        forms.append(value if whole is None else "0" if whole[1] == "-0" else whole[1])
    return forms


def _without_fraction(buffer: U8, starts: I64, ends: I64) -> tuple[I64, I64]:
    """Return the same fields without a plus sign, without a dot that nothing but zeros follow, and with 0 for -0."""
    starts = starts + ((ends - starts > 1) & (buffer[np.minimum(starts, len(buffer) - 1)] == ord("+")))
    shorter = ends.copy()
    for _ in range(_MOST_ZEROS):
        zero = (shorter > starts) & (buffer[shorter - 1] == ord("0"))
        if not zero.any():
            break
        shorter -= zero
    has_dot = (shorter > starts + 1) & (buffer[shorter - 1] == ord("."))
    ends = np.where(has_dot, shorter - 1, ends)
    pairs = np.flatnonzero(ends - starts == 2)
    starts[pairs] += (buffer[starts[pairs]] == ord("-")) & (buffer[starts[pairs] + 1] == ord("0"))
    return starts, ends
