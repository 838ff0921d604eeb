"""Read stored JSON into dataclasses, checked by their annotations.

    read(TrainSpec, document["spec"], where="runs/r/spec.json: spec")

Keys are the fields' names. All must be there but those that a class says it `may_lack`, since earlier releases wrote
none: they have their defaults then, or what it says that they `formerly` meant. No other may be. Values have exactly
the type that is annotated: numbers are finite, whole ones fit 64 bits, texts can be written as UTF-8; true is not a
number. `Annotated` adds what a type lacks (`at_least`, `matching`, ...), and a method `check_stored` what several
fields must agree on; it raises ValueError. A `TypedDict` stays a dict. What is annotated `Any` is taken as it is.
A class method `stored_as` says which subclass a document is of, and what of it is for that one.

Libraries that do the same (msgspec, pydantic, jsonschema) let keys pass that a dataclass does not have, or take longer
to load than all the rest of the driver, or want every document described a second time. And tasks, which read schemas
too, run on nodes that have none of them.
"""

from __future__ import annotations

import math
import os
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

from hdfs_layout.suggestions import did_you_mean
from mr_ml.data.rules import NEWER, REMEDY, Rule, at_least, at_most, matching, registered
from mr_ml.errors import BadDataError, UsageError

__all__ = [
    "MORE", "NEWER", "REMEDY", "Count", "Digest", "Name", "NotNegative", "Path", "Positive", "Rule", "Sha256",
    "Versioned", "at_least", "at_most", "check", "chosen", "matching", "plain", "read", "registered", "shown",
]  # fmt: skip

T = TypeVar("T")
Reader = Callable[[Any], Any]

Count = Annotated[int, at_least(0)]
Positive = Annotated[int, at_least(1)]
NotNegative = Annotated[float, at_least(0)]
Sha256 = Annotated[str, matching("[0-9a-f]{64}", "64 hexadecimal digits")]
Digest = Annotated[str, matching("[0-9a-f]{16}", "16 hexadecimal digits")]
# as `hdfs_layout.check_name` has it, which tasks do not know
Name = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "a name")]
Versioned = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}@[1-9][0-9]{0,5}", "a name and version")]
# below the root, as `hdfs_layout.split_path` has it
Path = Annotated[str, matching(r"(?!(.*/)?\.{0,2}(/|$))[^\x00-\x1f\x7f]+", "a path below the root")]


# In an `Annotated` record: keys that it does not know are let pass; those of a `TypedDict` are kept.
MORE = "more keys"


class _Mismatch(Exception):
    """Something is not as described; says where, from the inside out."""

    def __init__(self, expected: str, found: str, remedy: str = REMEDY) -> None:
        super().__init__(expected, found)
        self.expected, self.found, self.remedy = expected, found, remedy
        self.place: list[str] = []

    def within(self, key: object) -> _Mismatch:
        self.place.insert(0, f"[{key}]" if isinstance(key, int) else f".{ascii(key)[1:-1][:60]}")
        return self


def shown(value: Any) -> str:
    """Return a value for a message: short, and printable whatever it is."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read(kind: type[T], value: Any, *, where: str) -> T:
    """Make a `kind` of plain JSON.

    Parameters
    ----------
    kind
        A dataclass, or any other annotation.
    where
        The file, and if need be the place in it, for messages.

    Raises
    ------
    BadDataError
        If it is anything else: names the key, what was expected and what was found.
    """
    try:
        value_read: T = _reader(kind)(value)  # type: ignore[arg-type]
        return value_read
    except _Mismatch as error:
        place = "".join(error.place).lstrip(".")
        raise BadDataError(
            f"{where}: expected {error.expected}{place and f' as {place}'}, found {error.found}; {error.remedy}"
        ) from None


def check(kind: type[T], values: Mapping[str, Any], *, what: str, besides: Sequence[str] = ()) -> T:
    """Make a `kind` of what a user chose: as `read`, but fields that have defaults may be left out.

    Parameters
    ----------
    kind
        A dataclass.
    values
        By the names of its fields; as `plain` takes them.
    what
        It is, for messages.
    besides
        What else can be chosen of it, elsewhere; for messages.

    Raises
    ------
    UsageError
        If there is no such field, or a value is not one that it can have.
    """
    known = {item.name: item.default for item in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            can = (*known, *besides)
            raise UsageError(
                f"`{name}` cannot be chosen of {what}{did_you_mean(name, can)}; what can is {', '.join(can)}"
            )
    chosen = {name: default for name, default in known.items() if default is not MISSING}
    try:
        checked: T = _reader(kind)(plain({**chosen, **values}))  # type: ignore[arg-type]
        return checked
    except _Mismatch as error:
        if not error.place:
            # several values do not agree
            raise UsageError(f"{what}: {error.found}") from None
        place, *rest = error.place
        raise _misused(place.lstrip("."), rest, error) from None


def chosen(kind: Any, value: Any, name: str) -> Any:
    """Make a `kind` of one value that a user chose.

    Parameters
    ----------
    kind
        An annotation.
    value
        As `plain` takes it.
    name
        Of the parameter.

    Raises
    ------
    UsageError
        If it is not one.
    """
    try:
        return _reader(kind)(plain(value))
    except _Mismatch as error:
        raise _misused(name, error.place, error) from None


def plain(value: Any) -> Any:
    """Return a value as JSON has it: arrays and sequences as lists, numpy's numbers as numbers, paths as text.

    A dataclass is what `_record` reads it from.
    """
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(vars(value)[item.name]) for item in fields(value)}
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value


def _misused(name: str, place: list[str], error: _Mismatch) -> UsageError:
    expected = re.sub("|".join(_IN_PYTHON), lambda found: _IN_PYTHON[found[0]], error.expected)
    return UsageError(f"`{name}`{''.join(place)}: expected {expected}, found {error.found}")


# What users say of what JSON has; that they may say nothing helps nobody who said something.
_IN_PYTHON = {"true or false": "True or False", " or null": "", "an object": "a dict"}


@cache
def _reader(kind: Any) -> Reader:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return lambda value: value
    if kind in _PLAIN:
        return _PLAIN[kind]
    if origin is Annotated:
        if MORE in arguments[1:]:
            return _record(arguments[0], more=True)
        return _ruled(_reader(arguments[0]), arguments[1:])
    if origin is Literal:
        return _one_of(arguments)
    if origin in (types.UnionType, typing.Union):
        return _any_of([_reader(argument) for argument in arguments])
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _each(tuple, _reader(arguments[0]), strings=arguments[0] is str)
    if origin is tuple:
        return _fixed([_reader(argument) for argument in arguments])
    if origin is frozenset:
        return _each(frozenset, _reader(arguments[0]), strings=arguments[0] is str)
    if origin in (dict, Mapping):
        return _mapping(_reader(arguments[0]), _reader(arguments[1]))
    if typing.is_typeddict(kind) or is_dataclass(kind):
        return _record(kind)
    raise TypeError(f"nothing stored is of type {kind}")


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise _Mismatch("a number", shown(value))
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Mismatch("a finite number", shown(value))
    return number


def _whole(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise _Mismatch("a whole number", shown(value))
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _Mismatch("text", shown(value))
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Mismatch("text that UTF-8 can write", shown(value)) from None
    return value


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise _Mismatch("true or false", shown(value))
    return value


def _nothing(value: Any) -> None:
    if value is not None:
        raise _Mismatch("null", shown(value))


_PLAIN: dict[Any, Reader] = {
    float: _number,
    int: _whole,
    str: _text,
    bool: _truth,
    None: _nothing,
    types.NoneType: _nothing,
}


def _ruled(inner: Reader, rules: tuple[Rule, ...]) -> Reader:
    def reads(value: Any) -> Any:
        accepted = inner(value)
        for rule in rules:
            if not rule.holds(accepted):
                raise _Mismatch(rule.expected, shown(value), rule.remedy)
        return accepted

    return reads


def _one_of(values: tuple[Any, ...]) -> Reader:
    def reads(value: Any) -> Any:
        # 1 == True == 1.0, but those are not what was written
        if not any(type(value) is type(one) and value == one for one in values):
            raise _Mismatch(f"one of {', '.join(map(repr, values))}", shown(value), NEWER)
        return value

    return reads


def _any_of(inner: list[Reader]) -> Reader:
    def reads(value: Any) -> Any:
        faults = []
        for one in inner:
            try:
                return one(value)
            except _Mismatch as error:
                faults.append(error)
        # what got furthest is what was meant
        deepest = max(faults, key=lambda error: len(error.place))
        if not deepest.place:
            deepest.expected = " or ".join(dict.fromkeys(error.expected for error in faults if not error.place))
        raise deepest

    return reads


def _each(make: Callable[[list[Any]], Any], inner: Reader, *, strings: bool) -> Reader:
    def reads(value: Any) -> Any:
        if type(value) is not list:
            raise _Mismatch("a list", shown(value))
        if strings and set(map(type, value)) <= {str}:
            # names of millions of features: all at once
            try:
                "".join(value).encode()
                return make(value)
            except UnicodeEncodeError:
                pass  # whose fault it is shows below
        items = []
        for k, item in enumerate(value):
            try:
                items.append(inner(item))
            except _Mismatch as error:
                raise error.within(k) from None
        return make(items)

    return reads


def _fixed(inner: list[Reader]) -> Reader:
    def reads(value: Any) -> Any:
        if type(value) is not list or len(value) != len(inner):
            raise _Mismatch(f"a list of {len(inner)}", shown(value))
        items = []
        for k, (one, item) in enumerate(zip(inner, value, strict=True)):
            try:
                items.append(one(item))
            except _Mismatch as error:
                raise error.within(k) from None
        return tuple(items)

    return reads


def _mapping(key: Reader, inner: Reader) -> Reader:
    def reads(value: Any) -> Any:
        if type(value) is not dict:
            raise _Mismatch("an object", shown(value))
        entries = {}
        for name, item in value.items():
            try:
                entries[key(name)] = inner(item)
            except _Mismatch as error:
                raise error.within(name) from None
        return entries

    return reads


def _record(kind: Any, *, more: bool = False) -> Reader:
    if "stored_as" in vars(kind):
        return _chosen(kind)
    hints = typing.get_type_hints(kind, include_extras=True)
    if is_dataclass(kind):
        hints = {field.name: hints[field.name] for field in fields(kind)}
        needed = hints.keys() - getattr(kind, "may_lack", frozenset())
    else:
        needed = set(kind.__required_keys__)
    flat: str | None = getattr(kind, "stored_flat", None)
    hints, needed = {name: hint for name, hint in hints.items() if name != flat}, needed - {flat}
    formerly: Mapping[str, Any] = getattr(kind, "formerly", {})
    readers = {name: _reader(hint) for name, hint in hints.items()}
    known, keeps_more, checked = frozenset(readers), more and not is_dataclass(kind), hasattr(kind, "check_stored")

    def reads(value: Any) -> Any:
        if type(value) is not dict:
            raise _Mismatch(f"an object with {_listed(readers)}", shown(value))
        value = {**formerly, **value}
        rest = {} if value.keys() <= known else {name: item for name, item in value.items() if name not in known}
        if rest and not more and flat is None:
            raise _Mismatch(f"an object with {_listed(readers)}", f"also {_listed(sorted(rest))}", NEWER)
        if not needed <= value.keys():
            lacking = sorted(needed - value.keys())
            raise _Mismatch(f"an object with {_listed(readers)}", f"one without {_listed(lacking)}")
        values = {}
        for name, reader in readers.items():
            if name in value:
                try:
                    values[name] = reader(value[name])
                except _Mismatch as error:
                    raise error.within(name) from None
        if flat is not None:
            try:
                inner = kind.stored_kind(values)
            except ValueError as error:
                raise _Mismatch("what this mr_ml knows", str(error), NEWER) from None
            values[flat] = _reader(inner)(rest)
        made = kind(**values, **rest) if keeps_more else kind(**values)
        if checked:
            try:
                made.check_stored()
            except ValueError as error:
                raise _Mismatch("an object whose parts agree", str(error)) from None
        return made

    return reads


def _chosen(kind: Any) -> Reader:
    def reads(value: Any) -> Any:
        if type(value) is not dict:
            raise _Mismatch("an object", shown(value))
        try:
            chosen, rest = kind.stored_as(value)
        except ValueError as error:
            raise _Mismatch(str(error), shown(value.get("kind")), NEWER) from None
        return _reader(chosen)(rest)

    return reads


def _listed(names: Any) -> str:
    listed = [shown(name) for name in names]
    return ", ".join(listed[:12]) + (f" and {len(listed) - 12} more" if len(listed) > 12 else "")
