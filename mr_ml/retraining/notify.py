"""Notifications: commands and webhooks are told what came of a retraining, the reason in the first line.

Who is told is an entry of the section `notify:`. What cannot be told changes nothing of the outcome: it is a warning
and an event of the run's log. Every entry has its time limit, after which nothing of it is left at work.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hdfs_layout.dataclass import dataclass
from hdfs_layout.run_log import finite
from mr_ml.retraining.hiding import hidden_json
from mr_ml.retraining.notify_command import run_command
from mr_ml.retraining.notify_error import NotToldError, one_line
from mr_ml.retraining.notify_webhook import post

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig
    from mr_ml.retraining.result import RetrainResult
    from mr_ml.retraining.sections import NotifyRules

#: What the settings call an outcome.
EVENTS = {"published": "success", "refused": "refusal", "failed": "failure", "superseded": "superseded"}
# Environment variables and first lines have so many characters at most.
_MOST = 1000
_MOST_REASONS = 20


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is told.

    Attributes
    ----------
    event
        success, refusal, failure or superseded.
    body
        JSON: `text`, whose first line is the reason, `event`, `reason`, `host`, and all of `RetrainResult`.
    variables
        What commands find in their environment.
    """

    event: str
    body: bytes
    variables: Mapping[str, str]


def message_of(config: RetrainConfig, result: RetrainResult) -> Message:
    """Put the outcome of a retraining into words; what came from the environment is as the settings have it."""
    event, host = EVENTS[result.outcome], socket.gethostname()
    window = "" if result.window is None else f" {result.window}"
    reason = one_line(config.hide(result.message), _MOST)
    headline = f"{event}: {result.model}{window}: {reason}"
    details = [f"- {one_line(config.hide(text), _MOST)}" for text in result.reasons[:_MOST_REASONS]]
    more = len(result.reasons) - len(details)
    details += [f"- and {more} more"] if more > 0 else []
    where = [f"run {result.run}"] if result.run is not None else []
    where += [f"exit code {result.exit_code}", f"host {host}", f"from {result.started} to {result.ended}"]
    document = {
        **hidden_json(config, result.to_json()), "event": event, "reason": reason, "host": host,
        "text": "\n".join([headline, *details, ", ".join(where)]),
    }  # fmt: skip
    named = {
        "event": event, "outcome": result.outcome, "model": result.model, "window": result.window, "run": result.run,
        "dataset": result.dataset, "candidate": result.candidate, "promoted": result.promoted,
        "exit_code": result.exit_code, "reason": reason, "text": headline,
    }  # fmt: skip
    return Message(
        event=event,
        body=json.dumps(finite(document, instead=str), sort_keys=True, allow_nan=False).encode("ascii"),
        variables={
            f"MR_ML_{name.upper()}": "" if value is None else one_line(value, _MOST) for name, value in named.items()
        },
    )


def notify(config: RetrainConfig, result: RetrainResult, *, warn: Callable[[str], None]) -> list[dict[str, Any]]:
    """Tell everybody who is to be told of an outcome.

    Returns
    -------
    list of dict
        An event for each: who, how long it took, and what went wrong.
    """
    wanted = [(k, entry) for k, entry in enumerate(config.notify) if EVENTS[result.outcome] in entry.on]
    if not wanted:
        return []
    message = message_of(config, result)
    events = []
    for k, entry in wanted:
        whom = config.hide(_whom(entry))
        began = time.monotonic()
        error = _told(config, entry, message)
        event = {"to": whom, "on": message.event, "seconds": round(time.monotonic() - began, 3)}
        if error is not None:
            error = config.hide(error)
            warn(f"notify[{k}]: {whom} was not told of the {message.event}: {error}")
        events.append(event | ({} if error is None else {"failed": error}))
    return events


def _told(config: RetrainConfig, entry: NotifyRules, message: Message) -> str | None:
    """Tell one; returns what went wrong."""
    try:
        if entry.command is not None:
            run_command(
                entry.command, stdin=message.body, variables=message.variables, without=_of_webhooks(config),
                hide=config.hide,
            )  # fmt: skip
        elif entry.webhook is not None:
            post(entry.webhook, message.body)
    except NotToldError as error:
        return str(error)
    except Exception as error:
        # libraries put URLs into their messages
        return f"a defect of mr_ml: {type(error).__name__}"
    return None


def _whom(entry: NotifyRules) -> str:
    """Name a channel: a command without its arguments, a URL by its host."""
    if entry.command is not None:
        return f"command {one_line(entry.command[0], 200)}"
    assert entry.webhook is not None
    return f"webhook {urlsplit(entry.webhook).hostname}"


def _of_webhooks(config: RetrainConfig) -> set[str]:
    """Return the names of the environment variables that are in URLs: they are no command's business."""
    return {name for entry in config.notify for name in entry.variables if entry.webhook is not None}
