"""Tuning: many candidates trained and judged in the same passes, and the best one published."""
