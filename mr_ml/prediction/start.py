"""A prediction as it is asked for: which streams or files, and in which format the output is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mr_ml.errors import UsageError
from mr_ml.models.base import Model
from mr_ml.prediction.choices import NO_CHOICES, PredictChoices
from mr_ml.prediction.driver import predict as predicted
from mr_ml.prediction.output import Output, Target
from mr_ml.prediction.outputs import output_format_of
from mr_ml.prediction.standard import STANDARD, StandardOutput, named, with_standard_input
from mr_ml.runners.base import Runner


def predict(
    model: Model, inputs: Sequence[str], to: str, choices: PredictChoices | None, *, runner: Runner,
    say: Callable[[str], None], longest_line: int | None,
) -> dict[str, Any]:  # fmt: skip
    """Predict every row of the inputs; see `mr_ml.prediction.driver.predict`, also for what is raised.

    Parameters
    ----------
    inputs, to
        ``-`` for standard input and standard output.
    """
    if not to:
        raise UsageError("`to`: expected a path, found nothing")
    choices = NO_CHOICES if choices is None else choices
    form = output_format_of(choices.output_format, to=to)
    output: Target = StandardOutput() if to == STANDARD else Output(to)
    with with_standard_input(inputs, has_files=runner.tasks.share_files) as files:
        if files != list(inputs):
            say = _naming(files[0], say)
        return predicted(
            model, files, runner=runner, output=output, form=form, choices=choices, say=say, longest_line=longest_line
        )


def _naming(path: str, say: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: say(named(path, text))
