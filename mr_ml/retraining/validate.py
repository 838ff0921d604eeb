"""Make the sections of the settings of a retraining of what the file says, by pydantic.

All that is wrong is found at once, and said by line, place, what was expected and what was found.
"""

from __future__ import annotations

import difflib
import json
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UnavailableError, UsageError
from mr_ml.retraining.sections import RetrainConfig
from mr_ml.settings.environment import FromEnvironment
from mr_ml.settings.faults import suggestion
from mr_ml.settings.yaml_tree import Fault, Node, Place

if TYPE_CHECKING:
    from pydantic import TypeAdapter

# What stands in for sections that are needed and cannot be used, so that the others are checked nonetheless.
_NEEDED: Mapping[str, Any] = {"model": "model", "input": {"location": "{date}", "days": 10_000}}

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "dataclass_type": "lines `key: value`",
    "dict_type": "lines `key: value`",
    "mapping_type": "lines `key: value`",
    "tuple_type": "a list",
    "list_type": "a list",
    "none_required": "nothing",
}


@runtime_checkable
class Agreeing(Protocol):
    """A section whose keys must agree on something."""

    def check_stored(self) -> None:
        """Raise ValueError if they do not."""


@dataclass(frozen=True, kw_only=True)
class Validated:
    """What came of a file.

    Attributes
    ----------
    config
        With defaults, or whatever can be, for sections that cannot be used.
    faults
        What is wrong.
    unusable
        Sections that cannot be used.
    """

    config: RetrainConfig
    faults: list[Fault]
    unusable: frozenset[str]


def validate(tree: Node, faults: Iterable[Fault]) -> Validated:
    """Make a `RetrainConfig` of a file.

    Parameters
    ----------
    faults
        What is known to be wrong with it.

    Raises
    ------
    UnavailableError
        If pydantic is not installed.
    """
    found = list(faults)
    named = {str(fault.place[0]) for fault in found if fault.place}
    if not isinstance(tree.items, dict):
        found.append(Fault(tree.line, (), f"expected lines `key: value`, found {tree.shown()}"))
        tree = replace(tree, items={}, is_faulty=True)
    of_shape = list(_shape_faults(tree))
    named |= {str(fault.place[0]) for fault in of_shape if fault.place}
    usable = {name: value for name, value in tree.plain().items() if name not in named}
    config: RetrainConfig = _restored(adapter().validate_json(json.dumps({**_NEEDED, **usable})), tree)
    unusable = frozenset(named | (_NEEDED.keys() - usable.keys()))
    disagreeing = list(_disagreements(config, tree, unusable))
    unusable |= {str(fault.place[0]) for fault in disagreeing if fault.place}
    return Validated(config=config, faults=[*found, *of_shape, *disagreeing], unusable=unusable)


@cache
def adapter(kind: Any = RetrainConfig) -> TypeAdapter[Any]:
    """Return what pydantic knows of a dataclass.

    Raises
    ------
    UnavailableError
        If pydantic is not installed.
    """
    try:
        from pydantic import TypeAdapter
    except ImportError as error:
        raise UnavailableError(
            f"retraining needs pydantic, which cannot be imported ({error}); run: pip install 'mr_ml[retrain]'"
        ) from None
    return TypeAdapter(kind)


def _shape_faults(tree: Node) -> Iterator[Fault]:
    """Find what has not the keys and types of the sections."""
    known = adapter()
    from pydantic import ValidationError

    try:
        known.validate_json(json.dumps(tree.plain()))
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=True, include_input=False)
    else:
        return
    grouped: dict[Place, list[Any]] = {}
    for one in errors:
        grouped.setdefault(_place(tree, one["loc"], one["type"]), []).append(one)
    # of a list that could have been a word, what is wrong in it says more
    outer = {place[:-1] for place in grouped if place and isinstance(place[-1], int)}
    # a key that was meant by another is not lacking
    unknown = [place for place, of_place in grouped.items() if of_place[0]["type"] == "unexpected_keyword_argument"]
    meant = {(*place[:-1], *difflib.get_close_matches(str(place[-1]), _keys(place[:-1]), n=1)) for place in unknown}
    for place, of_place in grouped.items():
        if place in outer or place in meant:
            continue
        node = tree.at(place)
        above = tree.at(place[:-1])
        if (node or above or tree).is_faulty and of_place[0]["type"] != "unexpected_keyword_argument":
            continue
        yield from _said(tree, place, node, of_place)


def _place(tree: Node, loc: tuple[str | int, ...], kind: str) -> Place:
    """Return where a fault is: what pydantic says without the branches of unions that it tried."""
    place: Place = ()
    for k, key in enumerate(loc):
        if tree.at((*place, key)) is not None or (k == len(loc) - 1 and kind == "missing"):
            place = (*place, key)
    return place


def _said(tree: Node, place: Place, node: Node | None, errors: list[Any]) -> Iterator[Fault]:
    kinds = {error["type"] for error in errors}
    line = tree.line_of(place)
    if "unexpected_keyword_argument" in kinds:
        yield Fault(
            line,
            place,
            "unknown key; " + suggestion(str(place[-1]), _keys(place[:-1])),
        )
    elif node is None:
        yield Fault(line, place[:-1], f"expected the key `{place[-1]}`, found none")
    else:
        ruled = [error for error in errors if error["type"] == "value_error"]
        if ruled and section_at(place) is not None:
            yield from (blamed(tree, place, str(error["ctx"]["error"])) for error in ruled)
            return
        expected = list(dict.fromkeys(_expected(error) for error in ruled or errors))
        words = [
            word for error in errors for word in re.findall(r"'([^']*)'", error.get("ctx", {}).get("expected", ""))
        ]
        close = difflib.get_close_matches(str(node.value), words, n=1)
        hint = f"; did you mean `{close[0]}`?" if close else ""
        yield Fault(line, place, f"expected {' or '.join(expected)}, found {node.shown()}{hint}")


def _expected(error: Any) -> str:
    kind = error["type"]
    if kind == "value_error":
        return str(error["ctx"]["error"]).removeprefix("expected ")
    if kind == "literal_error":
        return re.sub(r"'([^']*)'", r"\1", f"{error['ctx']['expected']}")
    return _EXPECTED.get(kind) or str(error["msg"])


def _keys(place: Place) -> list[str]:
    return [item.name for item in fields(section_at(place))]


def blamed(tree: Node, place: Place, text: str) -> Fault:
    """Return the fault of a section whose keys do not agree, at the first of its keys that the message names."""
    node = tree.at(place)
    keys = node.items if node is not None and isinstance(node.items, dict) else {}
    named = next((word for word in re.findall(r"[a-z_0-9]+", text) if word in keys), None)
    if named is not None:
        place, text = (*place, named), text.removeprefix(f"`{named}`: ")
    return Fault(tree.line_of(place), place, text)


def sections(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield a section and all in it, each with its place."""
    inner: Iterable[tuple[Any, Any]] = ()
    if is_dataclass(value):
        yield place, value
        inner = vars(value).items()
    elif isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list | tuple):
        inner = enumerate(value)
    for key, item in inner:
        yield from sections(item, (*place, key))


def _disagreements(config: RetrainConfig, tree: Node, unusable: frozenset[str]) -> Iterator[Fault]:
    """Find sections whose keys do not agree."""
    for place, section in sections(config):
        if isinstance(section, Agreeing) and not (place and place[0] in unusable):
            try:
                section.check_stored()
            except (ValueError, UsageError) as error:
                yield blamed(tree, place, str(error))


def _restored(value: Any, node: Node | None) -> Any:
    """Return a value whose texts from the environment are again known to be."""
    if node is None:
        return value
    if isinstance(node.value, FromEnvironment):
        return node.value
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{name: _restored(item, node.at((name,))) for name, item in vars(value).items()})
    if isinstance(value, Mapping):
        return {name: _restored(item, node.at((name,))) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_restored(item, node.at((k,))) for k, item in enumerate(value))
    return value


def section_at(place: Place) -> Any:
    """Return the class of the section at a place; None if there is none."""
    kind: Any = RetrainConfig
    for key in place:
        kind = _inner(kind, key)
    return next((one for one in _alternatives(kind) if is_dataclass(one)), None)


def sections_in(kind: Any) -> Iterator[type[Any]]:
    """Yield the classes of a section and of all that can be in it."""
    for one in _alternatives(kind):
        inner: Iterable[Any] = typing.get_args(one)
        if is_dataclass(one) and isinstance(one, type):
            yield one
            hints = typing.get_type_hints(one, include_extras=True)
            inner = [hints[item.name] for item in fields(one)]
        for annotation in inner:
            yield from sections_in(annotation)


def _inner(kind: Any, key: str | int) -> Any:
    """Return the annotation of what a value with this annotation has by a key or index."""
    for one in _alternatives(kind):
        if is_dataclass(one):
            return typing.get_type_hints(one, include_extras=True).get(str(key))
        if typing.get_origin(one) in (tuple, Mapping):
            return typing.get_args(one)[typing.get_origin(one) is Mapping]
    return None


def _alternatives(kind: Any) -> list[Any]:
    """Return the members of a union, or what is none."""
    if typing.get_origin(kind) is Annotated:
        return _alternatives(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return [one for member in typing.get_args(kind) for one in _alternatives(member)]
    return [kind]
