"""Retraining, unattended: find new rows, pack, train, judge, promote, clean up."""
