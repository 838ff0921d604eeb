"""Dataclasses by `hdfs_layout.dataclass` beside those of the standard library: the same to all who use them."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hdfs_layout
from hdfs_layout import dataclass as ours_module

OPTIONS: list[dict[str, bool]] = [
    {"eq": eq, "frozen": frozen, "kw_only": kw_only, "order": order}
    for eq in (True, False)
    for frozen in (True, False)
    for kw_only in (True, False)
    for order in (True, False)
    if eq or not order
]


def classes(make: Callable[..., Any], options: dict[str, bool]) -> list[type]:
    @make(**options)
    class Few:
        """One field."""

        one: int

    @make(**options)
    class Nothing:
        """No field."""

    @make(**options)
    class Base:
        """What others begin with."""

        first: int
        second: list[int] = dataclasses.field(default_factory=list)
        hidden: str = dataclasses.field(default="h", repr=False)

        def __post_init__(self) -> None:
            if self.first < 0:
                raise ValueError("below zero")

    @make(**options)
    class More(Base):
        """With fields of its own, one for the eye only, one beside `__init__`."""

        third: float = 0.5
        unequal: int = dataclasses.field(default=0, compare=False)
        later: dict[str, int] = dataclasses.field(default_factory=dict, init=False)

    @make(**options)
    class Own(Base):
        """Has methods of its own."""

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return other == 3

        def __hash__(self) -> int:
            return 7

    return [Few, Nothing, Base, More, Own]


def outcome(ask: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return ask(*arguments)
    except (TypeError, ValueError, AttributeError) as error:
        return type(error), str(error)


MAKERS = [dataclasses.dataclass, ours_module.dataclass]

ASKED: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a == b,
    lambda a, b: a < b,
    lambda a, b: a >= b,
    lambda a, b: len({a, b}),
]


def shown(cls: type, given: dict[str, Any]) -> str:
    return repr(cls(**given))


def with_nine(mine: Any) -> Any:
    return dataclasses.replace(mine, first=9).first


def of_objects(made: list[type], kw_only: bool) -> list[Any]:
    few, nothing, base, more, own = made
    first: Callable[[type, int], Any] = (lambda cls, n: cls(first=n)) if kw_only else (lambda cls, n: cls(n))
    objects = [few(one=3), nothing(), first(base, 1), first(base, 2), base(first=1, second=[2], hidden="x")]
    objects += [first(more, 1), more(first=1, unequal=4), more(first=1, third=2.5), own(first=1), own(first=2)]
    return objects


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(name for name, on in o.items() if on) or "plain")
def test_an_object_is_that_of_the_standard_library(options: dict[str, bool]) -> None:
    theirs, ours = (classes(make, options) for make in (dataclasses.dataclass, ours_module.dataclass))
    for mine, his in zip(ours, theirs, strict=True):
        assert [field.name for field in dataclasses.fields(mine)] == [field.name for field in dataclasses.fields(his)]
        assert list(inspect.signature(mine).parameters) == list(inspect.signature(his).parameters)
        assert getattr(mine, "__match_args__", None) == getattr(his, "__match_args__", None)
        assert mine.__doc__ == his.__doc__
        given: list[dict[str, Any]] = [{"first": -1}, {}, {"nonsense": 1}]
        assert [outcome(shown, mine, bad) for bad in given] == [outcome(shown, his, bad) for bad in given]
    made, likewise = of_objects(ours, options["kw_only"]), of_objects(theirs, options["kw_only"])
    for mine, his in zip(made, likewise, strict=True):
        assert repr(mine) == repr(his)
        assert dataclasses.asdict(mine) == dataclasses.asdict(his)
        assert repr(copy.deepcopy(mine)) == repr(his)
        assert (type(mine).__hash__ is None) == (type(his).__hash__ is None)
        assert outcome(with_nine, mine) == outcome(with_nine, his)
    for ask in ASKED:
        expected = [outcome(ask, a, b) for a in likewise for b in likewise]
        assert [outcome(ask, a, b) for a in made for b in made] == expected


@pytest.mark.parametrize("make", MAKERS)
def test_a_frozen_object_stays_as_it_is(make: Callable[..., Any]) -> None:
    for mine in of_objects(classes(make, {"frozen": True}), kw_only=False):
        for name in [*(field.name for field in dataclasses.fields(mine)), "unheard_of"]:
            with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot assign to field {name!r}"):
                setattr(mine, name, 1)
            with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot delete field {name!r}"):
                delattr(mine, name)


@pytest.mark.parametrize("make", MAKERS)
def test_a_class_below_that_is_no_dataclass_may_keep_more(make: Callable[..., Any]) -> None:
    base = classes(make, {"frozen": True})[2]
    mine = type("Below", (base,), {})(1)
    mine.more = 1
    mine.more = 2
    del mine.more
    with pytest.raises(dataclasses.FrozenInstanceError):
        mine.first = 2


@pytest.mark.parametrize("make", MAKERS)
def test_an_object_that_holds_itself_can_be_shown(make: Callable[..., Any]) -> None:
    mine = classes(make, {})[2](1)
    mine.second.append(mine)
    assert repr(mine).endswith("Base(first=1, second=[...])")


@pytest.mark.parametrize("make", MAKERS)
def test_frozen_and_other_classes_do_not_mix_with_fields_in_a_wrong_order(make: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="non-default argument 'b' follows default argument"):

        @make
        class Wrong:
            """A field without a default after one with it."""

            a: int = 1
            b: int


@pytest.mark.parametrize("upper", MAKERS)
@pytest.mark.parametrize("lower", MAKERS)
def test_one_may_stand_below_the_other(upper: Callable[..., Any], lower: Callable[..., Any]) -> None:
    base = classes(upper, {"frozen": True})[2]

    @lower(frozen=True)
    class Below(base):  # type: ignore[misc, valid-type]
        """With a field of its own."""

        more: int = 3

    mine = Below(1, more=4)
    assert (mine.first, mine.more) == (1, 4)
    assert mine == Below(1, more=4) != Below(1)
    for name in ("first", "more", "unheard_of"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(mine, name, 2)
    for frozen in (True, False):
        other = classes(upper, {"frozen": not frozen})[2]
        with pytest.raises(TypeError, match="cannot inherit"):
            lower(frozen=frozen)(type("Wrong", (other,), {"__annotations__": {"more": int}, "more": 3}))


def test_the_product_has_no_other_dataclasses() -> None:
    checkout = Path(hdfs_layout.__file__).parent.parent
    for path in [path for top in ("mr_ml", "hdfs_layout", "jobs") for path in sorted((checkout / top).rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "dataclasses" and path.name != "dataclass.py":
                wrong = {"dataclass", "InitVar", "KW_ONLY", "make_dataclass"}.intersection(
                    name.name for name in node.names
                )
                assert not wrong, f"{path}: {wrong} come from hdfs_layout.dataclass, or not at all"
