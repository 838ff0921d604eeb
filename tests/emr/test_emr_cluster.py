"""Starting, seeing and ending clusters: what EMR is asked for, argument by argument, and what comes of its answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from agent import REGION, SMALL, Agent, Clock, Fault

from hdfs_layout.owners import owned
from mr_ml.errors import MrMlError, UnavailableError, UsageError
from mr_ml.runners.emr.cluster import KEPT, look, ours, start, terminate
from mr_ml.runners.emr.cost import Limits
from mr_ml.runners.emr.service import ATTEMPTS, Emr
from mr_ml.runners.emr.settings import EmrSettings, load_settings
from mr_ml.runners.emr.use import ClusterInUse, end_abandoned

Write = Callable[[str], str]

GROUPS = """\
release: emr-7.12.0
region: eu-central-1
log_uri: s3://logs/emr
service_role: Service
instance_profile: Profile
subnets: subnet-1
master_security_group: sg-1
core_security_group: sg-2
service_security_group: sg-3
security_groups: [sg-4, sg-5]
key_name: mine
tags: {team: ads, for-use-with-amazon-emr-managed-policies: true}
groups:
  - {role: master, type: m6i.xlarge, ebs_gb: 64}
  - {role: core, type: r6i.2xlarge, count: 2, ebs_gb: 100, ebs_type: io2, ebs_volumes: 2}
  - {role: task, type: m6i.xlarge, count: 3, spot: true}
root_volume_gb: 20
idle_minutes: 30
bootstrap:
  - {path: s3://bucket/setup.sh, args: [a, b c]}
security_configuration: encrypted
prices: {m6i.xlarge: 0.25, r6i.2xlarge: 0.75}
"""
FLEETS = """\
service_role: Service
instance_profile: Profile
subnets: [subnet-1, subnet-2]
fleets:
  - {role: master, types: [m6i.xlarge, m5.xlarge], on_demand: 1}
  - {role: core, types: m6i.xlarge, on_demand: 2}
  - {role: task, types: {m6i.2xlarge: 2, m6i.4xlarge: 5}, on_demand: 2, spot: 9, spot_timeout_minutes: 7, ebs_gb: 32}
prices: {m6i.xlarge: 0.25, m5.xlarge: 0.3, m6i.2xlarge: 0.5, m6i.4xlarge: 1.1}
"""


def ebs(type: str, gb: int, n: int) -> dict[str, object]:
    volume = {"VolumeSpecification": {"VolumeType": type, "SizeInGB": gb}, "VolumesPerInstance": n}
    return {"EbsConfiguration": {"EbsBlockDeviceConfigs": [volume]}}


def test_groups(agent: Agent, emr: Emr, config: Write) -> None:
    cluster_id = start(emr, load_settings(config(GROUPS)), run="r1", owner=KEPT)
    (asked,) = agent.asked("RunJobFlow")
    assert asked == {
        "Name": "mr_ml r1",
        "ReleaseLabel": "emr-7.12.0",
        "Applications": [{"Name": "Hadoop"}],
        "LogUri": "s3://logs/emr/",
        "ServiceRole": "Service",
        "JobFlowRole": "Profile",
        "SecurityConfiguration": "encrypted",
        "EbsRootVolumeSize": 20,
        "BootstrapActions": [
            {
                "Name": "setup.sh",
                "ScriptBootstrapAction": {"Path": "s3://bucket/setup.sh", "Args": ["a", "b c"]},
            }
        ],
        "AutoTerminationPolicy": {"IdleTimeout": 1800},
        "StepConcurrencyLevel": 1,
        "VisibleToAllUsers": True,
        "Tags": [
            {"Key": "team", "Value": "ads"},
            {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"},
            {"Key": "mr_ml:run", "Value": "r1"},
            {"Key": "mr_ml:owner", "Value": "kept"},
            {"Key": "mr_ml:idle_minutes", "Value": "30"},
            {"Key": "mr_ml:price", "Value": "2.5000"},
        ],
        "Instances": {
            "KeepJobFlowAliveWhenNoSteps": True,
            "TerminationProtected": False,
            "Ec2KeyName": "mine",
            "Ec2SubnetId": "subnet-1",
            "EmrManagedMasterSecurityGroup": "sg-1",
            "EmrManagedSlaveSecurityGroup": "sg-2",
            "ServiceAccessSecurityGroup": "sg-3",
            "AdditionalMasterSecurityGroups": ["sg-4", "sg-5"],
            "AdditionalSlaveSecurityGroups": ["sg-4", "sg-5"],
            "InstanceGroups": [
                {
                    "Name": "master", "InstanceRole": "MASTER", "InstanceType": "m6i.xlarge", "InstanceCount": 1,
                    "Market": "ON_DEMAND", **ebs("gp3", 64, 1),
                },
                {
                    "Name": "core", "InstanceRole": "CORE", "InstanceType": "r6i.2xlarge", "InstanceCount": 2,
                    "Market": "ON_DEMAND", **ebs("io2", 100, 2),
                },
                {
                    "Name": "task", "InstanceRole": "TASK", "InstanceType": "m6i.xlarge", "InstanceCount": 3,
                    "Market": "SPOT",
                },
            ],
        },
    }  # fmt: skip
    found = look(emr, cluster_id)
    assert (found.log_uri, found.price, found.release, found.is_alive) == ("s3://logs/emr/", 2.5, "emr-7.12.0", True)
    terminate(emr, cluster_id)


def test_fleets_fall_back_from_spot_to_on_demand(agent: Agent, emr: Emr, config: Write) -> None:
    terminate(emr, start(emr, load_settings(config(FLEETS)), run="r1", owner=KEPT))
    (asked,) = agent.asked("RunJobFlow")
    assert "LogUri" not in asked
    assert asked["ReleaseLabel"] == "emr-7.13.0"
    assert asked["AutoTerminationPolicy"] == {"IdleTimeout": 900}
    # of the task fleet the dearest: on demand one m6i.4xlarge; on the spot market one too, behind 4 of m6i.2xlarge
    assert {"Key": "mr_ml:price", "Value": f"{0.3 + 2 * 0.25 + 1.1 + 4 * 0.5 + 1.1:.4f}"} in asked["Tags"]
    lowest = {"OnDemandSpecification": {"AllocationStrategy": "lowest-price"}}
    assert asked["Instances"] == {
        "KeepJobFlowAliveWhenNoSteps": True,
        "TerminationProtected": False,
        "Ec2SubnetIds": ["subnet-1", "subnet-2"],
        "InstanceFleets": [
            {
                "Name": "master", "InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1, "TargetSpotCapacity": 0,
                "InstanceTypeConfigs": [
                    {"InstanceType": "m6i.xlarge", "WeightedCapacity": 1},
                    {"InstanceType": "m5.xlarge", "WeightedCapacity": 1},
                ],
                "LaunchSpecifications": lowest,
            },
            {
                "Name": "core", "InstanceFleetType": "CORE", "TargetOnDemandCapacity": 2, "TargetSpotCapacity": 0,
                "InstanceTypeConfigs": [{"InstanceType": "m6i.xlarge", "WeightedCapacity": 1}],
                "LaunchSpecifications": lowest,
            },
            {
                "Name": "task", "InstanceFleetType": "TASK", "TargetOnDemandCapacity": 2, "TargetSpotCapacity": 9,
                "InstanceTypeConfigs": [
                    {"InstanceType": "m6i.2xlarge", "WeightedCapacity": 2, **ebs("gp3", 32, 1)},
                    {"InstanceType": "m6i.4xlarge", "WeightedCapacity": 5, **ebs("gp3", 32, 1)},
                ],
                "LaunchSpecifications": {
                    "SpotSpecification": {
                        "TimeoutDurationMinutes": 7, "TimeoutAction": "SWITCH_TO_ON_DEMAND",
                        "AllocationStrategy": "price-capacity-optimized",
                    },
                    **lowest,
                },
            },
        ],
    }  # fmt: skip


def test_a_release_that_there_is_not_costs_nothing(agent: Agent, emr: Emr, config: Write) -> None:
    settings = load_settings(config(f"{SMALL}release: emr-7.99.0\n"))
    with pytest.raises(UsageError, match=r"such as emr-7\.13\.0, emr-7\.12\.0, emr-7\.9\.0, emr-5\.36\.2; found emr-7"):
        start(emr, settings, run="r1", owner=KEPT)
    assert agent.clusters() == []
    # who may not ask for releases is told by EMR itself
    agent.faults.append(Fault("ListReleaseLabels", "AccessDeniedException"))
    terminate(emr, start(emr, settings, run="r1", owner=KEPT))


def test_a_lost_answer_starts_no_second_cluster(agent: Agent, emr: Emr, config: Write) -> None:
    agent.faults.append(Fault("RunJobFlow", "InternalServerException", status=500, done=True))
    cluster_id = start(emr, load_settings(config(SMALL)), run="r1", owner=KEPT)
    assert agent.alive() == [cluster_id]
    assert len(agent.asked("RunJobFlow")) == 1
    terminate(emr, cluster_id)


@pytest.mark.parametrize(
    ("code", "said", "error"),
    [
        ("ValidationException", "EMR refused RunJobFlow: no such role", UsageError),
        ("AccessDeniedException", "elasticmapreduce:RunJobFlow: no such role.*docs/emr.md", UnavailableError),
        ("ExpiredTokenException", "expired credentials at RunJobFlow.*aws sso login", UnavailableError),
        ("UnrecognizedClientException", "does not know the credentials", UnavailableError),
        ("InternalServerException", "EMR failed at RunJobFlow", UnavailableError),
    ],
)
def test_what_emr_refuses_is_said(
    agent: Agent, emr: Emr, config: Write, code: str, said: str, error: type[MrMlError]
) -> None:
    agent.faults.append(Fault("RunJobFlow", code, message="no such role"))
    with pytest.raises(error, match=said) as found:
        start(emr, load_settings(config(SMALL)), run="r1", owner=KEPT)
    assert "secret-of-the-agent" not in str(found.value)
    assert len(agent.asked("RunJobFlow")) == 1


def test_throttling_is_waited_for(agent: Agent, emr: Emr, clock: Clock, config: Write) -> None:
    agent.faults.append(Fault("*", "ThrottlingException", times=5))
    cluster_id = start(emr, load_settings(config(SMALL)), run="r1", owner=KEPT)
    assert clock.now == 2 + 4 + 8 + 16 + 20
    agent.faults.append(Fault("RunJobFlow", "ThrottlingException", times=5))
    terminate(emr, start(emr, load_settings(config(SMALL)), run="r2", owner=KEPT))
    agent.faults.append(Fault("DescribeCluster", "ThrottlingException", times=ATTEMPTS))
    with pytest.raises(UnavailableError, match=r"asked too often for DescribeCluster \(ThrottlingException\)"):
        look(emr, cluster_id)
    terminate(emr, cluster_id)


def test_nobody_answers(agent: Agent, emr: Emr, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    silent = Emr(Emr.connect(None).client, clock.pause, clock)
    with pytest.raises(UnavailableError, match="EMR did not answer DescribeCluster"):
        look(silent, "j-1")


def test_no_region(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    assert Emr.connect("eu-west-1").region == "eu-west-1"
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(UsageError, match="region in the settings"):
        Emr.connect(None)


def in_use(
    emr: Emr, settings: EmrSettings, said: list[str], *, given: str | None = None, **limits: float
) -> ClusterInUse:
    return ClusterInUse(emr, settings, given, Limits(**limits), said.append)


def test_a_cluster_of_ones_own_is_started_when_needed_and_ended(agent: Agent, emr: Emr, config: Write) -> None:
    said: list[str] = []
    used = in_use(emr, load_settings(config(SMALL)), said)
    assert agent.calls == []
    cluster_id = used.ready()
    assert used.ready() == cluster_id
    assert agent.alive() == [cluster_id]
    (cluster,) = ours(emr)
    assert cluster.tags["mr_ml:owner"].startswith("mr_ml-")
    assert "at most 0.75 an hour by your prices" in said[0]
    assert "5 idle minutes" in said[0]
    used.close()
    used.close()
    assert agent.alive() == []
    assert len(agent.asked("TerminateJobFlows")) == 1
    with pytest.raises(UsageError, match="closed"):
        used.ready()


def test_a_cluster_that_was_named_is_left(agent: Agent, emr: Emr, config: Write) -> None:
    settings = load_settings(config(SMALL))
    cluster_id = start(emr, settings, run="r1", owner=KEPT)
    used = in_use(emr, EmrSettings(), [], given=cluster_id)
    assert used.ready() == cluster_id
    used.close()
    assert agent.alive() == [cluster_id]
    terminate(emr, cluster_id)
    with pytest.raises(UnavailableError, match=f"cluster {cluster_id} is TERMINATED.*leave `cluster_id` out"):
        in_use(emr, EmrSettings(), [], given=cluster_id).ready()
    with pytest.raises(UsageError, match="EMR refused DescribeCluster"):
        in_use(emr, EmrSettings(), [], given="j-NONE").ready()


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_hours": 2}, "used for 2.50 hours, and `max_hours` is 2"),
        ({"max_cost": 1.5}, "2.50 hours at 0.75 have cost 1.88, and `max_cost` is 1.5"),
        ({"max_hours": 3, "max_cost": 2}, None),
    ],
)
@pytest.mark.parametrize("is_given", [False, True])
def test_limits(
    agent: Agent, emr: Emr, clock: Clock, config: Write, limits: dict[str, float], said: str | None, is_given: bool
) -> None:
    settings = load_settings(config(SMALL))
    given = start(emr, settings, run="r1", owner=KEPT) if is_given else None
    # of a cluster that is given, the prices that it was started with
    used = in_use(emr, EmrSettings() if is_given else settings, [], given=given, **limits)
    cluster_id = used.ready()
    clock.now += 2.5 * 3600
    if said is None:
        used.ready()
    else:
        with pytest.raises(UnavailableError, match=said):
            used.ready()
    used.close()
    if is_given:
        terminate(emr, cluster_id)


def test_what_a_limit_needs_is_asked_before_anything_costs(agent: Agent, emr: Emr, config: Write) -> None:
    settings = load_settings(config(SMALL.replace("prices", "# prices")))
    with pytest.raises(UsageError, match="`max_cost` needs prices"):
        in_use(emr, settings, [], max_cost=1).ready()
    cluster_id = start(emr, settings, run="r1", owner=KEPT)
    with pytest.raises(UsageError, match=f"`max_cost` needs prices: cluster {cluster_id}"):
        in_use(emr, settings, [], given=cluster_id, max_cost=1).ready()
    terminate(emr, cluster_id)


def test_clusters_of_killed_commands_are_ended(agent: Agent, emr: Emr, config: Write) -> None:
    """Not those of commands that live, not those that are kept, and none that are not of mr_ml."""
    settings = load_settings(config(SMALL))
    mine = owned("mr_ml")
    pid = mine.split("-")[-3]
    gone = start(emr, settings, run="r1", owner=mine.replace(f"-{pid}-", "-4194305-"))
    elsewhere = start(emr, settings, run="r2", owner="mr_ml-00000000-1-1-00000000")
    left = [gone, elsewhere, *(start(emr, settings, run=f"r{n}", owner=owner) for n, owner in ((3, mine), (4, KEPT)))]
    emr.client.run_job_flow(
        Name="somebody's", Instances={"KeepJobFlowAliveWhenNoSteps": True}, AutoTerminationPolicy={"IdleTimeout": 9999}
    )
    said: list[str] = []
    assert end_abandoned(emr, said.append) == [gone]
    assert said == [f"ended cluster {gone}, left by a command that was killed (r1)"]
    assert agent.alive()[:-1] == left[1:]
    for cluster_id in agent.alive():
        terminate(emr, cluster_id)


def test_a_cluster_that_cannot_be_ended_is_named(agent: Agent, emr: Emr, config: Write) -> None:
    said: list[str] = []
    used = in_use(emr, load_settings(config(SMALL)), said)
    cluster_id = used.ready()
    agent.faults.append(Fault("TerminateJobFlows", "ExpiredTokenException"))
    with pytest.raises(UnavailableError, match=f"cluster {cluster_id} may still run and cost money.*5 minutes"):
        used.close()
    agent.hurry = 1e6
    while agent.alive():
        clock_tick()
    again = in_use(emr, load_settings(config(SMALL)), said)
    agent.hurry = 1.0
    again.ready()
    agent.faults.append(Fault("TerminateJobFlows", "ExpiredTokenException"))
    with pytest.raises(KeyError, match="the first error"):
        raise_through(again)
    assert "may still run and cost money" in said[-1]
    for cluster_id in agent.alive():
        terminate(emr, cluster_id)


def raise_through(used: ClusterInUse) -> None:
    try:
        raise KeyError("the first error")
    finally:
        used.close()


def clock_tick() -> None:
    Clock().pause(0)


def test_the_agent_is_where_it_says(agent: Agent, emr: Emr) -> None:
    assert emr.region == REGION
