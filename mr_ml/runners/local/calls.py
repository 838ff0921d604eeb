"""Calls as JSON, for worker processes: functions by module and name, their arguments as values or calls themselves."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable
from typing import Any


def encode(call: Callable[[], None]) -> bytes:
    """Write a call.

    Parameters
    ----------
    call
        A function of a module's top level, or a `functools.partial` of one. Arguments are what JSON holds, of which
        tuples come back as lists, or calls like this one.

    Raises
    ------
    TypeError
        If it cannot be written, as a lambda cannot, or a function of the running script.
    """
    return json.dumps(_written(call)).encode()


def decode(data: bytes) -> Callable[[], None]:
    """Undo `encode`; importing what the call needs."""
    call: Callable[[], None] = _read(json.loads(data))
    return call


def _written(value: Any) -> Any:
    if isinstance(value, functools.partial):
        return {"call": _name(value.func), "args": _written(value.args), "keywords": _written(value.keywords)}
    if callable(value):
        return _written(functools.partial(value))
    if isinstance(value, dict):
        return {"dict": {key: _written(item) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return [_written(item) for item in value]
    return value


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {key: _read(item) for key, item in value["dict"].items()}
    module, _, name = value["call"].partition(":")
    function: Any = importlib.import_module(module)
    for part in name.split("."):
        function = getattr(function, part)
    return functools.partial(function, *_read(value["args"]), **_read(value["keywords"]))


def _name(function: Any) -> str:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "<locals>")
    if module in (None, "__main__") or "<" in name:
        raise TypeError(
            f"{function!r}: what workers run must be importable from a module, not defined in the running script or in "
            "a function"
        )
    return f"{module}:{name}"
