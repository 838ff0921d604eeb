"""What is kept below a root: datasets, models, runs with their checkpoints, and their checks."""
