"""mr-ml runs."""

from __future__ import annotations

import argparse
from typing import Any

from hdfs_layout import Layout, NotFoundError, Store, read_events
from mr_ml.cli.common import open_root, print_result, table
from mr_ml.errors import BadDataError
from mr_ml.train import run_spec


def list_all(options: argparse.Namespace) -> None:
    store, layout = open_root(options)
    try:
        names = store.list(layout.runs)
    except NotFoundError:
        names = ()
    # a run without its spec has not begun
    found = [_summary(store, layout, name) for name in names if store.exists(layout.run_spec(name))]
    rows = [[r["run"], r["model"] or "?", r["dataset"] or "?", str(r["passes"]), r["status"]] for r in found]
    print_result(options, {"runs": found}, table(["run", "model", "dataset", "passes", "status"], rows))


def show(options: argparse.Namespace) -> None:
    store, layout = open_root(options)
    spec = run_spec(store, layout, options.run)
    data = _summary(store, layout, options.run)
    events = read_events(store, layout.run_log(options.run))
    passes = [event for event in events if event["event"] == "pass"]
    data = {**data, "spec": spec.to_json(), "log": passes}
    rows = [
        [
            str(p["number"]),
            f"{float(p['objective']):.10g}",  # the log writes infinity as a word
            f"{float(p['gradient_norm']):.2e}",
            f"{p['step']:.4g}",
            f"{p['rows_per_second']:.3g}",
        ]
        for p in passes
    ]
    text = f"run {data['run']}: {data['model']} on {data['dataset']}, {data['status']}\n"
    text += table(["pass", "objective", "|gradient|", "step", "rows/s"], rows)
    if data["status"] == "unfinished":
        text += f"\ngo on with: mr-ml train --resume {data['run']}"
    elif data["stop"]:
        text += f"\n{data['stop']}"
    print_result(options, data, text)


def _summary(store: Store, layout: Layout, run: str) -> dict[str, Any]:
    try:
        spec, events = run_spec(store, layout, run), read_events(store, layout.run_log(run))
    except BadDataError as error:
        # one damaged file must not hide the other runs
        return {"run": run, "model": None, "dataset": None, "passes": 0, "status": "damaged", "stop": str(error)}
    published = next((e for e in reversed(events) if e["event"] == "published"), None)
    return {
        "run": run,
        "model": spec.model if published is None else f"{spec.model}@{published['version']}",
        "dataset": spec.dataset,
        "passes": max((e["number"] for e in events if e["event"] == "pass"), default=0),
        "status": "unfinished" if published is None else "published",
        "stop": None if published is None else published["stop"],
    }
