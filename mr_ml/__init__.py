"""Batch training of linear models as sums over rows: MapReduce passes, a driver loop, the same bits on every runner."""

__version__ = "0.1.0"
