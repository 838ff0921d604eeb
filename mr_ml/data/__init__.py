"""Rows as arrays: blocks, the files that hold them, and the compiled loops over them."""
