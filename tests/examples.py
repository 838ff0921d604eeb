"""How many examples hypothesis makes up for a test."""

from __future__ import annotations

from typing import Any

from hypothesis import settings


def examples(n: int, **options: Any) -> settings:
    """Settings with so many examples, and no more than the profile `few` has where that is chosen."""
    most = settings().max_examples
    return settings(max_examples=min(n, most) if most == settings.get_profile("few").max_examples else n, **options)
