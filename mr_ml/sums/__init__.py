"""Sums over rows: queries, statistics, and the fixed tree along which they are added."""
