"""What tests put in place of parts of a retraining: a kill at a point, another day of today, a listener."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from daily import day

from mr_ml.errors import StorageError
from mr_ml.retraining import night, work
from mr_ml.retraining.result import RetrainResult
from mr_ml.retraining.window import Window, find_window


class Killed(BaseException):
    """As a kill: nothing that comes after it is done."""


def kill_at(point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(found: str) -> None:
        if found == point:
            raise Killed(found)

    monkeypatch.setattr(work, "reached", reached)


def today(number: int, monkeypatch: pytest.MonkeyPatch, *, without: int | None = None) -> None:
    """Let a day be yesterday, and the window of another one be out of reach."""

    def found(*given: Any, last: date | None = None, **more: Any) -> Window:
        if without is not None and last == day(without):
            raise StorageError("gone")
        return find_window(*given, last=last or day(number), **more)

    monkeypatch.setattr(night, "find_window", found)


def tell_to(told: list[RetrainResult], monkeypatch: pytest.MonkeyPatch) -> None:
    def heard(config: object, root: object, result: RetrainResult, *, warn: object) -> RetrainResult:
        if not result.repeated:
            told.append(result)
        return result

    for name in ("finish", "tell"):
        monkeypatch.setattr(night, name, heard)
