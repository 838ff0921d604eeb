"""Tell those who wait for the outcome of a retraining: at one place, when everything else is done."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mr_ml.retraining.config import RetrainConfig
    from mr_ml.retraining.result import RetrainResult


def finish(config: RetrainConfig, result: RetrainResult, *, warn: Callable[[str], None]) -> None:
    """Tell of an outcome; what cannot be told is a warning, since nothing of the outcome changes by it."""
