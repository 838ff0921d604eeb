"""Optimizers: each asks for the objective at some coefficients, is told, and says when it is done."""
