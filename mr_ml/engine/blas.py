"""One BLAS thread: with more, the order of additions inside a product depends on the machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

import numpy as np  # noqa: F401 - its BLAS must be loaded before it can be found
from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    limits: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limits


@cache
def _controller() -> ThreadpoolController:
    # looking for the loaded libraries takes a millisecond, once for every block that is streamed
    return ThreadpoolController()
