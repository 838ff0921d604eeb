"""Trainings by tasks that stay, on hosts with addresses of their own, while the network between them fails.

    scripts/soak.sh network [CASE ...]

Brings up a Hadoop cluster in network namespaces of this machine (`network_hosts` draws them), which takes root, `ip`
and `nft`; where that cannot be, it says so and does nothing. Prints a line for each case; exit code 1 if one failed.
Everything is gone at the end. Drivers have firewalls, two networks, a router that translates, a far way and a cable
that is pulled; nodes are cut off and lose packets, DataNodes die.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from gates import kill
from network_cluster import WORKERS, Spread, spread
from network_hosts import FORWARDED, HOMED_IN_OFFICE, HOSTS, ROUTER_IN_CLUSTER, Network, network, why_not
from resident_site import PASSES, TRAIN, Site, make_site
from staying import LIMIT_SECONDS, Staying, is_alive, wait_until

from hdfs_layout import open_store

SILENCE_SECONDS, IDLE_SECONDS = 10.0, 60.0
_PORTS = "41000-41009"
# long enough for a job to start on a busy machine
_PATIENCE = 100


@dataclass(frozen=True)
class Place:
    """Where the cases happen."""

    network: Network
    hadoop: Spread
    site: Site

    def on(self, host: str) -> Site:
        """The site whose drivers are on a host."""
        return replace(self.site, prefix=self.network.inside(host))

    def told(self) -> tuple[str, int]:
        """Where the tasks of the training that is at work are told to find the driver."""
        request = json.loads(self.site.store.read(f"tmp/{self.site.application_name()}/request"))
        ((host, port),) = request["addresses"]
        return str(host), int(port)

    def tasks_by_host(self) -> dict[str, int]:
        """The process of the task on each node, when there is one on either."""
        found = {self.site.yarn.node_of(pid).replace("nodemanager-", "n"): pid for pid in self.site.two_tasks()}
        assert set(found) == {"n1", "n2"}, f"not a task on each node: {found}"
        return found

    def without_master(self) -> str:
        """The node without the application master."""
        return "n2" if self.site.yarn.node_of(self.site.yarn.masters()[-1]) == "nodemanager-1" else "n1"

    def replicate(self, file: str, times: int) -> None:
        """Have so many replicas of a file of the root, and wait for them."""
        words = ("hadoop", "fs", "-setrep", "-w", str(times), f"{self.site.root}/{file}")
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def holder(self, file: str) -> str:
        """The DataNode from which a file of the root is read."""
        path = f"{self.site.root.split('/', 3)[3]}/{file}"
        url = f"{os.environ['MR_ML_TEST_WEBHDFS']}/webhdfs/v1/{path}?op=OPEN&noredirect=true"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as answer:
            host = urlsplit(json.load(answer)["Location"]).hostname
        return next(f"datanode-{name[1]}" for name, (_, address) in HOSTS.items() if address == host)

    def done(self, driver: Staying, model: str, *, passes: int = PASSES) -> str:
        """What a driver has said that ends well, with the right bits, and leaves nothing."""
        said = driver.ends(code=0)
        self.site.same(model, passes=passes)
        self.site.nothing_left()
        return said

    def refused(self, host: str, model: str, **settings: str) -> tuple[str, float]:
        """The last line of a driver that finds no tasks, and how long it took."""
        began = time.monotonic()
        said = self.on(host).start(*TRAIN, "--model", model, settings=settings).ends(code=69)
        seconds = time.monotonic() - began
        self.site.nothing_left()
        return said.splitlines()[-1], seconds


def seconds_a_pass(driver: Staying) -> float:
    """Of one that is at "before 3" and has the point "before 11", at which it then is."""
    began = time.monotonic()
    driver.go_on()
    driver.at("before 11")
    return (time.monotonic() - began) / 8


_PACED = ("before 3", "before 11")


def plain(place: Place) -> str:
    """Driver and tasks on three hosts."""
    driver = place.on("near").train("plain", points=_PACED)
    driver.at("before 3")
    place.tasks_by_host()
    host, port = place.told()
    assert host == HOSTS["near"][1], host
    seconds = seconds_a_pass(driver)
    driver.go_on()
    place.done(driver, "plain")
    return f"listens at {host} port {port}; {seconds:.3f} s a pass"


def homed(place: Place) -> str:
    """Two networks: the nodes' own, and that of the default route; then the NameNode is reached over that one, too."""
    driver = place.on("homed").train("homed", points=("before 3",))
    driver.at("before 3")
    assert place.told()[0] == HOSTS["homed"][1]
    driver.go_on()
    place.done(driver, "homed")
    office = ("route", "add", f"{HOSTS['m'][1]}/32", "via", "10.77.2.1")
    place.network.ip("homed", *office)
    try:
        said, seconds = place.refused("homed", "lost")
        assert f"none of 2 tasks reached this process at {HOMED_IN_OFFICE} port" in said, said
        assert "`driver_host`" in said or "driver_host" in said, said
        named = place.on("homed").train("named", driver_host=HOSTS["homed"][1])
        place.done(named, "named")
    finally:
        place.network.ip("homed", "route", "delete", *office[2:])
    return f"NameNode over another network: {seconds:.0f} s until {said}; `driver_host` helps"


def translated(place: Place) -> str:
    """A driver that the nodes reach at the address of a router."""
    said, seconds = place.refused("inner", "lost")
    assert f"none of 2 tasks reached this process at {HOSTS['inner'][1]} port" in said, said
    driver = place.on("inner").train(
        "named", points=("before 3",), driver_host=ROUTER_IN_CLUSTER, driver_port=FORWARDED
    )  # fmt: skip
    driver.at("before 3")
    assert place.told() == (ROUTER_IN_CLUSTER, 40000), place.told()
    driver.go_on()
    place.done(driver, "named")
    wrong, _ = place.refused("inner", "wrong", driver_host=ROUTER_IN_CLUSTER, driver_port="40100")
    assert f"{ROUTER_IN_CLUSTER} port 40100" in wrong, wrong
    return f"without settings {seconds:.0f} s until {said}; with them it works; a port that is not forwarded: {wrong}"


def firewall(place: Place) -> str:
    """A firewall of the driver's host drops or rejects who comes, but for some ports in the end."""
    found = []
    opened = f"ct state established,related accept; tcp dport {_PORTS} accept"
    for verdict in ("drop", "reject"):
        place.network.filter("near", coming=f"ct state established,related accept; {verdict}")
        said, seconds = place.refused("near", f"lost-{verdict}")
        assert f"none of 2 tasks reached this process at {HOSTS['near'][1]} port" in said, said
        assert "firewall" in said, said
        found.append(f"{verdict}: {seconds:.0f} s")
    began = time.monotonic()
    driver = place.on("near").train("auto", passes=1, engine="auto")
    wait_until(lambda: "each pass is a job of its own from here on" in driver.err, what="a word of falling back")
    found.append(f"auto falls back after {time.monotonic() - began:.0f} s")
    told = place.done(driver, "auto", passes=1)
    assert told.count("each pass is a job of its own") == 1, told
    place.network.filter("near", coming=f"{opened}; drop")
    driver = place.on("near").train("opened", points=("before 3",), driver_port=_PORTS)
    driver.at("before 3")
    assert place.told() == (HOSTS["near"][1], 41000)
    driver.go_on()
    place.done(driver, "opened")
    return ", ".join(found) + f"; {said}"


@dataclass(frozen=True)
class _Cut:
    """A training before pass 6 that went on without a node, which was cut off in pass 3, in silence."""

    driver: Staying
    node: str
    task: int
    # until others did what it was asked for, until the driver gave it up, and until pass 6
    seconds: tuple[float, float, float]
    # if the network was mended when the driver had given it up: how long after that it was there again
    back: float = 0.0


def _cut_in_a_pass(place: Place, model: str, *others: str) -> _Cut:
    driver = place.on("near").train(model, points=("before 3", "asked 3", "before 6", "before 10"))
    driver.at("before 3")
    there, port = place.tasks_by_host(), place.told()[1]
    node = place.without_master()
    os.kill(there[node], signal.SIGSTOP)
    driver.go_on()
    driver.at("asked 3")
    place.network.cut(node, *others)
    os.kill(there[node], signal.SIGCONT)
    began = time.monotonic()
    driver.go_on()
    wait_until(lambda: "units are for others" in driver.err, what="a word of a task that is missed")
    missed = time.monotonic() - began
    wait_until(lambda: place.network.connected("near", port) == 1, what="a task given up")
    lost, back = time.monotonic() - began, 0.0
    if others:
        place.network.mend(node)
        wait_until(
            lambda: place.network.connected("near", port) == WORKERS, what="the task again", seconds=IDLE_SECONDS
        )
        back = time.monotonic() - began - lost
    driver.at("before 6")
    return _Cut(driver, node, there[node], (missed, lost, time.monotonic() - began), back)


def cut(place: Place) -> str:
    """A node cut off from everybody in a pass; it comes back before the training ends, or after that."""
    first = _cut_in_a_pass(place, "back")
    place.network.mend(first.node)
    place.hadoop.wait()
    first.driver.go_on()
    first.driver.past("before 10")
    place.done(first.driver, "back")
    second = _cut_in_a_pass(place, "away")
    began = time.monotonic()
    second.driver.go_on()
    second.driver.past("before 10")
    second.driver.ends(code=0)
    ended = time.monotonic() - began
    place.site.same("away")
    wait_until(lambda: not is_alive(second.task), what="the end of the task that was cut off", seconds=2 * IDLE_SECONDS)
    place.network.mend(second.node)
    place.hadoop.wait()
    place.site.nothing_left()
    return (
        f"{_in_words(first)}, the second time {_in_words(second)}, and from there {ended:.0f} s to the end without it"
    )


def _in_words(found: _Cut) -> str:
    missed, lost, on = found.seconds
    return f"others take over after {missed:.0f} s, it is given up after {lost:.0f} s, pass 6 after {on:.0f} s"


def cut_from_driver(place: Place) -> str:
    """A node and the driver do not reach each other for a while: its task comes back, and takes part again."""
    found = _cut_in_a_pass(place, "again", "near")
    found.driver.go_on()
    found.driver.past("before 10")
    place.done(found.driver, "again")
    return f"{_in_words(found)}; back {found.back:.1f} s after the network"


def lossy(place: Place) -> str:
    """Packets are lost at random, each way of both nodes."""
    found = []
    for percent in (1, 5):
        driver = place.on("near").train(f"lossy-{percent}", points=_PACED)
        driver.at("before 3")
        for node in ("n1", "n2"):
            place.network.lose(node, percent)
        seconds = seconds_a_pass(driver)
        driver.go_on()
        began = time.monotonic()
        said = place.done(driver, f"lossy-{percent}")
        assert "is gone" not in said, said
        place.network.mend_all()
        found.append(
            f"{percent} % lost: {seconds:.2f} s a pass, {time.monotonic() - began:.0f} s until nothing is left"
        )
    return ", ".join(found)


def far(place: Place) -> str:
    """A driver to which everything takes 25 ms, and as long back."""
    began = time.monotonic()
    driver = place.on("far").train("far", points=_PACED)
    driver.at("before 3")
    started = time.monotonic() - began
    seconds = seconds_a_pass(driver)
    driver.go_on()
    place.done(driver, "far")
    return f"{started:.0f} s until pass 3, {seconds:.2f} s a pass"


def cable(place: Place) -> str:
    """The driver's cable is pulled in a pass, for a moment."""
    driver = place.on("near").train("moment", points=("asked 3", "before 6"))
    driver.at("asked 3")
    place.network.pull_cable("near")
    driver.go_on()
    time.sleep(15)
    place.network.plug_cable("near")
    began = time.monotonic()
    driver.at("before 6")
    back = time.monotonic() - began
    driver.go_on()
    said = place.done(driver, "moment")
    return f"15 s: {said.count('is gone')} tasks lost, pass 6 {back:.0f} s after it was back"


def cable_for_good(place: Place) -> str:
    """The driver's cable is pulled in a pass, for longer than the driver has patience; then the run is resumed."""
    driver = place.on("near").train("long", points=("asked 3",), patience_seconds=_PATIENCE)
    driver.at("asked 3")
    run = place.site.run_name()
    place.network.pull_cable("near")
    driver.go_on()
    began = time.monotonic()
    # its patience, and then attempts to stop a job that it does not reach
    said = driver.ends(code=69, seconds=2 * LIMIT_SECONDS)
    gave_up = time.monotonic() - began
    place.network.plug_cable("near")
    place.done(place.on("near").start("train", "--resume", run), "long")
    return f"patience {_PATIENCE} s: {gave_up:.0f} s until {said.splitlines()[-1]}; resumed"


def datanodes(place: Place) -> str:
    """A DataNode dies while a task reads what another had: of two, and the only one that has it."""
    driver = place.on("near").train("two", points=("before 3", "asked 3"))
    driver.at("before 3")
    there = place.tasks_by_host()
    node = place.without_master()
    os.kill(there[node], signal.SIGSTOP)
    driver.go_on()
    driver.at("asked 3")
    place.hadoop.kill(f"datanode-{node[1]}")
    kill(there[node])
    driver.go_on()
    began = time.monotonic()
    place.done(driver, "two")
    two = time.monotonic() - began
    place.hadoop.start(f"datanode-{node[1]}")
    place.hadoop.wait()
    # what is read of the dataset by the driver itself has two
    file = next(path for path in place.site.store.walk("datasets/rows") if "/part-" in path)
    place.replicate(file, 1)
    holder = place.holder(file)
    try:
        place.hadoop.kill(holder)
        began = time.monotonic()
        said = place.on("near").train("one").ends(code=69)
        one = time.monotonic() - began
        assert file in said, said
        place.site.nothing_left()
    finally:
        place.hadoop.start(holder)
        place.hadoop.wait()
        place.replicate(file, WORKERS)
    return f"of two: {two:.0f} s until the end of the training; the only one: {one:.0f} s until {said.splitlines()[-1]}"


CASES: dict[str, Callable[[Place], str]] = {
    case.__name__: case
    for case in (plain, homed, translated, firewall, cut, cut_from_driver, lossy, far, cable, cable_for_good, datanodes)
}


def run(chosen: list[str], folder: Path) -> list[str]:
    """Run cases; those that failed."""
    failed = []
    (folder / "hadoop").mkdir()
    with network(folder) as hosts, spread(hosts, folder / "hadoop") as hadoop:
        os.environ.update(hadoop.variables())
        site = make_site(folder)
        place = Place(hosts, hadoop, site)
        try:
            for name in chosen:
                began = time.monotonic()
                try:
                    found = CASES[name](place)
                except Exception:
                    failed.append(name)
                    found = traceback.format_exc()
                finally:
                    for driver in site.started:
                        driver.kill()
                    site.started.clear()
                    hosts.mend_all()
                    hosts.plug_cable("near")
                print(f"{name}: {time.monotonic() - began:.0f} s; {found}", flush=True)
        finally:
            parent, _, name = site.root.rpartition("/")
            open_store(parent).remove_tree(name)
    return failed


def main() -> None:
    """Run the cases; exit code 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", choices=[*CASES, []], help=f"all by default: {', '.join(CASES)}")
    chosen = parser.parse_args().case or list(CASES)
    if reason := why_not():
        print(f"SKIPPED, nothing was tried: {reason}")
        return
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory() as folder:
        failed = run(chosen, Path(folder))
    print(f"failed: {failed}" if failed else "all as expected")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
