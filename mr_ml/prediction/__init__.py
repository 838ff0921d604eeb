"""mr-ml predict: raw rows in, a line for each of them out, on this machine or on a cluster."""
