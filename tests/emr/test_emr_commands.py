"""`mr-ml cluster`, and `mr-ml -r emr` that is interrupted, killed, or loses its cluster: nothing is left running."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from agent import SMALL, Agent, Fault, Steps
from commands import Commands, Outcome, environment, write_libsvm

from hdfs_layout import LocalStore, Store, open_store, read_events

ROOT = "s3://data/root"
LIMIT_SECONDS = 120.0


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 3))
    local = Commands(folder / "root", runner=("-r", "inline"))
    local("pack", write_libsvm(folder / "rows", x, (x[:, 0] > 0).astype(int)), "--to", "rows")
    return folder / "root"


@pytest.fixture
def store(agent: Agent, packed: Path) -> Store:
    """On S3, with the dataset `rows`."""
    boto3.client("s3").create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    found, local = open_store(ROOT), LocalStore(str(packed))
    for path in local.walk(""):
        found.write(path, local.read(path))
    return found


@pytest.fixture
def run(agent: Agent) -> Callable[..., Outcome]:
    return Commands(Path(ROOT)).run


@pytest.fixture
def start(agent: Agent, store: Store, config: Callable[[str], str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `mr-ml train rows -r emr` with more words; its process."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "mr_ml", "train", "--root", ROOT, "-r", "emr", *words]
        process = subprocess.Popen(
            command,
            env={**environment(), **agent.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def until(look: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := look():
            return found
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"waited in vain: {process.communicate()}")


def running_step(agent: Agent, process: subprocess.Popen[str]) -> Any:
    """The step that runs, of the one cluster that is alive."""

    def look() -> Any:
        steps = [step for cluster in agent.clusters() if cluster.id in agent.alive() for step in cluster.steps]
        return next((step for step in steps if step.state == "RUNNING" and step.start_date_time is not None), None)

    return until(look, process)


def test_clusters_by_hand(agent: Agent, run: Callable[..., Outcome], config: Callable[[str], str]) -> None:
    settings = ("--config", config(SMALL))
    assert "give --config" in run("cluster", "create").err
    made = run("cluster", "create", *settings)
    assert made.code == 0, made.err
    (cluster_id,) = agent.alive()
    assert f"{cluster_id} is starting in eu-central-1, emr-7.13.0; at most 0.75 an hour by your prices" in made.out
    assert "ends by itself after 5 idle minutes" in made.out
    (other,) = {run("cluster", "create", *settings, "--json").result["cluster_id"]}
    listed = run("cluster", "list", "--json").result
    # moto keeps no order
    assert {item["cluster_id"] for item in listed["clusters"]} == {cluster_id, other}
    assert {item["for"] for item in listed["clusters"]} == {"any command"}
    assert cluster_id in run("cluster", "list").out
    agent.clusters()[0].creation_datetime = agent.clusters()[0].creation_datetime.replace(year=2020)
    costs = run("cluster", "cost", cluster_id, "--json").result
    assert costs["cost"] == pytest.approx(costs["clusters"][0]["hours"] * 0.75, rel=1e-6)
    assert "together, by your prices" in run("cluster", "cost").out
    agent.faults.append(Fault("TerminateJobFlows", "AccessDeniedException"))
    ended = run("cluster", "terminate", cluster_id, other)
    assert ended.code != 0
    assert ended.out == f"{other} is TERMINATED\n"
    assert agent.alive() == [cluster_id]
    ended = run("cluster", "terminate", cluster_id, other)
    assert ended.out == f"{cluster_id} is TERMINATED\n{other} is TERMINATED\n"
    assert "no clusters of mr-ml in eu-central-1" in run("cluster", "list").out
    assert run("cluster", "terminate", "nonsense").code == 2
    assert len(agent.asked("TerminateJobFlows")) == 3


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_cluster_that_nobody_was_told_of(
    agent: Agent, run: Callable[..., Outcome], config: Callable[[str], str], monkeypatch: pytest.MonkeyPatch,
    is_allowed: bool,
) -> None:  # fmt: skip
    """Interrupted between its start and its id on the screen."""

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mr_ml.cli.cluster.print_result", interrupted)
    if not is_allowed:
        agent.faults.append(Fault("TerminateJobFlows", "AccessDeniedException"))
    found = run("cluster", "create", "--config", config(SMALL), "--quiet")
    assert (found.code, found.out) == (130, "")
    (cluster,) = agent.clusters()
    if is_allowed:
        assert f"cluster {cluster.id}, which was started, is ended" in found.err
        assert cluster.state == "TERMINATED"
    else:
        assert f"warning: cluster {cluster.id} was started, and costs money: `mr-ml cluster terminate`" in found.err
        cluster.terminate()


def test_whose_settings_they_are(run: Callable[..., Outcome], config: Callable[[str], str], tmp_path: Path) -> None:
    """Commands that run no jobs are told so, by -r as those that do."""
    clean = Commands(tmp_path).run
    settings = ("clean", "--dry-run", "--config", config(SMALL))
    assert clean(*settings, "-r", "emr").code == 0
    for words, said in (
        ((), "found 'service_role'. If it is a setting of another -r, name that one"),
        (("-r", "local"), "--config says how to use a cluster"),
    ):
        found = clean(*settings, *words)
        assert found.code == 2
        assert said in found.err


def test_what_is_not_allowed(agent: Agent, run: Callable[..., Outcome], config: Callable[[str], str]) -> None:
    agent.faults.append(Fault("RunJobFlow", "AccessDeniedException", message="not authorized to perform iam:PassRole"))
    found = run("cluster", "create", "--config", config(SMALL))
    assert found.code == 69
    assert "EMR does not allow elasticmapreduce:RunJobFlow: not authorized to perform iam:PassRole" in found.err


def ended_by(number: signal.Signals, process: subprocess.Popen[str]) -> str:
    """Send a signal, and once more if the pass takes long, as a person presses Ctrl-C again; returns stderr."""
    process.send_signal(number)
    try:
        return process.communicate(timeout=2)[1]
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    return process.communicate(timeout=LIMIT_SECONDS)[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_command_ends_its_cluster(
    agent: Agent, steps: Steps, start: Callable[..., subprocess.Popen[str]], config: Callable[[str], str], store: Store,
    number: signal.Signals,
) -> None:  # fmt: skip
    steps.outcome = None
    process = start("rows", "--model", "m", "--config", config(SMALL))
    step = running_step(agent, process)
    assert step.name.startswith("mr_ml:")
    err = ended_by(number, process)
    assert process.returncode == 128 + number, err
    assert agent.alive() == []
    assert not store.list("models") if store.exists("models") else True


def test_a_killed_command_leaves_a_cluster_that_the_next_one_ends(
    agent: Agent, steps: Steps, start: Callable[..., subprocess.Popen[str]], config: Callable[[str], str], store: Store
) -> None:
    steps.outcome = None
    settings = config(SMALL)
    killed = start("rows", "--model", "m", "--config", settings)
    running_step(agent, killed)
    (left,) = agent.alive()
    killed.kill()
    killed.communicate()
    assert agent.alive() == [left]
    (run_id,) = store.list("tmp")
    resumed = start("--resume", run_id, "--config", settings)
    until(lambda: agent.alive() not in ([], [left]), resumed)
    assert left not in agent.alive()
    running_step(agent, resumed)
    # two clusters were rented, one after the other
    first, second = agent.asked("RunJobFlow")
    assert first["Name"] != second["Name"]
    resumed.send_signal(signal.SIGTERM)
    _, err = resumed.communicate(timeout=LIMIT_SECONDS)
    assert f"ended cluster {left}, left by a command that was killed" in err
    assert resumed.returncode == 128 + signal.SIGTERM


def test_a_command_whose_cluster_is_lost(
    agent: Agent, steps: Steps, start: Callable[..., subprocess.Popen[str]], config: Callable[[str], str], store: Store
) -> None:
    steps.outcome = None
    process = start("rows", "--model", "m", "--config", config(SMALL))
    running_step(agent, process)
    agent.lose(agent.clusters()[0], "All slaves were terminated by Spot.")
    _, err = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 69, err
    assert "is TERMINATED_WITH_ERRORS: All slaves were terminated by Spot. Nothing half-written is visible" in err
    assert "mr-ml train --resume RUN" in err
    assert not store.exists("tmp")


def test_a_command_on_a_cluster_of_others_stops_its_step_only(
    agent: Agent, steps: Steps, start: Callable[..., subprocess.Popen[str]], run: Callable[..., Outcome],
    config: Callable[[str], str], store: Store,
) -> None:  # fmt: skip
    steps.outcome = None
    steps.by_word["bash"] = ("COMPLETED", {})
    cluster_id = run("cluster", "create", "--config", config(SMALL), "--json").result["cluster_id"]
    process = start("rows", "--model", "m", "--cluster-id", cluster_id)
    running_step(agent, process)
    err = ended_by(signal.SIGINT, process)
    assert process.returncode == 130, err
    assert agent.alive() == [cluster_id]
    assert [step.state for step in agent.clusters()[0].steps] == ["CANCELLED", "COMPLETED"]
    assert not store.exists("tmp")
    (run_id,) = store.list("runs")
    noted = next(event for event in read_events(store, f"runs/{run_id}/log.jsonl") if event["event"] == "environment")
    assert (noted["cluster_id"], noted["release"]) == (cluster_id, None)
    run("cluster", "terminate", cluster_id)


def test_a_job_without_output_is_an_error_and_its_cluster_ends(
    agent: Agent, start: Callable[..., subprocess.Popen[str]], config: Callable[[str], str], store: Store
) -> None:
    process = start("rows", "--model", "m", "--config", config(SMALL))
    _, err = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 69, err
    assert "expected the files of 1 reduce task(s) in s3://data/root/tmp/" in err
    assert "it ran 2 times" in err
    assert [step.state for step in agent.clusters()[0].steps].count("COMPLETED") >= 2
    assert agent.alive() == []
