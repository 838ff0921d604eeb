"""What the log of a run says that a retraining has come to."""

from __future__ import annotations

from typing import Any

import pytest

from mr_ml.catalog.run_log import RunLog


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ([], "unfinished"),
        ([{"step": "window"}, {"step": "packed"}], "unfinished"),
        ([{"step": "ended", "outcome": "refused"}, {"step": "metrics"}, {"step": "notified"}], "refused"),
        ([{"step": "failed"}, {"step": "notified"}], "failed"),
        ([{"step": "failed"}, {"step": "resumed"}], "unfinished"),
        ([{"step": "superseded"}], "superseded"),
        # whole, but not as it was ever written
        ([{"step": "ended"}], "unfinished"),
        ([{"step": "notified"}], "unfinished"),
    ],
)
def test_the_outcome_of_a_retraining(steps: list[dict[str, Any]], outcome: str) -> None:
    assert RunLog((), None, None, tuple(steps)).outcome == outcome
