"""mr-ml retrain and mr-ml status."""

from __future__ import annotations

import argparse
import os
from datetime import date
from textwrap import indent
from typing import Any

from hdfs_layout import Root
from mr_ml.cli.common import narrator, one_line, print_result, table
from mr_ml.retraining.config import RetrainConfig, load_config
from mr_ml.retraining.hiding import hidden
from mr_ml.retraining.requests import day_of, reason_of, root_of
from mr_ml.retraining.result import RefusedError, RetrainResult


def run(options: argparse.Namespace) -> None:
    """Retrain a model, or say what would be done."""
    config, root = _opened(options)
    last = day_of(options.last, "for")
    force = reason_of(options.force)
    if options.dry_run:
        _show_preview(options, config, root, last)
        return
    retrain_and_print(options, config, root, last=last, force=force, settings_file=os.path.abspath(options.settings))


def retrain_and_print(
    options: argparse.Namespace, config: RetrainConfig, root: Root, *, last: date | None, force: str | None,
    settings_file: str | None,
) -> None:  # fmt: skip
    """Retrain a model and print what came of it.

    Raises
    ------
    RefusedError
        If the gate refused the candidate.
    """
    from mr_ml.retraining.driver import retrain

    say = narrator(options)
    result = retrain(
        config, root, last=last, force=force, settings_file=settings_file, say=say,
        warn=lambda text: say(f"warning: {text}"),
    )  # fmt: skip
    print_result(options, result.to_json(), _text(result))
    if result.exit_code:
        raise RefusedError(result)


def _text(result: RetrainResult) -> str:
    from mr_ml.cli.retrained import decision_lines

    lines = [] if result.decision is None or result.repeated else list(decision_lines(result.decision))
    if result.report is not None:
        lines.append(f"report: {result.report}")
    if result.exit_code:
        # why is said as the error that it is
        return "\n".join([*lines, f"{result.window}: {result.outcome}"])
    return "\n".join([*lines, result.message if result.repeated else f"{result.window}: {result.message}"])


def _opened(options: argparse.Namespace) -> tuple[RetrainConfig, Root]:
    config = load_config(options.settings)
    return config, root_of(config, options.root)


def _show_preview(options: argparse.Namespace, config: RetrainConfig, root: Root, last: date | None) -> None:
    from mr_ml.retraining.preview import preview

    say = narrator(options)
    with hidden(config):
        found = preview(config, root, last=last, warn=lambda text: say(f"warning: {config.hide(text)}"))
    window = found.window
    rows = [[day.date.isoformat(), str(len(day.files)), f"{day.n_bytes:,}"] for day in window.days]
    lines = [
        f"{config.model}, window {window.first} to {window.last} ({window.timezone}): would {found.would}",
        table(["day", "files", "bytes"], rows),
        f"missing days: {', '.join(map(str, window.missing)) or 'none'}",
        *(f"split {split}: {n} files" for split, n in found.splits.items()),
        f"promoted now: {found.promoted or 'nothing'}; training would start from "
        f"{found.promoted if found.warm_start else found.warm_start_from or 'nothing'}",
        *(f"would remove {one.what}: {one.reason} ({one.bytes:,} bytes)" for one in found.removals),
    ]
    print_result(options, found.to_json(), "\n".join(lines))


def status(options: argparse.Namespace) -> None:
    """Say how the retraining of a model stands."""
    from mr_ml.retraining.status import status as look

    config, root = _opened(options)
    with hidden(config):
        found = look(config, root)
    print_result(options, found.to_json(), "\n".join(_lines(found.to_json())))


def _lines(found: dict[str, Any]) -> list[str]:
    success, last = found["last_success"], found["last"]
    lines = [
        f"{found['model']} means {found['promoted'] or 'nothing yet'}"
        + (f", promoted {found['promoted_at']}, {_age(found['age_seconds'])} ago" if found["promoted_at"] else ""),
        f"last success: {success['window']} as {success['candidate']}, {success['ended']}"
        if success
        else "last success: none",
    ]
    if last is not None and last is not success:
        lines.append(f"latest window {last['window']}: {last['outcome']} {last['candidate'] or ''}".rstrip())
        # names of columns and files are in them: none of their lines is to look like one of ours
        lines += [indent(text, "  ") for text in (*last["reasons"], last["message"]) if text]
    lines.append(f"running now: {found['running'] or 'no'}")
    if found["input_error"]:
        lines.append(f"input: {one_line(found['input_error'])}")
    else:
        lines.append(f"missing days up to {found['window']}: {', '.join(found['missing_days']) or 'none'}")
    return lines


def _age(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    return f"{days} d {hours} h" if days else f"{hours} h {rest // 60} min"
