"""The Hadoop configuration of a development cluster.

`write_configuration` makes the folder that HADOOP_CONF_DIR names. Three groups of settings, later ones winning:

1. common: addresses on 127.0.0.1, folders, sizes, and time limits short enough for fault tests;
2. tuned (unless --plain): what cuts the fixed cost of a small job;
3. the S3 server of --s3, with the keys of the environment;
4. Kerberos, of --kerberos;
5. the overrides of --set.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from description import Cluster, user_name
from distribution import ClusterError
from kerberos import KRB5_CONF, folder_of, secured, tls_files

SITE_FILES = ("core-site", "hdfs-site", "yarn-site", "mapred-site", "capacity-scheduler")
# Hadoop reaches into these packages, which Java 17 closes.
OPENED = ("lang", "lang.reflect", "io", "net", "nio", "util", "util.concurrent")
DAEMON_HEAP_MB = {"namenode": 256, "resourcemanager": 256, "historyserver": 192, "datanode": 160, "nodemanager": 192}
TASK_HEAP_MB = 320
STAGING = "/tmp/hadoop-yarn/staging"
# Cores count beside memory when containers are given out.
BOTH_RESOURCES = "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator"


def java_options(cluster: Cluster, role: str) -> list[str]:
    """Options of the Java virtual machine of a role: a daemon's name without its number, client, am, map or reduce."""
    options = ["-Djava.net.preferIPv4Stack=true", "-XX:-UsePerfData"]
    if cluster.kerberos:
        options.append(f"-Djava.security.krb5.conf={folder_of(cluster) / KRB5_CONF}")
    if role in DAEMON_HEAP_MB:
        options += [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in OPENED]
        options += [f"-Xmx{DAEMON_HEAP_MB[role]}m", f"-Djava.io.tmpdir={cluster.data}/tmp"]
    elif role != "client":
        options.append(f"-Xmx{TASK_HEAP_MB}m")
    if cluster.tuned:
        options += ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        # An archive that does not fit is worth no line on the stdout of `hadoop fs -cat`.
        options += ["-Xlog:disable", "-Xlog:all=error:stderr"]
    if cluster.archives:
        kind = "ArchiveClassesAtExit" if cluster.recording else "SharedArchiveFile"
        options.append(f"-XX:{kind}={cluster.archives}/{role}.jsa")
    return options


def write_configuration(cluster: Cluster) -> None:
    """Write the folder that HADOOP_CONF_DIR names."""
    files = _common(cluster)
    for changes in (
        _tuned(cluster) if cluster.tuned else {},
        _recording() if cluster.recording else {},
        {"core-site": s3_properties(cluster.s3, os.environ)} if cluster.s3 else {},
        secured(cluster) if cluster.kerberos else {},
    ):
        for file, properties in changes.items():
            files[file].update(properties)
    for file, key, value in cluster.overrides:
        files[file][key] = value
    cluster.conf.mkdir(parents=True, exist_ok=True)
    if cluster.kerberos:
        files |= tls_files(cluster)
    for file, properties in files.items():
        lines = [
            f"  <property><name>{escape(key)}</name><value>{escape(str(value))}</value></property>\n"
            for key, value in properties.items()
        ]
        path = cluster.conf / f"{file}.xml"
        path.unlink(missing_ok=True)
        # there are the keys of S3
        path.touch(mode=0o600 if (cluster.s3 and file == "core-site") or file not in SITE_FILES else 0o666)
        path.write_text("<configuration>\n" + "".join(lines) + "</configuration>\n", encoding="utf-8")
    options = java_options(cluster, "client") if cluster.kerberos or (cluster.tuned and not cluster.recording) else []
    client = " ".join(options)
    (cluster.conf / "hadoop-env.sh").write_text(
        f"export JAVA_HOME={shlex.quote(cluster.java)}\n"
        f'export HADOOP_CLIENT_OPTS="{client} ${{HADOOP_CLIENT_OPTS:-}}"\n',
        encoding="utf-8",
    )
    log4j = Path(cluster.home) / "etc" / "hadoop" / "log4j.properties"
    (cluster.conf / "log4j.properties").write_bytes(log4j.read_bytes())


def worker_properties(cluster: Cluster, number: int) -> dict[str, dict[str, str]]:
    """By role, the properties in which worker `number` differs from the others; they go on its command line."""
    return {
        "datanode": {"dfs.datanode.data.dir": f"file://{cluster.data}/datanode-{number}"},
        "nodemanager": {"yarn.nodemanager.local-dirs": f"{cluster.data}/nodemanager-{number}"},
    }


def s3_properties(endpoint: str, environment: Mapping[str, str]) -> dict[str, str | int]:
    """What the connector S3A needs for a server, with the keys and the region of the AWS_ variables.

    Raises
    ------
    ClusterError
        If the environment has no keys.
    """
    needed = {"access.key": "AWS_ACCESS_KEY_ID", "secret.key": "AWS_SECRET_ACCESS_KEY"}
    if missing := [variable for variable in needed.values() if not environment.get(variable)]:
        raise ClusterError(f"--s3 needs the keys of {endpoint} in the environment: set {' and '.join(missing)}")
    found: dict[str, str | int] = {
        # S3A is what Amazon EMR has at both schemes, since 7.10
        "fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "fs.s3a.endpoint": endpoint,
        "fs.s3a.endpoint.region": environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1",
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": str(endpoint.startswith("https:")).lower(),
    }
    found |= {f"fs.s3a.{name}": environment[variable] for name, variable in needed.items()}
    if environment.get("AWS_SESSION_TOKEN"):
        found["fs.s3a.session.token"] = environment["AWS_SESSION_TOKEN"]
    return found


def _common(cluster: Cluster) -> dict[str, dict[str, str | int]]:
    def local(port: str) -> str:
        return f"127.0.0.1:{cluster.ports[port]}"

    replication = min(2, cluster.workers)
    core: dict[str, str | int] = {
        "fs.defaultFS": cluster.hdfs_uri,
        "hadoop.tmp.dir": f"{cluster.data}/tmp",
        "hadoop.http.staticuser.user": user_name(),
        # A stopped NameNode or ResourceManager is reported in seconds.
        "ipc.client.connect.max.retries": 5,
        "ipc.client.connect.timeout": 5000,
        "ipc.client.connect.max.retries.on.timeouts": 3,
    }
    hdfs: dict[str, str | int] = {
        "dfs.replication": replication,
        "dfs.permissions.enabled": "true",
        "dfs.namenode.name.dir": f"file://{cluster.data}/namenode",
        "dfs.namenode.rpc-address": local("namenode_rpc"),
        "dfs.namenode.rpc-bind-host": "127.0.0.1",
        "dfs.namenode.http-address": local("namenode_http"),
        "dfs.namenode.http-bind-host": "127.0.0.1",
        "dfs.datanode.address": "127.0.0.1:0",
        "dfs.datanode.http.address": "127.0.0.1:0",
        "dfs.datanode.ipc.address": "127.0.0.1:0",
        # The same host name as the NodeManagers', so that blocks count as local to tasks.
        "dfs.datanode.hostname": "localhost",
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.namenode.safemode.extension": 0,
        "dfs.namenode.handler.count": 4,
        # A DataNode counts as dead after 2 x recheck + 10 heartbeats = 12 s, and is avoided after 3 s.
        "dfs.heartbeat.interval": 1,
        "dfs.namenode.heartbeat.recheck-interval": 1000,
        "dfs.namenode.stale.datanode.interval": 3000,
        "dfs.namenode.avoid.read.stale.datanode": "true",
        "dfs.namenode.avoid.write.stale.datanode": "true",
        "dfs.namenode.redundancy.interval.seconds": "1s",
        "dfs.client.block.write.replace-datanode-on-failure.best-effort": "true",
    }
    yarn: dict[str, str | int] = {
        "yarn.resourcemanager.hostname": "localhost",
        "yarn.resourcemanager.bind-host": "127.0.0.1",
        "yarn.resourcemanager.address": local("rm_client"),
        "yarn.resourcemanager.scheduler.address": local("rm_scheduler"),
        "yarn.resourcemanager.resource-tracker.address": local("rm_tracker"),
        "yarn.resourcemanager.admin.address": local("rm_admin"),
        "yarn.resourcemanager.webapp.address": local("rm_http"),
        "yarn.nodemanager.hostname": "localhost",
        "yarn.nodemanager.bind-host": "127.0.0.1",
        "yarn.nodemanager.address": "localhost:0",
        "yarn.nodemanager.localizer.address": "localhost:0",
        "yarn.nodemanager.webapp.address": "localhost:0",
        "yarn.nodemanager.aux-services": "mapreduce_shuffle",
        # All in one place, where clients that look for $HADOOP_LOG_DIR/userlogs find them.
        "yarn.nodemanager.log-dirs": f"{cluster.logs}/userlogs",
        "yarn.nodemanager.env-whitelist": (
            "JAVA_HOME,HADOOP_COMMON_HOME,HADOOP_HDFS_HOME,HADOOP_CONF_DIR,HADOOP_YARN_HOME,HADOOP_HOME,"
            "HADOOP_MAPRED_HOME,PATH,LANG,TZ,LD_PRELOAD,MR_ML_DEV_CLUSTER"
        ),
        "yarn.nodemanager.resource.memory-mb": cluster.node_memory_mb,
        "yarn.nodemanager.resource.cpu-vcores": cluster.node_vcores,
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.5",
        "yarn.scheduler.minimum-allocation-mb": 128,
        "yarn.scheduler.maximum-allocation-mb": cluster.node_memory_mb,
        "yarn.scheduler.maximum-allocation-vcores": cluster.node_vcores,
        "yarn.application.classpath": f"{cluster.conf},{cluster.class_path().replace(':', ',')}",
        # By default a folder in /tmp that all clusters of a user would share.
        "yarn.node-attribute.fs-store.root-dir": f"file://{cluster.data}/node-attributes",
        "yarn.timeline-service.enabled": "false",
        "yarn.resourcemanager.am.max-attempts": 2,
        # Lost nodes are noticed in seconds; an application master may take its time to start on a busy machine.
        "yarn.nm.liveness-monitor.expiry-interval-ms": 10000,
        "yarn.am.liveness-monitor.expiry-interval-ms": 60000,
    }
    mapred: dict[str, str | int] = {
        "mapreduce.framework.name": "yarn",
        "mapreduce.application.classpath": str(cluster.conf),
        "mapreduce.shuffle.port": 0,
        "mapreduce.jobhistory.address": local("history_rpc"),
        "mapreduce.jobhistory.bind-host": "127.0.0.1",
        "mapreduce.jobhistory.webapp.address": local("history_http"),
        "mapreduce.jobhistory.admin.address": local("history_admin"),
        "yarn.app.mapreduce.am.staging-dir": STAGING,
        "yarn.app.mapreduce.am.resource.mb": 512,
        "mapreduce.map.memory.mb": 512,
        "mapreduce.reduce.memory.mb": 512,
        "mapreduce.task.io.sort.mb": 50,
        "yarn.app.mapreduce.am.command-opts": " ".join(java_options(cluster, "am")),
        "mapreduce.map.java.opts": " ".join(java_options(cluster, "map")),
        "mapreduce.reduce.java.opts": " ".join(java_options(cluster, "reduce")),
    }
    scheduler: dict[str, str | int] = {
        "yarn.scheduler.capacity.root.queues": "default",
        "yarn.scheduler.capacity.root.default.capacity": 100,
        "yarn.scheduler.capacity.root.default.maximum-capacity": 100,
        "yarn.scheduler.capacity.root.default.state": "RUNNING",
        # An application master may be half of all there is, or more, on a cluster made small for a test.
        "yarn.scheduler.capacity.maximum-am-resource-percent": "1.0",
        "yarn.scheduler.capacity.resource-calculator": BOTH_RESOURCES,
    }
    return dict(zip(SITE_FILES, (core, hdfs, yarn, mapred, scheduler), strict=True))


def _tuned(cluster: Cluster) -> dict[str, dict[str, str | int]]:
    """The low-latency settings; every one trades idle work or generality for time that a small job waits."""
    return {
        "hdfs-site": {
            "dfs.namenode.edits.noeditlogchannelflush": "true",
            # Who closes a file just before its DataNode has reported the block waits that long; by default 400.
            "dfs.client.block.write.locateFollowingBlock.initial.delay.ms": 10,
        },
        "yarn-site": {
            "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": 100,
            "yarn.nodemanager.resource-monitor.interval-ms": 10000,
            "yarn.nodemanager.container-monitor.enabled": "false",
            # With the job class loader the framework's class path has neither the container's folder nor job jars
            # in front, so that the archives fit.
            "yarn.application.classpath": f"{cluster.class_path().replace(':', ',')},{cluster.conf}",
        },
        "mapred-site": {
            "mapreduce.job.classloader": "true",
            "mapreduce.application.classpath": str(cluster.conf),
            # with one replica, a DataNode that dies takes with it the jobs whose files it has
            "mapreduce.client.submit.file.replication": min(2, cluster.workers),
            "mapreduce.fileoutputcommitter.algorithm.version": 2,
            "mapreduce.map.speculative": "false",
            "mapreduce.reduce.speculative": "false",
        },
        # One container a heartbeat spreads the tasks of a small job over the nodes.
        "capacity-scheduler": {"yarn.scheduler.capacity.per-node-heartbeat.maximum-container-assignments": 1},
    }


def _recording() -> dict[str, dict[str, str | int]]:
    """Leave the virtual machines of a job the time to write their archives at exit."""
    return {
        "yarn-site": {
            "yarn.nodemanager.sleep-delay-before-sigkill.ms": 120000,
            # A NodeManager that stops waits that long for every application whose logs it still keeps.
            "yarn.nodemanager.log.retain-seconds": 1,
            # Java is slow while it records, and a busy machine makes it slower: nothing here has died.
            "yarn.nm.liveness-monitor.expiry-interval-ms": 600000,
            "yarn.am.liveness-monitor.expiry-interval-ms": 600000,
        },
        "mapred-site": {"mapreduce.task.exit.timeout": 300000},
    }
