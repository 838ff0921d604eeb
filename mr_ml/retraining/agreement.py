"""What the sections of the settings of a retraining must agree on, and what only registries of kinds know."""

from __future__ import annotations

from collections.abc import Iterator

from mr_ml.retraining.validate import Validated
from mr_ml.retraining.yaml_tree import Fault, Node


def disagreements(validated: Validated, tree: Node) -> Iterator[Fault]:
    """Find what does not go together, of the sections that can be used."""
    return iter(())
