"""Clusters on EMR: ask for one, look at it, end it, and find those that mr_ml started.

A cluster of mr_ml is known by its name, which begins with `NAME`, and by its tags:

    mr_ml:run             what it was started for, unlike that of any other
    mr_ml:owner           the process that will end it, see `hdfs_layout.owners`; "kept" if somebody else will
    mr_ml:price           of an hour, by the settings that it was started with
    mr_ml:idle_minutes    after which it ends by itself

When its owner is gone, the next command ends it. If there is no next command it ends by itself: every cluster is
started with a policy of EMR's for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import InternalError, UnavailableError, UsageError
from mr_ml.runners.emr.cost import price_an_hour
from mr_ml.runners.emr.nodes import InstanceFleet, InstanceGroup, Volumes
from mr_ml.runners.emr.service import DeniedError, Emr, LostAnswerError
from mr_ml.runners.emr.settings import EmrSettings

NAME = "mr_ml "
RUN_TAG, OWNER_TAG, PRICE_TAG, IDLE_TAG = "mr_ml:run", "mr_ml:owner", "mr_ml:price", "mr_ml:idle_minutes"
# Instead of a process: it is for whoever started it to end.
KEPT = "kept"
ALIVE = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
OVER = ("TERMINATED", "TERMINATED_WITH_ERRORS")
_TYPES = {"master": "MASTER", "core": "CORE", "task": "TASK"}
_SHOWN_RELEASES = 5
# Until a cluster that was asked to end says so, every two seconds.
_LOOKS = 10


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What EMR says of a cluster.

    Attributes
    ----------
    reason
        Why it is in its state; may be empty.
    started, ended
        When, in UTC.
    log_uri
        Where its logs are copied to, with a slash at its end; None if nowhere.
    """

    id: str
    name: str
    state: str
    reason: str
    started: datetime | None
    ended: datetime | None
    tags: Mapping[str, str]
    log_uri: str | None
    release: str | None

    @property
    def is_alive(self) -> bool:
        """Whether it takes steps."""
        return self.state in ALIVE

    @property
    def is_over(self) -> bool:
        """Whether surely nothing runs on it any more."""
        return self.state in OVER

    @property
    def hours(self) -> float:
        """Since it was started, up to now or to its end."""
        if self.started is None:
            return 0.0
        return max(((self.ended or datetime.now(UTC)) - self.started).total_seconds(), 0.0) / 3600

    @property
    def price(self) -> float | None:
        """Of an hour, by the settings that it was started with."""
        try:
            return float(self.tags[PRICE_TAG])
        except (KeyError, ValueError):
            return None


def look(emr: Emr, cluster_id: str) -> Cluster:
    """Ask what there is of a cluster.

    Raises
    ------
    UsageError
        If there is none of this id.
    """
    found = emr.ask("describe_cluster", ClusterId=cluster_id)["Cluster"]
    status, timeline = found["Status"], found["Status"].get("Timeline", {})
    reasons = [status.get("StateChangeReason", {}).get("Message")]
    reasons += [item.get("ErrorMessage") for item in status.get("ErrorDetails", ())]
    log_uri = found.get("LogUri")
    return Cluster(
        id=found["Id"],
        name=found.get("Name", ""),
        state=status["State"],
        reason="; ".join(dict.fromkeys(str(reason).strip().rstrip(".") for reason in reasons if reason)),
        started=timeline.get("CreationDateTime"),
        ended=timeline.get("EndDateTime"),
        tags={tag["Key"]: tag.get("Value", "") for tag in found.get("Tags", ())},
        # EMR answers with the scheme of its first years
        log_uri=None if not log_uri else f"s3://{log_uri.partition('://')[2].rstrip('/')}/",
        release=found.get("ReleaseLabel"),
    )


def ours(emr: Emr) -> Iterator[Cluster]:
    """List the clusters of this account and region that mr_ml started and that are alive."""
    for summary in list(emr.pages("list_clusters", "Clusters", ClusterStates=list(ALIVE))):
        if summary.get("Name", "").startswith(NAME):
            cluster = look(emr, summary["Id"])
            if RUN_TAG in cluster.tags and cluster.is_alive:
                yield cluster


def start(
    emr: Emr, settings: EmrSettings, *, run: str, owner: str, keep: Callable[[str], None] = lambda cluster_id: None
) -> str:
    """Start a cluster, which costs money from now on; its id.

    Parameters
    ----------
    keep
        Called with the id before any signal is heard.

    Raises
    ------
    UsageError
        If the settings lack something, or EMR does not accept it.
    UnavailableError
        If EMR does not answer, or does not allow it.
    """
    settings.check_startable()
    _check_release(emr, settings.release)
    try:
        asked = request(settings, run=run, owner=owner)
        return str(emr.ask("run_job_flow", lambda answer: keep(str(answer["JobFlowId"])), **asked)["JobFlowId"])
    except LostAnswerError:
        found = find(emr, run)
        if found is None:
            raise
        keep(found)
        return found


def find(emr: Emr, run: str) -> str | None:
    """Return the id of the cluster that was started for `run`, if there is one that is alive."""
    summaries = list(emr.pages("list_clusters", "Clusters", ClusterStates=list(ALIVE)))
    return next((str(summary["Id"]) for summary in summaries if summary.get("Name") == NAME + run), None)


def terminate(emr: Emr, cluster_id: str) -> None:
    """End a cluster and see that it ends.

    Raises
    ------
    UnavailableError
        If that cannot be had, or seen.
    InternalError
        If EMR lets it run.
    """
    emr.ask("terminate_job_flows", JobFlowIds=[cluster_id])
    for _ in range(_LOOKS):
        cluster = look(emr, cluster_id)
        if not cluster.is_alive:
            return
        emr.pause(2.0)
    raise InternalError(
        f"cluster {cluster_id} was asked to end and is {cluster.state}; it costs money: "
        f"`mr-ml cluster terminate {cluster_id}`. Is it protected against termination?"
    )


def _check_release(emr: Emr, release: str) -> None:
    """Find out before anything costs money whether there is a release."""
    try:
        known = list(emr.pages("list_release_labels", "ReleaseLabels"))
    except DeniedError:
        # who may start a cluster need not be allowed to list releases, and is told by EMR then
        return
    if release not in known:
        newest = sorted(filter(_numbers, known), key=_numbers, reverse=True)[:_SHOWN_RELEASES]
        raise UsageError(
            f"expected a release of EMR in {emr.region}, such as {', '.join(newest) or 'none at all'}; found "
            f"{release}. Give release in the settings of `config`"
        )


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.removeprefix("emr-").split(".") if part.isdecimal())


def request(settings: EmrSettings, *, run: str, owner: str) -> dict[str, Any]:
    """Return the arguments of RunJobFlow."""
    price = price_an_hour(settings)
    own = {RUN_TAG: run, OWNER_TAG: owner, IDLE_TAG: str(settings.idle_minutes)}
    if price is not None:
        own[PRICE_TAG] = f"{price:.4f}"
    asked: dict[str, Any] = {
        "Name": NAME + run,
        "ReleaseLabel": settings.release,
        "Applications": [{"Name": "Hadoop"}],
        "LogUri": settings.log_uri,
        "ServiceRole": settings.service_role,
        "JobFlowRole": settings.instance_profile,
        "SecurityConfiguration": settings.security_configuration,
        "EbsRootVolumeSize": settings.root_volume_gb,
        "BootstrapActions": [
            {"Name": action.path.rpartition("/")[2],
             "ScriptBootstrapAction": {"Path": action.path, "Args": list(action.args)}}
            for action in settings.bootstrap
        ],
        "AutoTerminationPolicy": {"IdleTimeout": settings.idle_minutes * 60},
        "StepConcurrencyLevel": 1,
        "VisibleToAllUsers": True,
        "Tags": [{"Key": name, "Value": value} for name, value in {**settings.tags, **own}.items()],
        "Instances": _said({
            # between two passes there is no step, and the next one needs the cluster
            "KeepJobFlowAliveWhenNoSteps": True,
            "TerminationProtected": False,
            "Ec2KeyName": settings.key_name,
            "EmrManagedMasterSecurityGroup": settings.master_security_group,
            "EmrManagedSlaveSecurityGroup": settings.core_security_group,
            "ServiceAccessSecurityGroup": settings.service_security_group,
            "AdditionalMasterSecurityGroups": list(settings.security_groups),
            "AdditionalSlaveSecurityGroups": list(settings.security_groups),
            "InstanceGroups": [_group(group) for group in settings.groups],
            "InstanceFleets": [_fleet(fleet) for fleet in settings.fleets],
            **_subnets(settings),
        }),
    }  # fmt: skip
    return _said(asked)


def _said(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None and value != []}


def _subnets(settings: EmrSettings) -> dict[str, Any]:
    if not settings.subnets:
        return {}
    return {"Ec2SubnetIds": list(settings.subnets)} if settings.fleets else {"Ec2SubnetId": settings.subnets[0]}


def _group(group: InstanceGroup) -> dict[str, Any]:
    return {
        "Name": group.role,
        "InstanceRole": _TYPES[group.role],
        "InstanceType": group.type,
        "InstanceCount": group.count,
        "Market": "SPOT" if group.spot else "ON_DEMAND",
        **_volumes(group),
    }


def _fleet(fleet: InstanceFleet) -> dict[str, Any]:
    launch: dict[str, Any] = {}
    if fleet.spot:
        launch["SpotSpecification"] = {
            "TimeoutDurationMinutes": fleet.spot_timeout_minutes,
            "TimeoutAction": "SWITCH_TO_ON_DEMAND",
            "AllocationStrategy": "price-capacity-optimized",
        }
    if fleet.on_demand:
        launch["OnDemandSpecification"] = {"AllocationStrategy": "lowest-price"}
    return {
        "Name": fleet.role,
        "InstanceFleetType": _TYPES[fleet.role],
        "TargetOnDemandCapacity": fleet.on_demand,
        "TargetSpotCapacity": fleet.spot,
        "InstanceTypeConfigs": [
            {"InstanceType": name, "WeightedCapacity": weight, **_volumes(fleet)}
            for name, weight in fleet.types.items()
        ],
        "LaunchSpecifications": launch,
    }


def _volumes(nodes: Volumes) -> dict[str, Any]:
    if nodes.ebs_gb is None:
        return {}
    volume = {"VolumeType": nodes.ebs_type, "SizeInGB": nodes.ebs_gb}
    of_each = [{"VolumeSpecification": volume, "VolumesPerInstance": nodes.ebs_volumes}]
    return {"EbsConfiguration": {"EbsBlockDeviceConfigs": of_each}}


class ClusterLostError(UnavailableError):
    """A cluster takes no jobs any more.

    Attributes
    ----------
    is_over
        Whether surely nothing runs on it any more.
    """

    def __init__(self, message: str, *, is_over: bool = False) -> None:
        super().__init__(message)
        self.is_over = is_over
