"""mr-ml runs."""

from __future__ import annotations

import argparse
from typing import Any

from hdfs_layout import Root
from mr_ml.catalog.run import RunDocument, read_run
from mr_ml.catalog.run_log import RunLog, published_version, read_log
from mr_ml.cli.common import names_in, print_result, report_damaged, root_of, table
from mr_ml.errors import BadDataError

DAMAGED = "damaged"


def list_all(options: argparse.Namespace) -> int:
    """Print a table of all runs; return the exit code, which says whether one is damaged."""
    root = root_of(options)
    # a run without its spec has not begun
    begun = [
        name
        for name in names_in(root.store, root.layout.runs, kind="run")
        if root.store.exists(root.layout.run_spec(name))
    ]
    summaries = [_summary(root, name) for name in begun]
    rows = [[r["run"], r["model"] or "?", r["dataset"] or "?", str(r["passes"]), r["status"]] for r in summaries]
    print_result(options, {"runs": summaries}, table(["run", "model", "dataset", "passes", "status"], rows))
    return report_damaged(r["stop"] for r in summaries if r["status"] == DAMAGED)


def show(options: argparse.Namespace) -> None:
    """Print one run, pass by pass."""
    root = root_of(options)
    document, log = read_run(root, options.run), read_log(root, options.run)
    data = {
        **_whole(root, options.run, document, log),
        "spec": document.spec.to_json(),
        "log": list(log.passes),
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
    text = f"run {data['run']}: {data['model']} on {data['dataset']}, {data['status']}\n"
    text += table(["pass", "objective", "|gradient|", "step", "rows/s"], rows)
    if data["status"] == "unfinished":
        text += f"\ngo on with: mr-ml train --resume {data['run']}"
    elif data["stop"]:
        text += f"\n{data['stop']}"
    print_result(options, data, text)


def _summary(root: Root, run: str) -> dict[str, Any]:
    model = dataset = None
    try:
        document = read_run(root, run)
        model, dataset = document.spec.model, document.spec.dataset
        return _whole(root, run, document, read_log(root, run))
    except BadDataError as error:
        # one damaged file must not hide the other runs
        return {"run": run, "model": model, "dataset": dataset, "passes": 0, "status": DAMAGED, "stop": str(error)}


def _whole(root: Root, run: str, document: RunDocument, log: RunLog) -> dict[str, Any]:
    spec, published = document.spec, log.published
    ended = published or log.failed
    # a kill, or an accident to the log, may have left it without its last line
    version = published_version(root, run, document) if published is None else published["version"]
    return {
        "run": run,
        "model": spec.model if version is None else f"{spec.model}@{version}",
        "dataset": spec.dataset,
        "passes": max((p["number"] for p in log.passes), default=0),
        "status": "published" if version is not None else "unfinished" if ended is None else "failed",
        "stop": None if ended is None else ended["stop"],
    }
