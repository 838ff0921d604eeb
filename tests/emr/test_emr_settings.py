"""The settings file of a cluster on EMR: strict, with the settings of a Hadoop cluster in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from agent import SMALL

from hdfs_layout import open_root
from mr_ml.errors import UsageError
from mr_ml.runners.base import RUNNERS, RunnerOptions
from mr_ml.runners.emr.cost import price_an_hour
from mr_ml.runners.emr.settings import EmrSettings, load_settings
from mr_ml.runners.hadoop.env import find_python

Write = Callable[[str], str]


def test_the_settings_of_a_hadoop_cluster_are_in_it(config: Write) -> None:
    found = load_settings(config(f"{SMALL}reducers: 4\nmap_memory_mb: 2048\njobconf: {{a.b: true}}\n"))
    assert found.properties(input_bytes=1) == {"mapreduce.map.memory.mb": "2048", "a.b": "true"}
    assert (found.reducers, found.idle_minutes, found.release) == (4, 5, "emr-7.13.0")
    assert load_settings(None) == EmrSettings()
    assert price_an_hour(found) == 0.75
    assert price_an_hour(EmrSettings()) is None


def test_spot_and_on_demand_share_no_instance(config: Write) -> None:
    """A unit of each takes two instances, although one has room for both."""
    text = """\
fleets:
  - {role: master, types: m6i.xlarge, on_demand: 1}
  - {role: core, types: {m6i.xlarge: 4}, on_demand: 1, spot: 1}
prices: {m6i.xlarge: 0.25}
"""
    assert price_an_hour(load_settings(config(text))) == 0.75


def test_the_nodes_have_a_python_of_emrs(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = open_root(tmp_path_factory.mktemp("root"))
    assert find_python(root, EmrSettings()).command == ("python3.11",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("instances: 3", "expected keys of"),
        ("hadoop_home: /opt", "of Hadoop on this machine"),
        ("driver_port: 40000", "of tasks that stay"),
        ("release: 7.1", "expected a text, found 7.1"),
        ("log_uri: hdfs:///logs", "s3://BUCKET"),
        ("subnets: [vpc-1]", "subnet-0123abcd"),
        ("subnets: []", "one at least"),
        ("security_groups: sg_1", "sg-0123abcd"),
        ("tags: {'mr_ml:owner': me}", "not yours to give"),
        ("tags: {a: [b]}", "NAME: VALUE"),
        ("idle_minutes: 0", "no cluster runs for ever"),
        ("idle_minutes: 4", "from 5 to"),
        ("max_hours: -1", "above 0"),
        ("max_hours: .inf", "above 0"),
        ("max_cost: 3", "max_cost needs prices"),
        ("prices: {xlarge: 1}", "m6i.xlarge"),
        ("groups: {role: master}", "a list of entries"),
        ("groups: [{role: boss, type: m6i.xlarge}]", "one of master, core, task"),
        ("groups: [{role: master}]", "groups[0]: expected type"),
        ("groups: [{role: master, type: m6i.xlarge, size: 2}]", "found 'size'"),
        ("groups: [{role: core, type: m6i.xlarge}]", "expected one master"),
        ("groups: [{role: master, type: m6i.xlarge, spot: 2}]", "true or false"),
        ("groups: [{role: master, type: m6i.xlarge, ebs_type: fast}]", "one of gp3"),
        ("subnets: [subnet-1, subnet-2]\ngroups: [{role: master, type: m6i.xlarge}]", "fleets take several"),
        ("fleets: [{role: master, types: m6i.xlarge}]", "exactly 1"),
        ("fleets: [{role: master, types: m6i.xlarge, on_demand: 2}]", "exactly 1"),
        ("fleets: [{role: master, types: {}, on_demand: 1}]", "expected a text"),
        ("fleets: [{role: master, types: m6i.xlarge, spot: 1, spot_timeout_minutes: 3}]", "from 5 to 1440"),
        ("bootstrap: [{path: /setup.sh}]", "bootstrap[0].path: expected s3://"),
        ("prices: {m6i.xlarge: 1}\ngroups: [{role: master, type: m5.xlarge}]", "none for m5.xlarge"),
    ],
)
def test_mistakes_are_named(config: Write, text: str, said: str) -> None:
    with pytest.raises(UsageError) as found:
        load_settings(config(text))
    assert said in str(found.value)
    assert "emr.yaml" in str(found.value)


def test_groups_or_fleets(config: Write) -> None:
    with pytest.raises(UsageError, match="groups or fleets, found both"):
        load_settings(config(f"{SMALL}fleets: [{{role: master, types: m6i.xlarge, on_demand: 1}}]\n"))


@pytest.mark.parametrize(
    ("root", "options", "said"),
    [
        ("s3://bucket/root", {}, "name one that runs with `cluster_id`"),
        ("s3://bucket/root", {"cluster_id": "x"}, "such as j-"),
        ("s3://bucket/root", {"cluster_id": "j-1", "workers": 2}, "`workers`"),
        ("s3://bucket/root", {"cluster_id": "j-1", "max_hours": 0.0}, "`max_hours`: expected a number above 0"),
        ("s3://bucket/root", {"cluster_id": "j-1", "max_cost": 0.0}, "`max_cost`: expected a number above 0"),
        ("s3a://bucket/root", {"cluster_id": "j-1"}, "Give s3://bucket/root"),
        ("hdfs://host/root", {"cluster_id": "j-1"}, "s3://BUCKET"),
        ("/root", {"cluster_id": "j-1"}, "s3://BUCKET"),
        ("s3://bucket/a,b", {"cluster_id": "j-1"}, "found the root s3://bucket/a,b"),
    ],
)
def test_what_is_not_for_it(root: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as found:
        RUNNERS.get("emr").check(root, RunnerOptions(**options))  # type: ignore[arg-type]
    assert said in str(found.value)
    RUNNERS.get("emr").check("s3://bucket/root", RunnerOptions(cluster_id="j-1"))
