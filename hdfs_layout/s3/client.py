"""Clients of AWS, and of what speaks its protocols: who asks, where, how patiently.

Endpoint, region and credentials are found as the ``aws`` command finds them (AWS_PROFILE, AWS_REGION,
AWS_ENDPOINT_URL_S3, ``~/.aws``, the role of the machine...): there are no settings of ours. What this changes of boto's
defaults, it changes only where neither the environment nor the profile says anything.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from hdfs_layout.certificates import text_of
from hdfs_layout.errors import UsageError
from hdfs_layout.s3.boto import (
    BotoCoreError,
    ClientError,
    Config,
    ConfigNotFound,
    ConfigParseError,
    InvalidConfigError,
    ProfileNotFound,
    boto3,
    botocore,
)

ATTEMPTS = 6
_CONNECT_SECONDS, _READ_SECONDS = 10, 60
_MOST_CONNECTIONS = 64


class _Kept:
    """What this process has made already, by the environment that it was made from."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.environment: dict[str, str] = {}
        self.session: boto3.session.Session | None = None
        self.authorities = ""
        self.clients: dict[str, Any] = {}

    def renew_if_changed(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        if environment != self.environment:
            self.environment, self.session, self.clients = environment, None, {}


_kept = _Kept()


def _forget() -> None:
    """Neither a client nor a lock that another thread may hold is of use in a forked child."""
    global _kept
    _kept = _Kept()


os.register_at_fork(after_in_child=_forget)


def session() -> boto3.session.Session:
    """Return the session of this process: one chain of credentials for all clients, which renews what expires.

    Not boto3's default one: that keeps what it found first for as long as the process lives. Another one is made when
    the environment's AWS_* variables have changed.

    Raises
    ------
    UsageError
        If the profile, or a file of ``~/.aws``, cannot be used.
    """
    kept = _kept
    with kept.lock:
        kept.renew_if_changed()
        return _session(kept)


def client(service: str) -> Any:
    """Return this process's client of a service, such as ``s3``; threads may share it.

    Raises
    ------
    UsageError
        As `session`, and if the endpoint is no URL.
    BotoCoreError
        If there are credentials that cannot be got.
    """
    kept = _kept
    with kept.lock:
        kept.renew_if_changed()
        found = kept.clients.get(service)
        if found is None:
            config = Config(
                connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, max_pool_connections=_MOST_CONNECTIONS
            )
            try:
                found = _session(kept).client(service, config=config)
            except ValueError as error:
                if isinstance(error, BotoCoreError):
                    raise
                raise UsageError(
                    f"expected as endpoint of {service} a URL such as http://127.0.0.1:7070; found something else. "
                    f"Correct AWS_ENDPOINT_URL_{service.upper()}, AWS_ENDPOINT_URL or the profile's endpoint_url."
                ) from error
            kept.clients[service] = found
        return found


def signer(bucket: str) -> Any:
    """Return this process's client that signs addresses of what is in a bucket; it asks nothing.

    Boto's own choice would be the region that it was told, not the bucket's, and, where a region has it, the older
    signature, which is of no range.

    Raises
    ------
    UsageError, BotoCoreError
        As `client`.
    """
    name, asked = f"s3 {bucket}", client("s3")
    kept = _kept
    found = kept.clients.get(name)
    if found is None:
        region = _region_of(bucket, asked)
        with kept.lock:
            config = Config(signature_version="s3v4")
            found = kept.clients[name] = _session(kept).client("s3", region_name=region, config=config)
    return found


def _region_of(bucket: str, asked: Any) -> str | None:
    """Return where a bucket is, if the server says; S3 does so also to those who may not look."""
    try:
        answer = asked.head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
    region: str | None = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("x-amz-bucket-region")
    return region


def authorities() -> str:
    """Return the certificates (PEM) by which S3 is known here; empty where it is the usual ones, or a folder of them.

    Raises
    ------
    UsageError
        As `session`.
    """
    kept = _kept
    with kept.lock:
        kept.renew_if_changed()
        _session(kept)
        return text_of(kept.authorities)


def _session(kept: _Kept) -> boto3.session.Session:
    if kept.session is None:
        core = botocore.session.Session()
        try:
            profile = core.get_scoped_config()
        except (ProfileNotFound, ConfigNotFound, ConfigParseError, InvalidConfigError) as error:
            raise UsageError(
                f"expected settings of AWS that can be used; found: {error}. Correct AWS_PROFILE or ~/.aws/config."
            ) from error
        defaults: dict[str, str | int] = {"retry_mode": "standard", "max_attempts": ATTEMPTS}
        if _has_endpoint(profile):
            # since botocore 1.36 every PUT carries a CRC in a trailer, which some other stores refuse
            defaults |= dict.fromkeys(("request_checksum_calculation", "response_checksum_validation"), "when_required")
        for name, value in defaults.items():
            if name not in profile and f"AWS_{name.upper()}" not in os.environ:
                core.set_config_variable(name, value)
        if region := os.environ.get("AWS_REGION"):
            # which the aws command and other SDKs read before AWS_DEFAULT_REGION, and boto does not
            core.set_config_variable("region", region)
        kept.session = boto3.session.Session(botocore_session=core)
        kept.authorities = core.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE", "")
    return kept.session


def _has_endpoint(profile: dict[str, Any]) -> bool:
    """Whether something else than AWS may be asked."""
    named = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
    return any(os.environ.get(name) for name in named) or "endpoint_url" in profile or "services" in profile
