"""Training: from a specification to a published model, and its evaluation."""
