"""A package from outside that adds a kind to four nouns by the entry points beside it; nothing in mr_ml knows of it."""
