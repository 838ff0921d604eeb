"""What Hadoop's client said of a job, made an error: the lines that explain something, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mr_ml.errors import InternalError, MrMlError, StorageError, UnavailableError, UsageError

_SHOWN_LINES = 25
# With this the client says that YARN is done with the job; without it, it has lost sight of it.
_VERDICT = re.compile(r"\bJob (?:job_[0-9_]+ failed with state|not successful)", re.ASCII)
_LOG_LINE = re.compile(r"(?:[0-9/:, -]+)?(?:DEBUG|INFO|WARN)\b", re.ASCII)
# Of the log's own lines, those that say which attempt failed and how the job ended; EMR's have a thread's name.
_EVENT = re.compile(
    r"\bmapreduce\.Job(?: \([^)]*\))?: ((?:Task Id : .*Status : FAILED|Job job_[0-9_]+ failed).*)", re.ASCII
)
_EXIT_CODE = re.compile(r"subprocess failed with code ([0-9]+)|(Cannot run program)", re.ASCII)
_HINTS = {
    "126": "The nodes cannot run the Python that was asked for: look at `python` in the settings of `config`. ",
    "127": "The nodes do not have the Python that was asked for: look at `python` in the settings of `config`. ",
    "137": "A task's Python was killed, mostly for want of memory: raise map_memory_mb or reduce_memory_mb in the "
    "settings of `config`. ",
}
# What is wrong with the cluster's access to S3, and not with the job.
_S3: tuple[tuple[re.Pattern[str], type[MrMlError], str], ...] = (
    (
        re.compile(r'No FileSystem for scheme "s3"', re.ASCII),
        UsageError,
        "the cluster does not know s3:// addresses. Give `root` as s3a://..., or set fs.s3.impl to "
        "org.apache.hadoop.fs.s3a.S3AFileSystem in its core-site.xml",
    ),
    (
        re.compile(r"ClassNotFoundException: Class org\.apache\.hadoop\.fs\.s3a\.\S+ not found", re.ASCII),
        UsageError,
        "Hadoop has no connector to S3 on its class path. Its releases bring hadoop-aws and the AWS SDK along: "
        "export HADOOP_OPTIONAL_TOOLS=hadoop-aws in hadoop-env.sh, here and on the nodes",
    ),
    (
        re.compile(r"NoAwsCredentialsException|NoAuthWithAWSException|\(Service: S3, Status Code: 40[13]", re.ASCII),
        StorageError,
        "S3 refused what the cluster asked for. Its own credentials count there, fs.s3a.access.key and so on or the "
        "role of its machines, not those of this machine: give them the rights below the root",
    ),
)
_JAVA_FRAME = re.compile(r"\s+(?:at [\w.$<>/]+\(|\.\.\. [0-9]+ more)", re.ASCII)
# How Hadoop's client says that it could not reach, or may not use, the cluster.
_UNAVAILABLE = re.compile(
    r"ConnectException|ConnectTimeoutException|NoRouteToHostException|SocketTimeoutException|UnknownHostException"
    r"|SafeModeException|StandbyException|Connection refused|RetriableException"
)


def failure(output: Sequence[str], *, application: str | None) -> MrMlError:
    """Return what went wrong, from what the client said."""
    if (error := refused_by_s3(output)) is not None:
        return error
    if not has_verdict(output) and _UNAVAILABLE.search("\n".join(output)):
        return unavailable(output, application=application)
    what = "the job" if application is None else f"the job ({application})"
    logs = "" if application is None else f"; its logs: `yarn logs -applicationId {application}`"
    return InternalError(refusal(output) or f"{what} failed{logs}. {explained(output)}")


def refused_by_s3(output: Sequence[str]) -> MrMlError | None:
    """Return what is wrong with the cluster's access to S3, if the client says so."""
    told = "\n".join(output)
    return next((kind(f"{what}. {explained(output)}") for said, kind, what in _S3 if said.search(told)), None)


def refusal(output: Sequence[str]) -> str | None:
    """Say what Hadoop found wrong with a job before it ran."""
    missing = next((line for line in _telling(output) if "Input path does not exist" in line), None)
    return None if missing is None else f"Hadoop refused the job: {missing.strip()}"


def explained(output: Sequence[str]) -> str:
    """Return what the client said of a job that failed, and before it what to do, where that is known."""
    shown = _shown(output)
    code = _EXIT_CODE.search(shown)
    hint = _HINTS.get(code[1] or "127", "") if code else ""
    return f"{hint}Hadoop said:\n{shown}"


def unavailable(output: Sequence[str], *, application: str | None) -> UnavailableError:
    """Return the error for a cluster that does not answer the client."""
    did = (
        "did not take the job" if application is None else f"no longer answers, and the job ({application}) may run on"
    )
    return UnavailableError(
        f"the cluster {did}; is its ResourceManager running, and does HADOOP_CONF_DIR name the cluster's "
        f"configuration? Hadoop said:\n{_shown(output)}"
    )


def _shown(output: Sequence[str]) -> str:
    return "\n".join(_telling(output)[-_SHOWN_LINES:] or output[-2:])


def has_verdict(output: Sequence[str]) -> bool:
    """Whether the client says how the job ended."""
    return any(_VERDICT.search(line) for line in output)


def _telling(output: Sequence[str]) -> list[str]:
    """Return the lines that explain something: not progress, counters, and where in Hadoop's own code it was."""
    telling = []
    for line in output:
        event = _EVENT.search(line)
        if event:
            telling.append(event[1])
        elif (
            line.strip()
            and not line.startswith(("\t", "packageJobJar: "))
            and not _LOG_LINE.match(line)
            and not _JAVA_FRAME.match(line)
        ):
            telling.append(line)
    # every attempt of every task may say the same
    return list(dict.fromkeys(telling))
