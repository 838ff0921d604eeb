"""What a task that stays does: connect to the driver, hold the blocks that it is given, answer queries to the end."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hdfs_layout import Address
from mr_ml.data.block import BlockAddress
from mr_ml.data.over_http import read
from mr_ml.errors import InternalError, UnavailableError
from mr_ml.passes.in_memory import add_block
from mr_ml.passes.request import PassRequest
from mr_ml.passes.resident.holding import Holding
from mr_ml.passes.resident.invitation import MOST_BYTES, Invitation
from mr_ml.passes.resident.kept import KeptBlocks
from mr_ml.passes.resident.peers import UnreachedError
from mr_ml.passes.resident.wire import TASK, Message, Payload, RefusedError, Wire
from mr_ml.runners import task_errors
from mr_ml.sums.blas import one_thread
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import PartialSums

BEAT_SECONDS = 1.0
_CONNECT_SECONDS, _PAUSE_SECONDS = 3.0, 0.3
_STATUS_SECONDS = 10.0
_WAITING, _ANSWERING = "waiting", "answering"
# Times in a row that a task comes back and is hung up on before it has answered anything.
_MOST_IN_VAIN = 3
# Of a container, what Java takes that started this process, and what Python and numpy take of it.
_JAVA_BYTES, _PYTHON_BYTES = 300 << 20, 80 << 20
_HEAP = re.compile(r"-Xmx([0-9]+)([kKmMgG]?)", re.ASCII)

Say = Callable[[str], None]
# Header and payloads.
Answer = tuple[dict[str, Any], Sequence[bytes | Payload]]


def run(
    invitation: Invitation, *, environment: Mapping[str, str], say: Say = lambda text: None, folder: Path | None = None
) -> None:  # fmt: skip
    """Serve the driver to its end, or to the driver's.

    Returns without an error if there is no driver: nobody needs this task then, nor another attempt of it. A task that
    was hung up on, since it or the network was silent for a while, comes back as a new one.

    Parameters
    ----------
    environment
        Of a task of Hadoop Streaming: properties of the job, with underscores.
    say
        Called every few seconds with what it is doing; Hadoop ends tasks that say nothing for ten minutes.
    folder
        For blocks that do not fit into memory; None for the working folder, which goes with the task.
    """
    parent, in_vain = os.getppid(), 0
    wire = _connected(invitation, say)
    while wire is not None and os.getppid() == parent:
        wire.limit(invitation.idle_seconds)
        name = environment.get("mapreduce_task_attempt_id", "a task")
        budget = partial(_budget, invitation, environment)
        task = Task(wire, secret=invitation.key, budget=budget, name=name, folder=folder)
        if _served(task, say, _status_seconds(environment)):
            say(f"ended after {task.passes} answers")
            return
        in_vain = 0 if task.passes else in_vain + 1
        if task.has_failed or in_vain >= _MOST_IN_VAIN:
            return
        wire = _connected(invitation, say, again=True)


def _served(task: Task, say: Say, status_seconds: float) -> bool:
    """Whether this task has nothing more to do; else it was hung up on."""
    beats = threading.Thread(target=task.beat, args=(say, status_seconds), daemon=True)
    beats.start()
    try:
        task.serve()
    except (EOFError, OSError, RefusedError) as error:
        print(f"the driver is gone: {error}", file=sys.stderr)
        # one that says nothing may hang for ever: whoever goes on with the training starts tasks of its own
        return isinstance(error, TimeoutError)
    finally:
        task.ended.set()
        task.close()
        beats.join()
    return True


def _connected(invitation: Invitation, say: Say, *, again: bool = False) -> Wire | None:
    """Connect to the first of the driver's addresses that answers; a driver that was there before may have ended."""
    end = time.monotonic() + invitation.connect_seconds
    while True:
        for host, port in invitation.addresses:
            try:
                connection = socket.create_connection((host, port), timeout=_CONNECT_SECONDS)
                return Wire(connection, secret=invitation.key, role=TASK, most_bytes=MOST_BYTES)
            except (OSError, EOFError, RefusedError) as error:
                said = f"{host} port {port}: {error}"
                has_ended = again and isinstance(error, ConnectionRefusedError)
        if has_ended or time.monotonic() >= end:
            break
        time.sleep(_PAUSE_SECONDS)
    say(f"no driver at {said}")
    print(f"expected the driver, found none at {said}", file=sys.stderr)
    return None


class Task:
    """What it holds, and how it answers.

    Parameters
    ----------
    budget
        Returns how many bytes decoded blocks may take, where queries and sums take so many.

    Attributes
    ----------
    ended
        Set when it is to say that it lives no longer.
    passes
        It has answered.
    has_failed
        Whether it could not do what others may be able to, so that the driver goes on without it.
    """

    def __init__(
        self, wire: Wire, *, secret: bytes, budget: Callable[[int], int], name: str, folder: Path | None = None
    ) -> None:  # fmt: skip
        self._wire, self._name, self._budget = wire, name, budget
        self._holding = Holding(secret)
        # the driver says more before it has anything read
        self._kept = KeptBlocks(budget=0, folder=Path.cwd() if folder is None else folder)
        self._doing, self._parent = _WAITING, os.getppid()
        self.ended, self.passes, self._steps, self.has_failed = threading.Event(), 0, 0, False

    def beat(self, say: Say, status_seconds: float) -> None:
        """Tell the driver each second, and Hadoop now and then, that this process lives; in a thread of its own.

        Hadoop hears of it only while it waits for the driver or gets on from block to block. A task of which it hears
        nothing for `mapreduce.task.timeout` it ends: so one that hangs in the midst of something, as in other jobs.
        """
        told, steps = float("-inf"), -1
        while not self.ended.wait(BEAT_SECONDS):
            if os.getppid() != self._parent:
                # Hadoop's part of this task is gone, and with it who would end this one
                os._exit(3)
            try:
                self._wire.send({"kind": "beat"})
            except OSError:
                # whoever receives says so
                continue
            # for a driver that says or reads nothing there is the connection's own limit
            is_well = self._doing in (_WAITING, _ANSWERING) or self._steps != steps
            if is_well and time.monotonic() - told >= status_seconds:
                told, steps = time.monotonic(), self._steps
                kept = self._kept
                say(f"{self._doing}; {self.passes} answers; {len(kept)} blocks, {kept.used >> 20} MB in memory")

    def serve(self) -> None:
        """Do what the driver says until it says `end`.

        Raises
        ------
        EOFError, OSError, RefusedError
            If it is gone.
        """
        self._wire.send({"kind": "hello", "name": self._name, "host": os.uname().nodename})
        while True:
            self._doing = _WAITING
            # what is received and sent may be large, and is let go of before the next
            if not self._serve(self._wire.receive()):
                return

    def close(self) -> None:
        """Hang up on the driver, and on peers."""
        self._wire.close()
        self._holding.close()

    def _serve(self, message: Message) -> bool:
        """Do what a message says, and answer; whether there may be another."""
        self._doing, self._steps = message.kind, self._steps + 1
        if message.kind == "end":
            self._wire.send({"kind": "bye"})
            return False
        try:
            answer = self._done(message)
        except Exception as error:
            answer = self._told(message, error)
        if answer is not None:
            self._doing = _ANSWERING
            header, payloads = answer
            self._wire.send(header, *payloads)
        return True

    def _done(self, message: Message) -> Answer | None:
        """Do what a message says; what to answer."""
        header = message.header
        if message.kind == "load":
            return self._load(header)
        if message.kind == "ask":
            return self._sums(header, message.payloads)
        if message.kind == "drop":
            for partition, first, last in header["blocks"]:
                for index in range(first, last):
                    self._kept.drop((partition, index))
        elif message.kind == "clear":
            self._kept.clear(budget=self._budget(header["sums_bytes"]))
        elif message.kind == "open":
            return self._open(header)
        elif message.kind == "join":
            return self._join(header)
        elif message.kind == "give":
            nodes = self._holding.nodes(header["pass"], header["asks"], header["piece"])
            answer = {"kind": "given", "round": header["round"], "piece": header["piece"]}
            return answer, [value.encode(node) for node, value in nodes]
        elif message.kind == "forget":
            self._holding.forget()
        elif message.kind != "beat":
            raise InternalError(f"a message of kind {message.kind!r}, which this task does not know")
        return None

    def _told(self, message: Message, error: Exception) -> Answer:
        """Return what tells the driver of an error."""
        where = f"{self._name} on {os.uname().nodename}"
        told = task_errors.encode(task_errors.as_mr_ml_error(error, where=where)).decode()
        about: dict[str, Any] = {name: message.header.get(name) for name in ("unit", "ask", "round")}
        # another task may reach what this one does not
        elsewhere = isinstance(error, UnavailableError | OSError)
        self.has_failed |= elsewhere and message.kind == "ask"
        return {"kind": "error", "error": told, "elsewhere": elsewhere, **about}, ()

    def _load(self, header: dict[str, Any]) -> Answer:
        """Read a unit and keep its blocks."""
        partition, first, sizes, where = header["partition"], header["first"], header["line_bytes"], header["where"]
        addresses = [Address(**one) for one in header["addresses"]]
        text = memoryview(read(addresses, sum(sizes), where=where))
        for index, size in enumerate(sizes, first):
            self._kept.keep(text[:size], BlockAddress(partition, index), where=where)
            self._steps += 1
            text = text[size:]
        return {"kind": "loaded", "unit": header["unit"]}, ()

    def _sums(self, header: dict[str, Any], payloads: Sequence[memoryview]) -> Answer:
        """Sum the query over some blocks, which are here; the sums of as few nodes as they fill."""
        wide = header.get("query")
        try:
            if wide is None:
                request = PassRequest.decode(payloads[0], where="the query of a pass")
            else:
                request = self._holding.request(wide, payloads)
        except UnreachedError as error:
            return {"kind": "unreached", "ask": header["ask"], "why": str(error)}, ()
        sums: PartialSums[Statistic] = PartialSums(request.tree, Statistic.absorb)
        plain = request.columns is None and not request.query.reading
        reading = "" if plain else f"{request.dataset} {request.query.reading}"
        with one_thread(), np.errstate(all="ignore"):
            for partition, first, last in header["blocks"]:
                for stored in self._kept.blocks(partition, first, last, reading=reading, prepare=request.prepare):
                    add_block(sums, request.tree, request.query, stored)
                    self._steps += 1
        self.passes += 1
        if wide is None:
            return {"kind": "answer", "ask": header["ask"]}, [value.encode(node) for node, value in sums.items()]
        n_pieces = self._holding.keep(wide["pass"], header["ask"], sums)
        return {"kind": "summed", "ask": header["ask"], "pieces": n_pieces}, ()

    def _open(self, header: dict[str, Any]) -> Answer:
        """Listen for peers, at the address at which the driver is reached."""
        try:
            peer = self._holding.open(host=self._wire.host, number=header["number"])
        except OSError as error:
            return {"kind": "opened", "why": str(error)}, ()
        return {"kind": "opened", "host": peer.host, "port": peer.port}, ()

    def _join(self, header: dict[str, Any]) -> Answer:
        """Join pieces of the sums of all tasks, and send each as soon as it is whole."""
        about: dict[str, Any] = {"round": header["round"]}
        try:
            for piece, nodes in self._holding.joined(header):
                payloads = [value.encode(node) for node, value in nodes]
                self._wire.send({"kind": "piece", "piece": piece, **about}, *payloads)
                self._steps += 1
        except UnreachedError as error:
            about["why"] = str(error)
        return {"kind": "joined", **about}, ()


def _budget(invitation: Invitation, environment: Mapping[str, str], sums_bytes: int) -> int:
    """Return bytes for decoded blocks: what is asked for, or what the container leaves."""
    if invitation.memory_bytes is not None:
        return invitation.memory_bytes
    container = int(environment.get("mapreduce_map_memory_mb", "1024")) << 20
    heap = _HEAP.search(environment.get("mapreduce_map_java_opts", ""))
    # Java takes less than its heap may become, and some memory beside it
    java = _JAVA_BYTES if heap is None else min(_JAVA_BYTES, (int(heap[1]) << _SHIFTS[heap[2].lower()]) + (100 << 20))
    return max(container - java - _PYTHON_BYTES - sums_bytes, container // 8)


_SHIFTS = {"": 0, "k": 10, "m": 20, "g": 30}


def _status_seconds(environment: Mapping[str, str]) -> float:
    """How often Hadoop is to hear of a task: thrice in the time after which it ends one that is silent."""
    milliseconds = int(environment.get("mapreduce_task_timeout", "600000"))
    return min(_STATUS_SECONDS, milliseconds / 3000) if milliseconds else _STATUS_SECONDS
