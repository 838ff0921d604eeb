"""What has become of a run, in one word, which lists and reports share.

done         it has published its model
fitted       an estimator's, which publishes nothing: its fit has ended
failed, running, interrupted, killed, unfinished
published, refused, superseded, failed    of a retraining that is over
"""

from __future__ import annotations

from mr_ml.catalog.run_log import RunLog

DONE, FITTED, FAILED, UNFINISHED = "done", "fitted", "failed", "unfinished"


def status_of(log: RunLog | None, *, version: int | None) -> str:
    """Return what has become of a run.

    Parameters
    ----------
    log
        How it went; None where that is gone, or not yet there.
    version
        Of the model that it published, if it did.
    """
    # earlier releases did not say who is at work
    at_work = log.attempts[-1].status if log is not None and log.attempts else UNFINISHED
    if log is not None and log.retrained is not None:
        return log.outcome if log.outcome != UNFINISHED else _of_retraining(at_work)
    if version is not None:
        return DONE
    if log is not None and log.failed is not None:
        return FAILED
    if log is not None and log.fitted is not None:
        return FITTED
    return at_work


def _of_retraining(at_work: str) -> str:
    """Return the status of a retraining that is not over: its last training may have ended long before it did."""
    return at_work if at_work in ("running", "interrupted") else UNFINISHED if at_work == FAILED else at_work
