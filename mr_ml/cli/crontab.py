"""A retraining as a line of cron's, and as units of systemd's: the texts, quoted as each reads them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError

# cron cuts off what is longer, without a word
_LONGEST_COMMAND = 990
_NOT_IN_CRON = re.compile(r"[\x00-\x1f\x7f\\]")
_NOT_IN_UNITS = re.compile(r"[\x00-\x1f\x7f]")
# what crontab's lines NAME=VALUE, between double quotes, and systemd's have no way to say
_NOT_IN_VALUES = re.compile(r"[\x00-\x1f\x7f\"'\\]")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be run.

    Attributes
    ----------
    name
        Of the model.
    command
        Words of the command, the first an absolute path.
    log
        File that its output is appended to; systemd's journal has it without.
    user
        Who runs it.
    environment
        Variables that it needs and that are no secret.
    secrets
        Names of the variables that the settings name.
    """

    name: str
    command: Sequence[str]
    log: str
    user: str
    environment: Mapping[str, str]
    secrets: Sequence[str]

    @property
    def unit(self) -> str:
        """Name of its file; cron ignores files in cron.d with a dot in their name."""
        return "mr_ml-" + self.name.replace(".", "_")


def cron_command(job: Job) -> str:
    """Return the command as a crontab has it.

    Raises
    ------
    UsageError
        If there is no way to say it.
    """
    for word in (*job.command, job.log):
        if _NOT_IN_CRON.search(word):
            raise UsageError(
                f"expected paths without line feeds, other control characters and backslashes, which cron reads as "
                f"something else; found {word!a}"
            )
    text = f"{shlex.join(job.command)} >>{shlex.quote(job.log)} 2>&1"
    # for cron % ends the command
    text = text.replace("%", "\\%")
    if len(text) > _LONGEST_COMMAND:
        raise UsageError(
            f"expected a command of at most {_LONGEST_COMMAND} characters, as cron reads it; found {len(text)}"
        )
    return text


def crontab(job: Job, expression: str) -> str:
    """Return lines for `crontab -e`; ends in a line feed, without which cron leaves out the last line."""
    command = cron_command(job)
    variables = [f'{name}="{_value(name, value)}"' for name, value in job.environment.items()]
    secret = [f"# {name}=...   here is its value to be set, which the settings use" for name in job.secrets]
    return "\n".join([*variables, *secret, f"{expression} {command}", ""])


def cron_d(job: Job, expression: str) -> str:
    """Return the content of a file in /etc/cron.d, where a user stands before the command."""
    lines = crontab(job, expression).splitlines()
    fields = expression.split()
    lines[-1] = " ".join([*fields, job.user, cron_command(job)])
    return "\n".join([*lines, ""])


def service(job: Job) -> str:
    """Return the unit that runs the command."""
    variables = [
        f'Environment="{name}={_value(name, value).replace("%", "%%")}"' for name, value in job.environment.items()
    ]
    if job.secrets:
        variables += [
            f"# a file that only root can read, with lines {', '.join(f'{name}=...' for name in job.secrets)}",
            f"EnvironmentFile=/etc/mr_ml/{job.unit}.env",
        ]
    return "\n".join(
        [
            "[Unit]",
            f"Description=Retrain {job.name}",
            "Wants=network-online.target",
            "After=network-online.target",
            "# a unit that tells somebody; it must exist",
            f"#OnFailure={job.unit}-failed.service",
            "",
            "[Service]",
            "Type=oneshot",
            f"User={job.user}",
            *variables,
            f"ExecStart={exec_line(job.command)}",
            "# 3, the gate refused, is a failure to systemd, as it should be. So is 75: another retraining of it",
            "# is at work, on this or another machine. If you need not be told of that:",
            "#SuccessExitStatus=75",
            "",
        ]
    )


def timer(job: Job, calendars: Sequence[str]) -> str:
    """Return the unit that starts the service; a run that the machine slept through is made up for."""
    return "\n".join(
        [
            "[Unit]",
            f"Description=Retrain {job.name}, by the clock",
            "",
            "[Timer]",
            *(f"OnCalendar={calendar}" for calendar in calendars),
            "Persistent=true",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def exec_line(words: Sequence[str]) -> str:
    """Return words as ExecStart= reads them.

    Raises
    ------
    UsageError
        If there is no way to say one.
    """
    quoted = []
    for k, word in enumerate(words):
        if _NOT_IN_UNITS.search(word):
            raise UsageError(f"expected paths without line feeds and other control characters, found {word!a}")
        text = word.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
        # variables are put in everywhere but in the name of the program
        quoted.append(f'"{text.replace("$", "$$") if k else text}"')
    return " ".join(quoted)


def _value(name: str, value: str) -> str:
    if _NOT_IN_VALUES.search(value):
        raise UsageError(
            f"expected a value of {name} without quotes, backslashes and control characters, found {value!a}"
        )
    return value
