"""Vowpal Wabbit's text: a label, weights and features with names, in namespaces, a line."""
