"""Linear models: losses, penalties, what a pass over the rows sums for them, and what the driver makes of the sums."""
