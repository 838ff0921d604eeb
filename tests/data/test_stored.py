"""Records are read by their annotations: what does not fit is refused, naming key, expectation and finding."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypedDict

import pytest

from mr_ml.data import stored
from mr_ml.errors import BadDataError


class Entry(TypedDict):
    uri: stored.Path
    n: stored.Count


@dataclass(frozen=True)
class Inner:
    names: tuple[str, ...]
    pair: tuple[str, float]
    low: int
    high: int

    def check_stored(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low {self.low} above high {self.high}")


@dataclass(frozen=True)
class Record:
    kind: Literal["a", 1]
    number: float
    flag: bool
    text: str | None
    inner: Inner
    entries: Mapping[stored.Name, Entry]
    values: frozenset[float]
    free: Annotated[Entry, stored.MORE]
    later: int = 7
    always: stored.Positive = 3

    may_lack: ClassVar[frozenset[str]] = frozenset({"later"})


GOOD: dict[str, Any] = {
    "kind": "a", "number": 1, "flag": True, "text": None,
    "inner": {"names": ["x", "é"], "pair": ["y", 0.5], "low": 1, "high": 2},
    "entries": {"train": {"uri": "a/b.c", "n": 0}}, "values": [1, 2.5], "free": {"uri": "x", "n": 1, "more": [None]},
    "always": 1,
}  # fmt: skip


def changed(way: str, value: Any) -> dict[str, Any]:
    """The good document with another value at a place such as inner.low; `...` takes it away."""
    document = copy.deepcopy(GOOD)
    *before, last = way.split(".")
    holder: Any = document
    for key in before:
        holder = holder[int(key) if isinstance(holder, list) else key]
    last_key: Any = int(last) if isinstance(holder, list) else last
    if value is ...:
        del holder[last_key]
    else:
        holder[last_key] = value
    return document


def test_what_fits_becomes_the_record() -> None:
    found = stored.read(Record, GOOD, where="here")
    inner = Inner(("x", "é"), ("y", 0.5), 1, 2)
    values = frozenset({1.0, 2.5})
    assert found == Record("a", 1.0, True, None, inner, GOOD["entries"], values, GOOD["free"], later=7, always=1)
    assert type(found.number) is float


@pytest.mark.parametrize(
    ("way", "value", "expected"),
    [
        ("kind", "b", "one of 'a', 1 as kind, found 'b'"),
        ("kind", True, "as kind, found True"),
        ("kind", 1.0, "as kind, found 1.0"),
        ("number", True, "a number as number, found True"),
        ("number", "1", "a number as number, found '1'"),
        ("number", float("inf"), "a finite number as number, found inf"),
        ("number", 10**400, "a finite number as number"),
        ("flag", 1, "true or false as flag, found 1"),
        ("text", 3, "text or null as text, found 3"),
        ("text", "\ud800", "UTF-8"),
        ("inner", [], "an object with 'names', 'pair', 'low', 'high' as inner"),
        ("inner.names", "x", "a list as inner.names"),
        ("inner.names.1", None, r"text as inner.names\[1\], found None"),
        ("inner.names.0", "\udc80", r"inner.names\[0\]"),
        ("inner.pair", ["y"], "a list of 2 as inner.pair"),
        ("inner.pair.1", "y", r"a number as inner.pair\[1\]"),
        ("inner.low", 1.0, "a whole number as inner.low, found 1.0"),
        ("inner.low", 2**63, "a whole number as inner.low"),
        ("inner.low", 3, "whose parts agree as inner, found low 3 above high 2"),
        ("inner.high", ..., "found one without 'high'"),
        ("entries.train.n", -1, "at least 0 as entries.train.n, found -1"),
        ("entries.train.x", 1, "found also 'x'; written by a newer mr_ml"),
        ("entries.a b", {"uri": "a", "n": 1}, "a name as entries.a b"),
        ("values", {"x": 1}, "a list as values"),
        ("free.n", "x", "as free.n"),
        ("always", ..., "without 'always'"),
        ("always", 0, "at least 1 as always"),
        ("unknown\n", 1, r"found also 'unknown\\n'"),
    ],
)
def test_what_does_not_fit_is_named(way: str, value: Any, expected: str) -> None:
    with pytest.raises(BadDataError, match=f"^here: expected .*{expected}") as refused:
        stored.read(Record, changed(way, value), where="here")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("path", ["", "/a", "a//b", "a/", "..", "a/../b", "./a", "a\nb", "a/.", "\0"])
def test_paths_that_leave_the_root(path: str) -> None:
    with pytest.raises(BadDataError, match="a path below the root"):
        stored.read(Record, changed("free.uri", path), where="here")
