"""How many of something there can be, for the command line to check before anything is loaded."""

MOST_FOLDS = 127
MOST_CANDIDATES = 10_000
