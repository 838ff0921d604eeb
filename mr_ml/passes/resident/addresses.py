"""Where the driver listens, and where its tasks are told to find it: two things, where a router translates between."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any


def driver_addresses(named: str | None, *, towards: tuple[str, int]) -> tuple[str, str]:
    """Return the address at which this process listens, and the one that its tasks are told.

    By default both are that on the way to a host near which the tasks are. A name or address of this machine is
    listened at. Another one is where a router, or whoever runs this container, takes connections for this machine: they
    come to the address on the way. So do those to a name that means the machine itself only here, as its own name does
    on some systems.

    Parameters
    ----------
    named
        By the user, if at all.
    towards
        Host and port; nothing is sent there.

    Raises
    ------
    OSError
        If there is no way, or nobody knows the name.
    """
    way = _way_to(*towards)
    if named is None:
        return way, way
    family, place = _resolved(named, 0)
    address = _parsed(place[0])
    if address.is_unspecified:
        return named, way
    if (address.is_loopback and not _parsed(way).is_loopback) or not _is_here(family, place):
        return way, named
    return named, str(place[0])


def _way_to(host: str, port: int) -> str:
    """Return the address of this machine on the way to a host; nothing is sent."""
    family, place = _resolved(host, port)
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(place)
        return str(probe.getsockname()[0])


def _is_here(family: int, place: tuple[Any, ...]) -> bool:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(place)
        except OSError:
            return False
    return True


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    # those of one network alone have its name behind them
    return ipaddress.ip_address(address.partition("%")[0])


def _resolved(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """Return the family and the socket address."""
    family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    return family, place
