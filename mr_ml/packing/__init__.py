"""Packing: text rows to a dataset version of shuffled, balanced partitions of blocks."""
