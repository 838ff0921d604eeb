"""Errors of a retraining, without what came from the environment."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mr_ml.errors import InternalError, MrMlError

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig


@contextmanager
def hidden(config: RetrainConfig) -> Iterator[None]:
    """Leave what came from the environment out of errors that leave the block, and out of their tracebacks.

    Raises
    ------
    InternalError
        In place of an error that is a defect, and has such a value somewhere in its traceback: that, as text.
    """
    try:
        yield
    except Exception as error:
        shown = "".join(traceback.format_exception(error))
        said = config.hide(shown)
        if said == shown:
            raise
        if not isinstance(error, MrMlError):
            raise InternalError(f"a defect of mr_ml, please report it:\n{said}") from None
        # of the same class and with its attributes; what led to it is in its words
        error.args = (config.hide(str(error)), *error.args[1:])
        error.__cause__, error.__suppress_context__ = None, True
        error.__context__ = None
        raise


def hidden_json(config: RetrainConfig, value: Any) -> Any:
    """Return plain JSON without what came from the environment."""
    if isinstance(value, str):
        return config.hide(value)
    if isinstance(value, Mapping):
        return {config.hide(str(key)): hidden_json(config, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hidden_json(config, item) for item in value]
    return value
