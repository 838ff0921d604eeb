"""The cluster that one command uses: one that was named, or one of its own, which ends with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import field

from hdfs_layout.dataclass import dataclass
from hdfs_layout.owners import is_gone, owned
from mr_ml import interrupts
from mr_ml.errors import MrMlError, UnavailableError, UsageError
from mr_ml.ids import unique_id
from mr_ml.runners.emr.cluster import (
    NAME,
    OWNER_TAG,
    RUN_TAG,
    Cluster,
    ClusterLostError,
    find,
    look,
    ours,
    start,
    terminate,
)
from mr_ml.runners.emr.cost import GO_ON, Limits, price_an_hour
from mr_ml.runners.emr.service import DeniedError, Emr, LostAnswerError
from mr_ml.runners.emr.settings import EmrSettings

Say = Callable[[str], None]


def end_abandoned(emr: Emr, say: Say) -> list[str]:
    """End the clusters whose command was killed outright on this machine; their ids.

    What cannot be ended is said, and left to its idle time.
    """
    ended = []
    for cluster in ours(emr):
        if is_gone(cluster.tags.get(OWNER_TAG, "")):
            try:
                terminate(emr, cluster.id)
            except MrMlError as error:
                say(
                    f"warning: cluster {cluster.id} was left by a command that was killed, and cannot be ended: {error}"
                )
                continue
            ended.append(cluster.id)
            say(f"ended cluster {cluster.id}, left by a command that was killed ({cluster.tags[RUN_TAG]})")
    return ended


@dataclass
class ClusterInUse:
    """A cluster, from the first job on.

    Attributes
    ----------
    given
        The id of a cluster that is somebody else's to end; None for one of this command's own.
    say
        Called with what the user should know.
    """

    emr: Emr
    settings: EmrSettings
    given: str | None
    limits: Limits
    say: Say
    _run: str = field(default_factory=unique_id)
    _id: str | None = None
    _found: Cluster | None = None
    _since: float | None = None
    _may_run: bool = False
    _is_swept: bool = False
    _is_closed: bool = False

    @property
    def known(self) -> str | None:
        """Its id, if there is one yet."""
        return self.given or self._id

    @property
    def is_own(self) -> bool:
        """Whether it ends with this command."""
        return self.given is None

    def ready(self) -> str:
        """Return the id of a cluster that takes steps; the first time, start one unless one was named.

        Raises
        ------
        UnavailableError
            If it is gone, or has been used as much as it may be.
        UsageError
            If there is none of this id, or one cannot be started with the settings.
        """
        if self._is_closed:
            raise UsageError("this runner is closed; open another one")
        if self._since is None:
            self._begin()
        else:
            hours = (self.emr.clock() - self._since) / 3600
            self.limits.check(hours=hours, price=self._price)
        cluster_id = self.known
        assert cluster_id is not None
        return cluster_id

    def sweep(self) -> None:
        """End what commands left that were killed; once."""
        if self._is_swept:
            return
        self._is_swept = True
        try:
            end_abandoned(self.emr, self.say)
        except DeniedError as error:
            # with a cluster that is given, nothing else needs it
            self.say(f"warning: cannot look for clusters of commands that were killed: {error}")

    def _begin(self) -> None:
        self.sweep()
        if self.given is not None:
            self._found = look(self.emr, self.given)
            self.check_alive(self._found)
        elif self._price is None and self.limits.max_cost is not None:
            raise UsageError("`max_cost` needs prices in the settings of `config`: what an hour of each type costs")
        else:
            self._start()
            self.say(
                f"cluster {self._id} of EMR is starting, which takes some minutes; {told_price(self._price)}; it ends "
                f"with this command, and if that is killed after {self.settings.idle_minutes} idle minutes"
            )
        if self._price is None and self.limits.max_cost is not None:
            raise UsageError(
                f"`max_cost` needs prices: cluster {self.given} was started without them, and the settings of `config` "
                "have none"
            )
        self._since = self.emr.clock()

    def _start(self) -> None:
        def keep(cluster_id: str) -> None:
            self._id = cluster_id

        self._may_run = True
        try:
            start(self.emr, self.settings, run=self._run, owner=owned("mr_ml"), keep=keep)
        except LostAnswerError:
            raise
        except MrMlError:
            # refused
            self._may_run = False
            raise

    @property
    def _price(self) -> float | None:
        of_given = None if self._found is None else self._found.price
        return price_an_hour(self.settings) if of_given is None else of_given

    def check_alive(self, cluster: Cluster) -> None:
        """Raise `ClusterLostError` if it takes no jobs any more."""
        if not cluster.is_alive:
            why = f": {cluster.reason}" if cluster.reason else ""
            again = "" if self.is_own else "; leave `cluster_id` out, or name another one"
            raise ClusterLostError(
                f"cluster {cluster.id} is {cluster.state}{why}. {GO_ON}, on another cluster{again}",
                is_over=cluster.is_over,
            )

    def close(self) -> None:
        """End the cluster if it is this command's own.

        Raises
        ------
        MrMlError
            If that cannot be had; while another error is on its way it is only said.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if not self._may_run:
            return
        on_its_way = sys.exc_info()[1]
        try:
            # the first signal, if it comes now, must not leave the cluster running
            with interrupts.uninterrupted():
                self._end()
        except MrMlError as error:
            message = (
                f"cluster {self._id or f'named {NAME}{self._run}'} may still run and cost money, until it has been "
                f"idle for {self.settings.idle_minutes} minutes: `mr-ml cluster list`, "
                f"`mr-ml cluster terminate`. {error}"
            )
            if on_its_way is None:
                raise UnavailableError(message) from error
            self.say(f"warning: {message}")

    def _end(self) -> None:
        if self._id is None:
            # interrupted, or not answered, in the midst of starting it
            self._id = find(self.emr, self._run)
        if self._id is not None:
            terminate(self.emr, self._id)
            self.say(f"cluster {self._id} is ended")


def told_price(price: float | None) -> str:
    """Say what an hour costs."""
    return "no prices are set" if price is None else f"at most {price:.4g} an hour by your prices"
