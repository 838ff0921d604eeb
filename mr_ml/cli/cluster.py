"""mr-ml cluster: clusters on Amazon EMR that several commands use one after the other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any

from hdfs_layout.owners import can_be_seen
from mr_ml import interrupts
from mr_ml.cli import printable
from mr_ml.cli.common import narrator, print_result, table
from mr_ml.cli.spelling import spelled
from mr_ml.errors import MrMlError, UsageError
from mr_ml.ids import unique_id
from mr_ml.runners.emr.cluster import IDLE_TAG, KEPT, OWNER_TAG, Cluster, look, ours, start
from mr_ml.runners.emr.cluster import terminate as end
from mr_ml.runners.emr.cost import price_an_hour
from mr_ml.runners.emr.kind import check_cluster_id
from mr_ml.runners.emr.service import Emr
from mr_ml.runners.emr.settings import EmrSettings, load_settings
from mr_ml.runners.emr.use import end_abandoned, told_price


def create(options: argparse.Namespace) -> None:
    """Start a cluster and print its id."""
    if options.config is None:
        raise UsageError("a cluster needs settings: give `config`; see docs/emr.md")
    settings = load_settings(options.config)
    settings.check_startable()
    emr = Emr.connect(settings.region)
    end_abandoned(emr, narrator(options))
    started: list[str] = []
    try:
        _print_started(options, emr, settings, start(emr, settings, run=unique_id(), owner=KEPT, keep=started.append))
    except BaseException:
        for cluster_id in started:
            _end_untold(emr, cluster_id)
        raise


def _print_started(options: argparse.Namespace, emr: Emr, settings: EmrSettings, cluster_id: str) -> None:
    price = price_an_hour(settings)
    data = {
        "cluster_id": cluster_id, "region": emr.region, "release": settings.release, "price_an_hour": price,
        "idle_minutes": settings.idle_minutes,
    }  # fmt: skip
    text = (
        f"{cluster_id} is starting in {emr.region}, {settings.release}; {told_price(price)}\n"
        f"it ends by itself after {settings.idle_minutes} idle minutes, or: mr-ml cluster terminate {cluster_id}\n"
        f"use it: mr-ml train ... -r emr --cluster-id {cluster_id}"
    )
    print_result(options, data, text)


def _end_untold(emr: Emr, cluster_id: str) -> None:
    """End a cluster that was started and not said: nobody would end it."""
    try:
        with interrupts.uninterrupted():
            end(emr, cluster_id)
        said = f"cluster {cluster_id}, which was started, is ended"
    except MrMlError as error:
        said = f"warning: cluster {cluster_id} was started, and costs money: `mr-ml cluster terminate`. {error}"
    print(printable(spelled(said)), file=sys.stderr, flush=True)


def list_all(options: argparse.Namespace) -> None:
    """List the clusters that mr-ml started and that run; those of commands that were killed are ended first."""
    emr = _connected(options)
    ended = end_abandoned(emr, narrator(options))
    clusters = list(ours(emr))
    data = {"region": emr.region, "clusters": [_described(cluster) for cluster in clusters], "ended": ended}
    print_result(options, data, _listed(clusters, none=f"no clusters of mr-ml in {emr.region}"))


def cost(options: argparse.Namespace) -> None:
    """Say what clusters have cost so far, by the prices that they were started with."""
    emr = _connected(options)
    clusters = _named(emr, options.clusters) if options.clusters else list(ours(emr))
    described = [_described(cluster) for cluster in clusters]
    known = [item["cost"] for item in described if item["cost"] is not None]
    total = sum(known)
    text = _listed(clusters, none=f"no clusters of mr-ml in {emr.region}")
    if clusters:
        unknown = len(clusters) - len(known)
        text += f"\n{total:.2f} together, by your prices" + (f"; {unknown} without prices" if unknown else "")
    print_result(options, {"region": emr.region, "clusters": described, "cost": total}, text)


def terminate(options: argparse.Namespace) -> None:
    """End clusters, whatever runs on them, each whatever comes of the others: they cost money."""
    emr = _connected(options)
    for cluster_id in options.clusters:
        check_cluster_id(cluster_id)
    found: list[Cluster] = []
    failures: list[MrMlError] = []
    for cluster_id in options.clusters:
        try:
            if look(emr, cluster_id).is_alive:
                end(emr, cluster_id)
            found.append(look(emr, cluster_id))
        except MrMlError as error:
            failures.append(error)
    data = {"region": emr.region, "clusters": [_described(cluster) for cluster in found]}
    if found:
        print_result(options, data, "\n".join(f"{cluster.id} is {cluster.state}" for cluster in found))
    if failures:
        for other in failures[1:]:
            narrator(options)(str(other))
        raise failures[0]


def _connected(options: argparse.Namespace) -> Emr:
    return Emr.connect(load_settings(options.config).region)


def _named(emr: Emr, ids: Iterable[str]) -> list[Cluster]:
    for cluster_id in ids:
        check_cluster_id(cluster_id)
    return [look(emr, cluster_id) for cluster_id in ids]


def _described(cluster: Cluster) -> dict[str, Any]:
    price, idle = cluster.price, cluster.tags.get(IDLE_TAG, "")
    return {
        "cluster_id": cluster.id, "state": cluster.state, "reason": cluster.reason, "for": _owner(cluster),
        "release": cluster.release, "started": None if cluster.started is None else cluster.started.isoformat(),
        "hours": round(cluster.hours, 4), "price_an_hour": price,
        "cost": None if price is None else round(cluster.hours * price, 4),
        "idle_minutes": int(idle) if idle.isdecimal() else None,
    }  # fmt: skip


def _owner(cluster: Cluster) -> str:
    """Say who is to end a cluster."""
    owner = cluster.tags.get(OWNER_TAG)
    if owner is None:
        return "others"
    if owner == KEPT:
        return "any command"
    return "a command here" if can_be_seen(owner) else "a command elsewhere"


def _listed(clusters: list[Cluster], *, none: str) -> str:
    if not clusters:
        return none
    rows = []
    for item in map(_described, clusters):
        costs = ["-" if item[name] is None else f"{item[name]:.2f}" for name in ("price_an_hour", "cost")]
        idle = "-" if item["idle_minutes"] is None else str(item["idle_minutes"])
        rows.append([item["cluster_id"], item["state"], item["for"], f"{item['hours']:.2f}", *costs, idle])
    return table(["cluster", "state", "for", "hours", "an hour", "cost", "idle minutes"], rows)
