"""An operator of Airflow 3 that retrains a model: one process of `mr-ml retrain`, whose exit code decides.

>>> with DAG("retrain_ctr", schedule="15 2 * * *", max_active_runs=1, default_args={"retries": 3}):
...     RetrainOperator(task_id="retrain", config="/srv/ml/retrain.yaml")
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mr_ml.errors import BadDataError, MissingPackageError, UsageError

try:
    from airflow.sdk import BaseOperator
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
except ImportError as error:
    raise MissingPackageError(
        f"mr_ml.schedulers.airflow needs Airflow 3, which cannot be imported ({error}): install mr_ml into Airflow's "
        "environment, or Airflow here by pip install 'mr_ml[airflow]' with Airflow's constraints"
    ) from error

from mr_ml.schedulers.process import Ended, RetrainProcess

if TYPE_CHECKING:
    from airflow.sdk import Context

#: To try again is of no use: somebody has to change something first.
FINAL_CODES = (UsageError.exit_code, BadDataError.exit_code)


class RetrainOperator(BaseOperator):
    """Retrain a model; the task succeeds if the window's model is promoted, and never else.

    | `mr-ml retrain` ends with | the task |
    |---|---|
    | 0, and the model is promoted | succeeds; its XCom has version, window, `accepted`, `reasons` and so on |
    | 3, the gate refused the model | fails without retries, or is skipped; the same XCom |
    | 2 or 65: settings or data are wrong; 0 without a promoted model | fails without retries |
    | anything else: 75 locked, 69, 70, 74, a signal | fails; `retries` of the task try again |

    Parameters
    ----------
    config
        Absolute path of the settings, a `retrain.yaml`. Templated.
    window
        The last day of the window, such as ``2026-11-26``. Templated. If it is None or comes out empty, `mr-ml`
        takes the newest window, by its own clock and the time zone of the settings.
    refusal
        "fail", or "skip": tasks that follow are skipped then, and Airflow calls a run whose last tasks were skipped a
        success.
    executable
        The `mr-ml` to run; by default that of the environment in which Airflow runs. Templated.
    env
        Variables for it beside those of Airflow's process. Templated.
    """

    # No template_ext: the path of the settings is a path, and what is in the file is not for Jinja.
    template_fields: Sequence[str] = ("config", "window", "executable", "env")
    ui_color = "#d9ead3"

    def __init__(
        self,
        *,
        config: str | os.PathLike[str],
        window: str | None = None,
        refusal: Literal["fail", "skip"] = "fail",
        executable: str | None = None,
        env: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if refusal not in ("fail", "skip"):
            raise ValueError(f"`refusal`: expected 'fail' or 'skip', found {refusal!r}")
        self.config = os.fspath(config)
        self.window = window
        self.refusal = refusal
        self.executable = executable
        self.env = env
        self._process: RetrainProcess | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Retrain; returns what goes to XCom."""
        try:
            self._process = RetrainProcess(
                self.config,
                # a template that came out as a date of Python where templates are native
                window=str(self.window) if self.window else None,
                executable=self.executable, environment=self.env,
            )  # fmt: skip
            self.log.info("Running %s", self._process.command)
            ended = self._process.run(lambda line: self.log.info("%s", line))
        except (FileNotFoundError, PermissionError, ValueError) as error:
            raise AirflowFailException(f"mr-ml retrain cannot be started: {error}") from error
        if ended.published:
            return ended.summary
        if ended.refused and self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=ended.summary)
        raise self._error(ended)

    def _error(self, ended: Ended) -> AirflowException:
        if ended.refused:
            return (AirflowSkipException if self.refusal == "skip" else AirflowFailException)(ended.message)
        # code 0 without a promoted model is not mr-ml's
        return (AirflowFailException if ended.exit_code in (0, *FINAL_CODES) else AirflowException)(ended.message)

    def on_kill(self) -> None:
        """Have the process end; `execute`, which goes on after this, waits for it."""
        if self._process is not None:
            self._process.stop()
