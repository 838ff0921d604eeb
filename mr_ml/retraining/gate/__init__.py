"""The gate: whether a candidate may take the place of the published model.

measure   both models on the same rows, one pass, with the difference and how certain it is
drift     the training rows of both, held against each other
judge     rules and facts -> a decision, with every number; no file is read and none is written
table     a decision for people
"""
