"""libsvm text: a label and ``id:value`` pairs a line."""
