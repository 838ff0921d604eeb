"""The decision about a candidate of a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mr_ml.catalog.decision import Decision
from mr_ml.catalog.states import Owner
from mr_ml.models.base import Model
from mr_ml.retraining.gate.facts import WindowFacts
from mr_ml.retraining.gate.gather import gather
from mr_ml.retraining.gate.judge import judge
from mr_ml.retraining.gate.kept import KeptPasses
from mr_ml.retraining.gate.profile import save_profile
from mr_ml.retraining.window import TEST, InputRules, Window
from mr_ml.session import Session

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig
    from mr_ml.training.train import Fitted


def judged(
    config: RetrainConfig, session: Session, fitted: Fitted, published: Model | None, window: Window
) -> Decision:
    """Measure a candidate beside the published model, and decide.

    What its training rows were like is kept beside its coefficients, for the next candidate. What the passes came to is
    kept with its run: whoever goes on after a kill runs at most one of them again, and decides the same.
    """
    owner = Owner.of(fitted.run, fitted.spec, fitted.dataset)
    gathered = gather(
        session, config.gate, candidate=fitted.model, published=published, dataset=fitted.dataset, test=TEST,
        window=_facts(config.input, window, published), row_weights=config.train_options.get("row_weights", True),
        run_pass=KeptPasses(root=session.root, owner=owner).run,
    )  # fmt: skip
    save_profile(session.root, config.model, fitted.run, gathered.profile)
    return judge(config.gate, gathered.facts)


def _facts(rules: InputRules, window: Window, published: Model | None) -> WindowFacts:
    provenance = {} if published is None else published.manifest.get("provenance") or {}
    return WindowFacts(
        last=window.label,
        files=window.files,
        missing=tuple(day.isoformat() for day in window.missing),
        least_days=rules.least_days,
        least_rows=rules.min_rows,
        days_behind=window.days_behind,
        late_days=rules.late_days,
        published_last=provenance.get("window"),
    )
