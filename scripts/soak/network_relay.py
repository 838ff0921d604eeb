"""A cable that takes its time: two devices, each of which gives out what the other gets, some milliseconds later.

    network_relay.py MILLISECONDS DEVICE DEVICE

Says "ready" when the devices are there, which are gone when it ends. The kernel's own way would be netem, which many
kernels come without.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import struct
import sys
import time
from collections import deque

_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_MOST_BYTES = 65536


def _device(name: str) -> int:
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return file


def main() -> None:
    """Pass on what comes, in the order in which it came, until somebody ends this process."""
    seconds = int(sys.argv[1]) / 1000
    one, other = _device(sys.argv[2]), _device(sys.argv[3])
    print("ready", flush=True)
    across = {one: other, other: one}
    waiting: deque[tuple[float, int, bytes]] = deque()
    with selectors.DefaultSelector() as selector:
        for file in across:
            selector.register(file, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(max(waiting[0][0] - time.monotonic(), 0) if waiting else None):
                try:
                    frame = os.read(key.fd, _MOST_BYTES)
                except BlockingIOError:
                    continue
                waiting.append((time.monotonic() + seconds, across[key.fd], frame))
            while waiting and waiting[0][0] <= time.monotonic():
                _, file, frame = waiting.popleft()
                try:
                    os.write(file, frame)
                except OSError:
                    # the device is down, or full: as a cable that is pulled, or a queue that is
                    continue


if __name__ == "__main__":
    main()
