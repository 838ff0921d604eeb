"""Amazon EMR and S3 on loopback: moto, and what it lacks.

In moto a cluster is a record whose steps stay as they are. Here something runs them, one at a time, and

    answers           CancelSteps, and steps' FailureDetails
    idle time         ends clusters, as the policy in RunJobFlow says, `hurry` times as fast
    last steps        end clusters that are not to live without
    dead clusters     take no steps, and theirs are cancelled
    requests          are noted with their arguments, and refused as a test says

Its answers are those of EMR's documentation; no real one was asked.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from moto.core.responses import ActionResult
from moto.emr import models
from moto.emr.responses import ElasticMapReduceResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import WSGIRequestHandler, make_server

from mr_ml.runners.emr.settings import DEFAULT_RELEASE

REGION = "eu-central-1"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIDAGENT",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-agent",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_WAITS = ("PENDING", "RUNNING")
_GONE = ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS")
_TICK_SECONDS = 0.02
Outcome = tuple[str, Mapping[str, str]]


@dataclass
class Fault:
    """What is answered to the next requests of an operation.

    Attributes
    ----------
    done
        They are done first: only the answer is lost.
    """

    operation: str
    code: str
    times: int = 1
    status: int = 400
    message: str = "Rate exceeded"
    done: bool = False


@dataclass
class Agent:
    """The server.

    Attributes
    ----------
    run_step
        Runs a step until it ends or `is_cancelled` says that it should; its state, and FailureDetails.
    calls
        (operation, arguments), of EMR's, in order.
    hurry
        Seconds of idleness that pass in one.
    """

    run_step: Callable[[Agent, Any, Any], Outcome]
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    hurry: float = 1.0
    endpoint: str = ""
    cancelled: set[str] = field(default_factory=set)
    _idle: dict[str, float] = field(default_factory=dict)
    _idle_since: dict[str, float] = field(default_factory=dict)
    _working: dict[str, threading.Thread] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _is_closed: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """Of who asks it."""
        return {**ENVIRONMENT, "AWS_ENDPOINT_URL": self.endpoint}

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """The arguments of all requests of an operation."""
        return [arguments for name, arguments in self.calls if name == operation]

    def clusters(self) -> list[Any]:
        """All that there ever were."""
        # moto reads the region in the address only
        accounts = list(models.emr_backends.values())  # which another thread may empty
        backends = [backend for regions in accounts for backend in list(regions.values())]
        return [cluster for backend in backends for cluster in list(backend.clusters.values())]

    def alive(self) -> list[str]:
        return [cluster.id for cluster in self.clusters() if cluster.state not in _GONE]

    def lose(self, cluster: Any, reason: str = "All slaves in the job flow were terminated due to Spot") -> None:
        """End a cluster, as when it loses its machines."""
        cluster.last_state_change_reason = reason
        cluster.end_datetime = datetime.now(UTC)
        cluster.state = "TERMINATED_WITH_ERRORS"

    def is_cancelled(self, cluster: Any, step: Any) -> bool:
        return step.id in self.cancelled or cluster.state in _GONE or self._stop.is_set()

    # --- requests

    def __call__(self, app: Any, environ: dict[str, Any], start: Any) -> Any:
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if not target.startswith("ElasticMapReduce."):
            return app(environ, start)
        operation = target.partition(".")[2]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        arguments = json.loads(body)
        self.calls.append((operation, arguments))
        fault = next((fault for fault in self.faults if fault.operation in (operation, "*") and fault.times), None)
        if fault is not None:
            fault.times -= 1
            if not fault.done:
                return _refused(start, fault.status, fault.code, fault.message)
        if operation == "AddJobFlowSteps" and arguments["JobFlowId"] not in self.alive():
            # moto revives it
            return _refused(start, 400, "ValidationException", "A job flow that is terminated may not be modified.")
        environ["wsgi.input"] = _Body(body)
        answer: list[Any] = []
        content = b"".join(app(environ, lambda status, headers, info=None: answer.append((status, headers))))
        if operation == "RunJobFlow":
            cluster_id = json.loads(content)["JobFlowId"]
            self._idle[cluster_id] = arguments.get("AutoTerminationPolicy", {}).get("IdleTimeout", float("inf"))
            self._idle_since[cluster_id] = time.monotonic()
            cluster = next(cluster for cluster in self.clusters() if cluster.id == cluster_id)
            # whose version mrjob's own runner looks for
            cluster.applications = [models.Application("Hadoop", "3.4.2", [], {})]
        if fault is not None:
            return _refused(start, fault.status, fault.code, fault.message)
        start(*answer[0])
        return [content]

    # --- steps

    def work(self) -> None:
        """Run what there is to run, until the end."""
        while not self._is_closed:
            time.sleep(_TICK_SECONDS)
            for cluster in self.clusters():
                if cluster.state not in _GONE:
                    self._look_after(cluster)
                else:
                    for step in list(cluster.steps):
                        if step.state in _WAITS and cluster.id not in self._working:
                            step.state = "CANCELLED"

    def _look_after(self, cluster: Any) -> None:
        if cluster.id in self._working:
            return
        step = next((step for step in list(cluster.steps) if step.state in _WAITS), None)
        if step is None and cluster.steps and not cluster.keep_job_flow_alive_when_no_steps:
            cluster.last_state_change_reason = "Steps completed"
            cluster.terminate()
            return
        if step is None:
            cluster.state = "WAITING"
            since = self._idle_since.setdefault(cluster.id, time.monotonic())
            idle = (time.monotonic() - since) * self.hurry
            if idle > self._idle.get(cluster.id, float("inf")):
                cluster.last_state_change_reason = "Terminated by auto-termination policy"
                cluster.terminate()
            return
        cluster.state = step.state = "RUNNING"
        step.start_date_time = datetime.now(UTC)
        thread = threading.Thread(target=self._run, args=(cluster, step), daemon=True)
        self._working[cluster.id] = thread
        thread.start()

    def _run(self, cluster: Any, step: Any) -> None:
        try:
            state, details = "CANCELLED", dict[str, str]()
            if not self.is_cancelled(cluster, step):
                state, details = self.run_step(self, cluster, step)  # type: ignore[assignment]
            step.failure_details = dict(details)
            step.end_date_time = datetime.now(UTC)
            step.state = "CANCELLED" if self.is_cancelled(cluster, step) else state
        finally:
            self._idle_since[cluster.id] = time.monotonic()
            del self._working[cluster.id]

    def reset(self, run_step: Callable[[Agent, Any, Any], Outcome]) -> None:
        """Forget everything, for the next test; what runs is ended."""
        self._end_steps()
        models.emr_backends.reset()
        s3_backends.reset()
        self.run_step, self.hurry = run_step, 1.0
        for noted in (self.calls, self.faults, self.cancelled, self._idle, self._idle_since):
            noted.clear()
        self._stop.clear()

    def _end_steps(self) -> None:
        self._stop.set()
        for thread in list(self._working.values()):
            thread.join(30)

    def close(self) -> None:
        self._is_closed = True
        self._end_steps()


class _Body:
    """A request's body, for once more."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def read(self, size: int = -1) -> bytes:
        found, self.body = (self.body, b"") if size < 0 else (self.body[:size], self.body[size:])
        return found


def _refused(start: Any, status: int, code: str, message: str) -> list[bytes]:
    start(f"{status} refused", [("Content-Type", "application/x-amz-json-1.1")])
    return [json.dumps({"__type": code, "message": message}).encode()]


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@contextmanager
def running_agent() -> Iterator[Agent]:
    """Serve on a free port of loopback within the block."""
    agent = Agent(lambda agent, cluster, step: ("COMPLETED", {}))
    status = models.Step.status.fget  # type: ignore[attr-defined]

    def cancel_steps(self: Any) -> Any:
        ids = self._get_param("StepIds")
        agent.cancelled.update(ids)
        return ActionResult({"CancelStepsInfoList": [{"StepId": step, "Status": "SUBMITTED"} for step in ids]})

    def with_details(self: Any) -> dict[str, Any]:
        details = getattr(self, "failure_details", {})
        return {**status(self), **({"FailureDetails": details} if details else {})}

    def releases(self: Any) -> Any:
        return ActionResult({"ReleaseLabels": ["emr-5.36.2", "emr-7.9.0", DEFAULT_RELEASE, "emr-7.12.0"]})

    def begun(self: Any) -> None:
        # which takes minutes; moto ends at once what is to live as long as its steps, and has none yet
        self.ready_datetime, self.state = datetime.now(UTC), "WAITING"

    patches = (
        mock.patch.object(ElasticMapReduceResponse, "cancel_steps", cancel_steps, create=True),
        mock.patch.object(ElasticMapReduceResponse, "list_release_labels", releases),
        mock.patch.object(models.Cluster, "run_bootstrap_actions", begun),
        mock.patch.object(models.Step, "status", property(with_details)),
        mock.patch.dict(os.environ, ENVIRONMENT),
    )
    dispatcher = DomainDispatcherApplication(create_backend_app)
    server = make_server(
        "127.0.0.1", 0, lambda environ, start: agent(dispatcher, environ, start), threaded=True, request_handler=_Quiet
    )
    agent.endpoint = f"http://127.0.0.1:{server.port}"
    threads = [threading.Thread(target=target, daemon=True) for target in (server.serve_forever, agent.work)]
    try:
        for patch in patches:
            patch.start()
        for thread in threads:
            thread.start()
        yield agent
    finally:
        agent.close()
        server.shutdown()
        server.server_close()
        for patch in reversed(patches):
            patch.stop()
        for thread in threads:
            thread.join(30)


@dataclass
class Clock:
    """Time that passes when somebody waits."""

    now: float = 0.0

    def pause(self, seconds: float) -> None:
        self.now += seconds
        # so that the agent gets on
        time.sleep(0.01)

    def __call__(self) -> float:
        return self.now


class Steps:
    """What becomes of steps: `outcome`, or nothing until they are cancelled; `by_word`, of those that begin with it."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = ("COMPLETED", {})
        self.by_word: dict[str, Outcome] = {}

    def __call__(self, agent: Agent, cluster: Any, step: Any) -> Outcome:
        if step.args and step.args[0] in self.by_word:
            return self.by_word[step.args[0]]
        while self.outcome is None and not agent.is_cancelled(cluster, step):
            time.sleep(0.01)
        return self.outcome or ("CANCELLED", {})


SMALL = """\
service_role: EMR_EC2_Service
instance_profile: EMR_EC2_Profile
groups:
  - {role: master, type: m6i.xlarge}
  - {role: core, type: m6i.xlarge, count: 2}
prices: {m6i.xlarge: 0.25}
idle_minutes: 5
"""
