"""mr-ml runs."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from hdfs_layout import Root
from mr_ml.catalog.attempts import seconds_of
from mr_ml.catalog.run import RunDocument, find_run
from mr_ml.catalog.run_log import RunLog, published_version, read_log
from mr_ml.catalog.run_status import status_of
from mr_ml.cli.common import (
    names_in,
    one_line,
    open_session,
    print_result,
    report_damaged,
    root_of,
    say_none,
    table,
)
from mr_ml.cli.going_on import command_for_more_passes, command_to_go_on
from mr_ml.cli.spelling import spelled
from mr_ml.cli.times import by_pass, summary
from mr_ml.errors import BadDataError, UsageError
from mr_ml.optimize.base import Stop

DAMAGED = "damaged"
# Of a retraining: what cannot be gone on with.
_DECIDED = ("published", "refused", "superseded")
_HEADER = ("run", "model", "dataset", "passes", "status", "began (UTC)", "took", "host")
_MOST_OF_AN_ERROR = 160
# Of a step of a retraining, what is not shown beside its name.
_NOT_SHOWN = frozenset({"event", "step", "at", "model", "window", "checks"})


def list_all(options: argparse.Namespace) -> int:
    """Print a table of all runs; return the exit code, which says whether one is damaged."""
    root = root_of(options)
    names = names_in(root.store, root.layout.runs, kind="run")
    summaries = [found for name in names if (found := _summary(root, name)) is not None]
    rows = [
        [
            r["run"], r["model"] or "?", r["dataset"] or "?", str(r["passes"]), r["status"],
            (r["started"] or "-")[:19].replace("T", " "), duration_text(r["seconds"]), r["host"] or "-",
        ]
        for r in summaries
    ]  # fmt: skip
    header, *lines = table(_HEADER, rows).split("\n")
    shown = [
        line for r, row in zip(summaries, lines, strict=True) for line in (row, *(
            [f"  {one_line(spelled(r['error']))[:_MOST_OF_AN_ERROR]}"] if r["error"] else []
        ))
    ]  # fmt: skip
    say_none(options, root, "runs", found=summaries)
    print_result(options, {"runs": summaries}, "\n".join([header, *shown]))
    return report_damaged(r["stop"] for r in summaries if r["status"] == DAMAGED)


def show(options: argparse.Namespace) -> None:
    """Print one run, pass by pass; of a retraining, its steps too."""
    root = root_of(options)
    document, log = _read(root, options.run)
    data = {
        **_whole(root, options.run, document, log),
        "spec": None if document is None else document.spec.to_json(),
        "log": list(log.passes),
        "steps": list(log.retrain),
        "tuned": None if log.tuned is None else log.tuned.to_json(),
    }
    rows = [
        [
            str(p["number"]),
            f"{float(p['objective']):.10g}",  # the log writes infinity as a word
            f"{float(p['gradient_norm']):.2e}",
            f"{float(p['step']):.4g}",
            f"{float(p['rows_per_second']):.3g}",
        ]
        for p in log.passes
    ]
    for_window = f", retrained for {data['window']}" if data["window"] else ""
    text = f"run {data['run']}: {data['model']} on {data['dataset'] or 'nothing yet'}{for_window}, {data['status']}\n"
    if data["started"]:
        where = "" if data["host"] is None else f" on {data['host']}"
        text += f"began {data['started']}, {duration_text(data['seconds'])} at work{where}\n"
    if log.continues is not None:
        text += f"goes on where run {log.continues['run']} was after {log.continues['after']} passes\n"
    if options.times:
        text += by_pass(log.passes) if log.passes else "no passes yet"
    else:
        header = ["pass", "objective", "|gradient|", "step", "rows/s"]
        text += _plot(log, document) if options.plot else table(header, rows)
    if took := summary(log.passes):
        text += f"\n{took}"
    if log.tuned is not None:
        from mr_ml.cli.tune import table_of

        text += f"\n{table_of(log.tuned)}"
    for event in log.retrain:
        text += f"\n{event['at']}  {event['step']}{_numbers(event)}"
    if data["error"]:
        text += f"\n{spelled(data['error'])}"
    if data["can_resume"]:
        text += f"\ngo on with: {command_to_go_on(options, data['run'])}"
    elif data["stop"] and data["stop"] != data["error"]:
        text += f"\n{data['stop']}"
        if data["stop"] == Stop.PASSES.value and _is_training(document):
            more = command_for_more_passes(options, data["run"], 2 * data["passes"])
            text += f"\ngo on with: {more}"
    print_result(options, data, text)


def _is_training(document: RunDocument | None) -> bool:
    """Say whether a run is one that ``mr-ml train --resume`` takes, not part of something else."""
    return document is not None and document.publishes and document.tuning is None and document.part_of is None


def _plot(log: RunLog, document: RunDocument | None) -> str:
    if not log.passes:
        return "no passes to plot"
    from mr_ml.cli.plot import convergence

    tolerance = None if document is None else document.spec.to_json().get("tolerance")
    return "\n".join(convergence(log.passes, tolerance=tolerance, columns=shutil.get_terminal_size().columns))


def resume(options: argparse.Namespace) -> None:
    """Go on with a training or a retraining that was interrupted."""
    root = root_of(options)
    document, log = _read(root, options.run)
    if document is not None and document.tuning is not None:
        from mr_ml.cli.tune import print_tuned
        from mr_ml.tuning.driver import resume as resume_tuning

        with open_session(options) as session:
            tuned = resume_tuning(session, options.run)
        print_tuned(options, tuned)
        return
    if log.retrained is None:
        from mr_ml.cli.train import print_trained

        with open_session(options) as session:
            result = session.resume(options.run)
        print_trained(options, session, result)
        return
    from mr_ml.cli.retrain import retrain_and_print
    from mr_ml.retraining import requests
    from mr_ml.retraining.config import load_config
    from mr_ml.retraining.journal import read_journal

    model, window = log.retrained
    journal = read_journal(root, model, window)
    if journal is None or journal.attempt.run != options.run:
        raise UsageError(
            f"run {options.run} retrained {model} for {window}, which has begun anew since; go on with `mr-ml retrain`"
        )
    if journal.settings_file is None or not os.path.exists(journal.settings_file):
        raise UsageError(
            f"run {options.run} retrains {model} for {window}, with settings that are not at "
            f"{journal.settings_file or 'any path'} any more; go on with `mr-ml retrain FILE --for {window}`"
        )
    config = load_config(journal.settings_file)
    opened = requests.root_of(config, options.root)
    # a root may have two names
    if read_journal(opened, model, window) != journal:
        raise UsageError(
            f"run {options.run} is in {root.store.root}, but the `root` of its settings, {journal.settings_file}, is "
            f"{config.hide(opened.store.root)} by now: retrain there with `mr-ml retrain`"
        )
    retrain_and_print(
        options, config, opened, last=date.fromisoformat(window), force=None, settings_file=journal.settings_file
    )


def _read(root: Root, run: str) -> tuple[RunDocument | None, RunLog]:
    """Read what a run was asked to do, None if it has not come so far, and its log."""
    document, log = find_run(root, run), read_log(root, run)
    if document is None and not log.retrain:
        raise UsageError(f"there is no run {run!r} in {root.store.root}; `mr-ml runs list` shows those that are")
    return document, log


def _numbers(event: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in event.items() if name not in _NOT_SHOWN and value not in (None, [], "")}
    return "".join(f"  {name} {value}" for name, value in shown.items())


def _summary(root: Root, run: str) -> dict[str, Any] | None:
    """Return how far a run came; None if it has not begun: neither a spec nor a step is written."""
    model = dataset = None
    try:
        document = find_run(root, run)
        if document is not None:
            model, dataset = document.spec.model, document.spec.dataset
        log = read_log(root, run)
        return None if document is None and not log.retrain else _whole(root, run, document, log)
    except BadDataError as error:
        # one damaged file must not hide the other runs
        found = {"run": run, "model": model, "dataset": dataset, "window": None, "passes": 0}
        unknown: dict[str, Any] = {"started": None, "seconds": None, "host": None, "error": None, "can_resume": False}
        return {**found, "status": DAMAGED, "stop": str(error), **unknown}


def _whole(root: Root, run: str, document: RunDocument | None, log: RunLog) -> dict[str, Any]:
    ended, version, model, dataset, window = log.published or log.failed or log.fitted, None, None, None, None
    if document is not None:
        model, dataset = document.spec.model, document.spec.dataset
        # a kill, or an accident to the log, may have left it without its last line
        version = published_version(root, run, document) if log.published is None else log.published["version"]
    last = log.attempts[-1] if log.attempts else None
    status = status_of(log, version=version)
    if log.retrained is not None:
        model, window = log.retrained
        dataset = dataset or next((event["dataset"] for event in log.retrain if "dataset" in event), None)
    stop = log.retrain[-1].get("message") if window is not None else None if ended is None else ended["stop"]
    errors = [stop if status == "failed" else None, None if last is None or status != "failed" else last.error]
    began = [attempt.begun for attempt in log.attempts] + [seconds_of(step["at"]) for step in log.retrain]
    return {
        "run": run,
        "model": model if version is None else f"{model}@{version}",
        "dataset": dataset,
        "window": window,
        "passes": max((p["number"] for p in log.passes), default=0),
        "status": status,
        "stop": stop,
        "started": None if not began else f"{datetime.fromtimestamp(min(began), UTC):%Y-%m-%dT%H:%M:%SZ}",
        "seconds": None if last is None else round(sum(attempt.seconds for attempt in log.attempts), 3),
        "host": None if last is None else last.host,
        "error": next((error for error in errors if error), None),
        "can_resume": version is None
        and log.failed is None
        and (document is None or document.publishes)
        and status not in ("running", *_DECIDED),
    }


def duration_text(seconds: float | None) -> str:
    """Return a duration in the units that suit it."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d} min"
