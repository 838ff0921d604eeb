"""Passes over a dataset: engines that sum a query's statistic over all blocks, and what their tasks run."""
