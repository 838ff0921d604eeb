"""Retraining under the schedulers that people have; each is an extra of the same name."""
