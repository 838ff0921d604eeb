"""One BLAS thread: with more, the order of additions inside a product depends on the machine."""

from __future__ import annotations

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits


def one_thread() -> AbstractContextManager[object]:
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits
