"""One BLAS thread: with more, the order of additions inside a product depends on the machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, wraps
from importlib import import_module
from typing import ParamSpec, TypeVar

import numpy as np  # noqa: F401 - its BLAS must be loaded before it can be found
from threadpoolctl import ThreadpoolController

_P = ParamSpec("_P")
_R = TypeVar("_R")


def one_thread(*modules: str) -> AbstractContextManager[object]:
    """Hold BLAS to one thread, whatever the environment says and whatever loaded it first.

    Parameters
    ----------
    modules
        Those whose BLAS is to be held too: scipy brings one of its own, which is loaded with ``scipy.linalg``.
    """
    limits: AbstractContextManager[object] = _controller(modules).limit(limits=1, user_api="blas")
    return limits


def on_one_thread(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a function whose own products, by numpy, are to be those of one thread."""

    @wraps(function)
    def held(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with one_thread():
            return function(*args, **kwargs)

    return held


@cache
def _controller(modules: tuple[str, ...]) -> ThreadpoolController:
    for name in modules:
        import_module(name)
    # looking for the loaded libraries takes a millisecond, once for every block that is streamed
    return ThreadpoolController()
