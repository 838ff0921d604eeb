"""Rules of what values of a type must also be, for `Annotated`; `mr_ml.data.stored` reads by them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hdfs_layout.dataclass import dataclass
from hdfs_layout.registry import Registry

REMEDY = "it was changed by other means than mr_ml: restore it from a copy, or pack or train again"
NEWER = "written by a newer mr_ml? Then read it with that one; else " + REMEDY


@dataclass(frozen=True)
class Rule:
    """What the values of a type must also be: in words, as a test, and as far as JSON Schema can say it."""

    expected: str
    holds: Callable[[Any], bool]
    remedy: str = REMEDY
    schema: tuple[tuple[str, Any], ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> dict[str, Any]:
        """Say the rule to pydantic, which checks the settings of retrainings; it need not be installed for this."""

        def follow(value: Any) -> Any:
            if not self.holds(value):
                raise ValueError(f"expected {self.expected}")
            return value

        return {
            "type": "function-after",
            "function": {"type": "no-info", "function": follow},
            "schema": handler(source),
        }

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Say the rule in JSON Schema."""
        return {**handler(core), **dict(self.schema)}


def at_least(least: float) -> Rule:
    """Make the rule that a number is not below `least`."""
    return Rule(f"a number of at least {least:g}", lambda value: value >= least, schema=(("minimum", least),))


def at_most(most: int) -> Rule:
    """Make the rule that a number is not above `most`."""
    return Rule(f"a number of at most {most}", lambda value: value <= most, schema=(("maximum", most),))


def registered(registry: Registry[Any], name_in: Callable[[str], str] = str) -> Rule:
    """Return the rule that there is a kind of this name; others than the built-in ones may be installed later.

    `name_in` returns the name in a text that says more.
    """
    expected = f"one of {', '.join(registry.built_in)}, or of an installed package"
    return Rule(expected, lambda text: name_in(text) in registry, "install the package that brings it; " + NEWER)


def matching(pattern: str, expected: str) -> Rule:
    """Make the rule that the whole of a text matches a regular expression; `expected` says so in words."""
    # where patterns are those of JavaScript
    schema = (("pattern", f"^(?:{pattern.removeprefix('(?s)')})$"),)
    return Rule(expected, lambda text: re.fullmatch(pattern, text) is not None, schema=schema)
