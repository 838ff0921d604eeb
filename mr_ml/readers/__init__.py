"""Formats: from text to rows."""
