"""A task of Luigi that retrains a model, and the result that other tasks can require.

Luigi's own program ends with 0 also where tasks failed, so start it as `python -m mr_ml.schedulers.luigi`, which takes
the same arguments::

    python -m mr_ml.schedulers.luigi mr_ml.Retrain --config /srv/ml/retrain.yaml --window 2026-11-26 --local-scheduler
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from datetime import date

from mr_ml.errors import MissingPackageError

try:
    import luigi
    from luigi.configuration import get_config
    from luigi.retcodes import run_with_retcodes
except ImportError as error:
    raise MissingPackageError(
        f"mr_ml.schedulers.luigi needs Luigi, which cannot be imported ({error}): pip install 'mr_ml[luigi]'"
    ) from error

from mr_ml.retraining.config import load_config
from mr_ml.retraining.journal import Attempt, read_journal
from mr_ml.retraining.requests import root_of
from mr_ml.schedulers.process import RetrainProcess

# With what Luigi ends; those of mr-ml for the same, where there are such.
EXIT_CODES = {
    "already_running": 75,
    "missing_data": 65,
    "not_run": 69,
    "scheduling_error": 69,
    "task_failed": 70,
    "unhandled_exception": 70,
}

_log = logging.getLogger("luigi-interface")


class RetrainError(Exception):
    """`mr-ml retrain` refused the candidate, failed, or found the model locked."""


class RetrainedModel(luigi.Target):
    """The model of a window: it exists if mr_ml's journal says that it was promoted.

    Parameters
    ----------
    config
        Path of the settings, a `retrain.yaml`.
    window
        The last day of the window.
    or_refused
        Whether a refused candidate will do, too.
    """

    def __init__(self, config: str, window: date, *, or_refused: bool = False) -> None:
        self.config = config
        self.window = window
        self.or_refused = or_refused

    def exists(self) -> bool:
        """Read the journal.

        Raises
        ------
        MrMlError
            If the settings are wrong, or the root cannot be read.
        """
        found = self._attempt()
        return found is not None and found.outcome in ("published", *(("refused",) if self.or_refused else ()))

    @property
    def model(self) -> str | None:
        """Name and version of the model, ``ctr@7``: the window's, or where that was refused the one in use before."""
        found = self._attempt()
        if found is None:
            return None
        version = found.version if found.outcome == "published" else found.base
        return None if version is None else f"{load_config(self.config).model}@{version}"

    def _attempt(self) -> Attempt | None:
        settings = load_config(self.config)
        journal = read_journal(
            root_of(settings, os.environ.get("MR_ML_ROOT") or None), settings.model, self.window.isoformat()
        )
        return None if journal is None else journal.attempt


class Retrain(luigi.Task):
    """Retrain a model for a window; done if the window's model is promoted.

    Whatever else comes of it raises an error: a refusal, a failure, a lock that another process holds.

    Parameters
    ----------
    config
        Absolute path of the settings, a `retrain.yaml`.
    window
        The last day of the window.
    refusal
        "fail", or "accept": then a window whose candidate was refused is done, too, and tasks that require it run, with
        the model that was in use before.
    executable
        The `mr-ml` to run; by default that of this environment.
    """

    task_namespace = "mr_ml"

    config = luigi.Parameter()
    window = luigi.DateParameter()
    refusal = luigi.ChoiceParameter(choices=("fail", "accept"), default="fail")
    executable = luigi.OptionalParameter(default=None, significant=False)

    def output(self) -> RetrainedModel:
        """Return what the journal knows."""
        return RetrainedModel(self.config, self.window, or_refused=self.refusal == "accept")

    def run(self) -> None:
        """Retrain.

        Raises
        ------
        RetrainError
            If no model was promoted.
        """
        process = RetrainProcess(self.config, window=self.window.isoformat(), executable=self.executable)
        ended = process.run(lambda line: _log.info("%s", line))
        if not ended.published and not (ended.refused and self.refusal == "accept"):
            raise RetrainError(ended.message)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run Luigi, and end this process with 0 only if every task is done.

    It sets `EXIT_CODES`, and that a task whose `run` has ended is asked whether it is complete. What Luigi's settings
    or its options `--retcode-...` and `--worker-...` say goes before that.
    """
    settings = get_config()
    defaults = {("retcode", name): str(code) for name, code in EXIT_CODES.items()}
    for (section, name), value in {**defaults, ("worker", "check_complete_on_run"): "true"}.items():
        if not settings.has_option(section, name):
            settings.set(section, name, value)
    run_with_retcodes(list(sys.argv[1:] if arguments is None else arguments))
