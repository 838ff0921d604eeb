"""Hosts with addresses of their own on this machine: network namespaces on bridges, which a router connects.

    cluster  10.77.1.0/24   m 1: NameNode, ResourceManager, and the program that tries things
                            n1 11, n2 12: DataNode, NodeManager
                            near 21, homed 22, far 23: drivers; router 254
    office   10.77.2.0/24   homed 22: its second network, and its way to everywhere else; router 1
    behind   10.77.3.0/24   inner 2: a driver; router 1, by whose address in the cluster it is reached,
                            ports 40000 to 40009

Of the nodes only m knows a way to the office, and none one to what is behind the router.
far is reached through a process that holds back what passes. Nothing of the machine's own network is changed; all of it
needs root, `ip` and `nft`.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROUTER = "router"
CLUSTER, OFFICE, BEHIND = "cluster", "office", "behind"
FORWARDED = "40000-40009"
# host: network, address
HOSTS = {
    "m": (CLUSTER, "10.77.1.1"), "n1": (CLUSTER, "10.77.1.11"), "n2": (CLUSTER, "10.77.1.12"),
    "near": (CLUSTER, "10.77.1.21"), "homed": (CLUSTER, "10.77.1.22"), "inner": (BEHIND, "10.77.3.2"),
}  # fmt: skip
FAR, HOMED_IN_OFFICE, ROUTER_IN_CLUSTER = "10.77.1.23", "10.77.2.22", "10.77.1.254"
_NETWORKS = {CLUSTER: ROUTER_IN_CLUSTER, OFFICE: "10.77.2.1", BEHIND: "10.77.3.1"}
_TRANSLATE = f"""
table ip translate {{
    chain to {{
        type nat hook prerouting priority -100;
        ip daddr {ROUTER_IN_CLUSTER} tcp dport {FORWARDED} dnat to 10.77.3.2;
    }}
    chain from {{
        type nat hook postrouting priority 100;
        ip saddr 10.77.3.0/24 masquerade;
    }}
}}
"""
_RULES = """
table inet soak
delete table inet soak
table inet soak {{
    chain in {{
        type filter hook input priority 0;
        iif lo accept;
        {coming};
    }}
    chain out {{
        type filter hook output priority 0;
        oif lo accept;
        {going};
    }}
}}
"""
_CLONE_NEWNET = 0x40000000


def why_not() -> str:
    """Why this machine cannot have such hosts; empty if it can."""
    if os.geteuid() != 0:
        return "network namespaces are root's"
    if missing := [name for name in ("ip", "nft", "ss", "unshare") if shutil.which(name) is None]:
        return f"there is no {' and no '.join(missing)}"
    name = f"mr-ml-{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode == 0:
        subprocess.run(["ip", "netns", "delete", name], check=True)
    return made.stderr.strip()


@dataclass
class Network:
    """The hosts.

    Attributes
    ----------
    folder
        For what they know of each other.
    delayed
        Milliseconds that everything takes to far, and as many back.
    """

    folder: Path
    delayed: int
    _relay: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def namespace(self, host: str) -> str:
        return f"mr-ml-{os.getpid()}-{host}"

    def inside(self, host: str) -> tuple[str, ...]:
        """Words that have the command behind them run on a host; they become it by exec."""
        script = 'mount --bind "$0" /etc/hosts && hostname "$1" && shift && exec "$@"'
        return (
            "ip", "netns", "exec", self.namespace(host), "unshare", "--uts", "sh", "-c", script,
            str(self.folder / "hosts"), host,
        )  # fmt: skip

    def ip(self, host: str, *words: str) -> None:
        _run("ip", "-n", self.namespace(host), *words)

    def enter(self, host: str) -> None:
        """Have this thread, and all that it starts, work on a host."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/var/run/netns/{self.namespace(host)}", "rb") as file:
            if libc.setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def connected(self, host: str, port: int) -> int:
        """How many are connected to a port of a host, as it knows."""
        command = ["ip", "netns", "exec", self.namespace(host), "ss", "-Htn", "state", "established"]
        return len(_said(*command, "sport", "=", f":{port}").splitlines())

    # --- faults -------------------------------------------------------------------------------------------------------

    def filter(self, host: str, *, coming: str = "accept", going: str = "accept") -> None:
        """Have a firewall on a host, instead of what it had; `mend` ends that."""
        self._nft(host, _RULES.format(coming=coming, going=going))

    def cut(self, host: str, *others: str) -> None:
        """Drop all that a host and some others, or all others, send each other, in silence."""
        if not others:
            self.filter(host, coming="drop", going="drop")
            return
        addresses = ", ".join(HOSTS[other][1] for other in others)
        self.filter(host, coming=f"ip saddr {{ {addresses} }} drop", going=f"ip daddr {{ {addresses} }} drop")

    def lose(self, host: str, percent: int) -> None:
        """Drop some of what comes to a host and of what it sends, at random."""
        some = f"numgen random mod 100 < {percent} counter drop"
        self.filter(host, coming=some, going=some)

    def lost(self, host: str) -> int:
        """How many packets `lose` has dropped."""
        listed = _said("ip", "netns", "exec", self.namespace(host), "nft", "list", "table", "inet", "soak")
        return sum(map(int, re.findall(r"counter packets ([0-9]+)", listed)))

    def mend(self, host: str) -> None:
        """End what was done to a host."""
        self._nft(host, "table inet soak\ndelete table inet soak\n")
        self.ip(host, "link", "set", "eth0", "up")

    def mend_all(self) -> None:
        for host in HOSTS:
            self.mend(host)

    def pull_cable(self, host: str) -> None:
        """Have the far end of a host's cable down; the host itself sees a network without carrier."""
        self.ip(ROUTER, "link", "set", f"p-{host}", "down")

    def plug_cable(self, host: str) -> None:
        """Undo `pull_cable`."""
        self.ip(ROUTER, "link", "set", f"p-{host}", "up")

    def _nft(self, host: str, rules: str) -> None:
        _run("ip", "netns", "exec", self.namespace(host), "nft", "-f", "-", given=rules)

    # --- there and gone -----------------------------------------------------------------------------------------------

    def build(self) -> None:
        names = {**{host: address for host, (_, address) in HOSTS.items()}, "far": FAR, ROUTER: ROUTER_IN_CLUSTER}
        known = "".join(f"{address} {host}\n" for host, address in names.items())
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{known}", encoding="utf-8")
        for host in names:
            _run("ip", "netns", "add", self.namespace(host))
            self.ip(host, "link", "set", "lo", "up")
        for network, address in _NETWORKS.items():
            self.ip(ROUTER, "link", "add", network, "type", "bridge")
            self.ip(ROUTER, "address", "add", f"{address}/24", "dev", network)
            self.ip(ROUTER, "link", "set", network, "up")
        for host, (network, address) in HOSTS.items():
            self._cable(host, "eth0", f"p-{host}", network, address)
        self._cable("homed", "eth1", "p-homed-2", OFFICE, HOMED_IN_OFFICE)
        self.ip("homed", "route", "add", "default", "via", _NETWORKS[OFFICE])
        self.ip("inner", "route", "add", "default", "via", _NETWORKS[BEHIND])
        self.ip("m", "route", "add", "10.77.2.0/24", "via", ROUTER_IN_CLUSTER)
        router = ("ip", "netns", "exec", self.namespace(ROUTER))
        # what goes over a bridge is no business of the router's
        _run(*router, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=0")
        self._nft(ROUTER, _TRANSLATE)
        self._far_away(router)

    def _cable(self, host: str, device: str, end: str, network: str, address: str) -> None:
        peer = ("type", "veth", "peer", "name", end, "netns", self.namespace(ROUTER))
        _run("ip", "link", "add", device, "netns", self.namespace(host), *peer)
        self.ip(ROUTER, "link", "set", end, "master", network, "up")
        self.ip(host, "address", "add", f"{address}/24", "dev", device)
        self.ip(host, "link", "set", device, "up")

    def _far_away(self, router: tuple[str, ...]) -> None:
        program = str(Path(__file__).with_name("network_relay.py"))
        words = [*router, sys.executable, program, str(self.delayed), "far", "p-far"]
        relay = subprocess.Popen(words, stdout=subprocess.PIPE)
        self._relay.append(relay)
        assert relay.stdout is not None
        assert relay.stdout.readline() == b"ready\n"
        self.ip(ROUTER, "link", "set", "p-far", "master", CLUSTER, "up")
        self.ip(ROUTER, "link", "set", "far", "netns", self.namespace("far"), "name", "eth0")
        self.ip("far", "address", "add", f"{FAR}/24", "dev", "eth0")
        self.ip("far", "link", "set", "eth0", "up")

    def remove(self) -> None:
        """Remove the hosts, with whatever still runs there."""
        for relay in self._relay:
            relay.kill()
            relay.communicate()
        names = [name for name in _namespaces() if name.startswith(self.namespace(""))]
        for name in names:
            for _ in range(50):
                # nobody but what was started here can be there
                found = [pid for pid in map(int, _said("ip", "netns", "pids", name).split()) if pid != os.getpid()]
                for pid in found:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                if not found:
                    break
                time.sleep(0.1)
            _run("ip", "netns", "delete", name)


@contextmanager
def network(folder: Path, *, delayed: int = 25) -> Iterator[Network]:
    """The hosts, for a while; on leaving, they are gone and this thread works where it did."""
    made = Network(folder, delayed)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        made.build()
        made.enter("m")
        yield made
    finally:
        ctypes.CDLL(None).setns(home, _CLONE_NEWNET)
        os.close(home)
        made.remove()


def _namespaces() -> list[str]:
    return [line.split()[0] for line in _said("ip", "netns", "list").splitlines() if line]


def _run(*words: str, given: str | None = None) -> None:
    done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


def _said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
