"""The decision: rules and facts, nothing else."""

from __future__ import annotations

from mr_ml.catalog.decision import Decision
from mr_ml.retraining.gate.facts import Facts
from mr_ml.retraining.gate.rules import GateRules


def judge(rules: GateRules, facts: Facts) -> Decision:
    """Decide whether the candidate may be promoted."""
    raise NotImplementedError
