"""The kinds of model that can be trained, a package each."""
