"""Unique names for runs and packed data."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def unique_id() -> str:
    """UTC time and a random part: sorts by time, never meets another."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
