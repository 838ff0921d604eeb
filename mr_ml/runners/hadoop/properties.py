"""Properties of Hadoop that every job carries; the settings of `config` win over them.

Only what does no harm on any cluster: limits of waiting that are made for hours-long jobs and hide for minutes that a
node is gone, and pauses that a job of seconds feels. What is the administrator's to choose stands in docs/hadoop.md.
"""

from __future__ import annotations

_CLUSTER_IS_GONE = {
    # by default a client looks for a ResourceManager that does not answer for a quarter of an hour ...
    "yarn.resourcemanager.connect.max-wait.ms": "20000",
    "yarn.resourcemanager.connect.retry-interval.ms": "2000",
    # ... and so does an application master, for six minutes more
    "yarn.app.mapreduce.am.scheduler.connection.wait.interval-ms": "30000",
    "ipc.client.connect.max.retries": "2",
    "ipc.client.connect.max.retries.on.timeouts": "3",
}
_NODE_IS_GONE = {
    # an application master that wants a container of a dead node ended asks for three minutes
    "yarn.client.nodemanager-connect.max-wait-ms": "10000",
    "yarn.client.nodemanager-connect.retry-interval-ms": "1000",
    # a reduce task looks for the map output of a dead node for three minutes, and waits a minute between two tries
    "mapreduce.reduce.shuffle.connect.timeout": "20000",
    "mapreduce.reduce.shuffle.read.timeout": "60000",
    "mapreduce.reduce.shuffle.retry-delay.max.ms": "10000",
}

_LESS_WAITING = {
    # the client looks once a second, the application master asks for containers once a second
    "mapreduce.client.progressmonitor.pollinterval": "200",
    "mapreduce.client.completion.pollinterval": "200",
    "yarn.client.application-client-protocol.poll-interval-ms": "50",
    "yarn.app.mapreduce.am.scheduler.heartbeat.interval-ms": "250",
}


def default_properties() -> dict[str, str]:
    """Return the properties, as a new mapping."""
    return {**_CLUSTER_IS_GONE, **_NODE_IS_GONE, **_LESS_WAITING}
