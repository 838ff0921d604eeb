"""How checks are made."""

from __future__ import annotations

import math

from mr_ml.catalog.decision import Check


def check(name: str, passed: bool, found: str, expected: str, **numbers: float | None) -> Check:
    """Make a check; numbers that are none or not finite are left out."""
    kept = {key: float(n) for key, n in numbers.items() if n is not None and math.isfinite(n)}
    return Check(name=name, passed=passed, found=found, expected=expected, numbers=kept)
